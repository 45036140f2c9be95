"""The table of a run or a sweep: records to summary.csv and summary.parquet; the only module that imports pandas."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from acestep_batch.outputs.atomic import atomic_path
from acestep_batch.schema import SONG

log = logging.getLogger(__name__)

_LISTS = ("files", "notes", "rungs", "actual_seeds", "oss_steps")
_OFTEN = 0.05
"""The largest share of a run's time that rewriting its summary may take."""


_KINDS = {"int": "Int64", "float": "Float64", "bool": "boolean"}
_TYPES = {name: _KINDS[parameter.kind] for name, parameter in SONG.items() if parameter.kind in _KINDS}
_TYPES |= dict.fromkeys(("index", "take", "seed", "frames", "model_calls", "micro_batch", "clipped_samples"), "Int64")
_TYPES |= dict.fromkeys(("peak_memory_bytes", "peak_process_bytes"), "Int64")
_TYPES |= dict.fromkeys(("duration_s", "seconds", "text_s", "diffusion_s", "decode_s"), "Float64")


def summary_table(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Records as a table, a row for each song; a column has one type in every run: text, unless named above."""
    table = pd.DataFrame.from_records([_flat(record) for record in records])
    return table.astype({name: _TYPES.get(str(name), "string") for name in table})


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without what only programs read."""
    return {
        name: " ".join(map(str, value)) if name in ("actual_seeds", "oss_steps") else "; ".join(map(str, value))
        if name in _LISTS else value
        for name, value in record.items() if name not in ("audio", "environment")
    }  # fmt: skip


@dataclass(slots=True)
class SummaryFiles:
    """Rewrites ``summary.csv`` and ``summary.parquet`` as songs finish, seldom enough not to slow a long run.

    ``collect`` gives all records that the table holds, read from the disk: the summary is never more than the records.
    """

    folder: Path
    collect: Callable[[], Iterable[Mapping[str, Any]]]
    _written_at: float = 0.0
    _cost_s: float = 0.0

    def changed(self) -> None:
        """There is a new record; the files follow at once, or after a while where writing them has become slow."""
        if time.monotonic() - self._written_at < self._cost_s / _OFTEN:
            return
        try:
            self.write()
        except OSError as error:  # somebody has it open; it is made from the records, which are safe
            log.warning("the summary cannot be written now: %s", error)
            self._written_at = time.monotonic()

    def write(self) -> None:
        """Write both files now, each whole and by rename."""
        started = time.monotonic()
        table = summary_table(self.collect())
        with atomic_path(self.folder / "summary.csv", replace=True) as temporary:
            inert(table).to_csv(temporary, index=False)
        with atomic_path(self.folder / "summary.parquet", replace=True) as temporary:
            table.to_parquet(temporary, index=False)
        self._written_at = time.monotonic()
        self._cost_s = self._written_at - started


def inert(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every text that a spreadsheet would run as a formula.

    That is how OWASP has it (CSV injection): text that begins with = + - @, a tab or a line end.
    """
    found = table.copy()
    texts: list[str] = list(found.select_dtypes("string").columns)
    for name in texts:
        runs = found[name].str.match(r"[=+\-@\t\r\n\0]").fillna(False).astype(bool)
        found.loc[runs, name] = "'" + found.loc[runs, name]
    return found.set_axis([f"'{name}" if str(name)[:1] in "=+-@" else str(name) for name in found], axis="columns")
