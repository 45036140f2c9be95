"""The table of a run or a sweep: records to summary.csv and summary.parquet; the only module that imports pandas."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from acestep_batch.outputs.atomic import atomic_path

_LISTS = ("files", "notes", "actual_seeds", "oss_steps")
_OFTEN = 0.05
"""The largest share of a run's time that rewriting its summary may take."""


def summary_table(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Records as a table, a row for each song; lists become text, so that both files hold the same."""
    table = pd.DataFrame.from_records([_flat(record) for record in records])
    return table.convert_dtypes() if len(table) else table


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: " ".join(map(str, value)) if name in ("actual_seeds", "oss_steps") else "; ".join(map(str, value))
        if name in _LISTS else value
        for name, value in record.items()
    }  # fmt: skip


@dataclass(slots=True)
class SummaryFiles:
    """Rewrites ``summary.csv`` and ``summary.parquet`` as songs finish, seldom enough not to slow a long run."""

    folder: Path
    records: list[Mapping[str, Any]] = field(default_factory=list)
    _written_at: float = 0.0
    _cost_s: float = 0.0

    def add(self, record: Mapping[str, Any]) -> None:
        """Take a finished song in; the files follow at once, or after a while where writing them has become slow."""
        self.records.append(record)
        if time.monotonic() - self._written_at >= self._cost_s / _OFTEN:
            self.write()

    def write(self) -> None:
        """Write both files now, each whole and by rename."""
        started = time.monotonic()
        table = summary_table(self.records)
        with atomic_path(self.folder / "summary.csv", replace=True) as temporary:
            table.to_csv(temporary, index=False)
        with atomic_path(self.folder / "summary.parquet", replace=True) as temporary:
            table.to_parquet(temporary, index=False)
        self._written_at = time.monotonic()
        self._cost_s = self._written_at - started
