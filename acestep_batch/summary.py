"""The table of a run or a sweep: records to summary.csv and summary.parquet; the only module that imports pandas."""

from __future__ import annotations

import io
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from acestep_batch.lock import LOCKS, held
from acestep_batch.outputs.atomic import TEMPORARY_PREFIX, write_bytes
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.problems import Refused, one_line
from acestep_batch.summary_columns import SUMMARY_COLUMNS, V15_COLUMNS

log = logging.getLogger(__name__)

_NUMBER_LISTS = frozenset({"actual_seeds", "oss_steps", "retake_seeds", "lora_weight", "timesteps"})
_LISTS = _NUMBER_LISTS | {"files", "notes", "rungs", "quality_reasons", "lora_name_or_path"}
_PROGRAMS_READ = frozenset(
    {"audio", "environment", "started_from", "reference_from", "loras", "measurements", "scores"}
)
_RUNS = re.compile(
    r"""((?:^|[\n\t;|])                                                          # where a cell could begin
    (?:[^\S\n\t]|["\x01-\x08\x0e-\x1f\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2064])*+)  # blanks, the unseen, quotes
    (?=[=+\-@＝＋－＠])                                                         # what makes a formula of it""",
    re.VERBOSE,
)
SUMMARY = ("summary.csv", "summary.parquet")
"""The files of a summary."""
_OFTEN = 0.05
"""The largest share of a run's time that rewriting its summary may take."""


_TYPES = {column.name: column.dtype for column in SUMMARY_COLUMNS}


def summary_table(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Records as a table, a row for each song: ``SUMMARY_COLUMNS``, whatever the records lack of them; those that only
    songs of 1.5 have stand there where there is one.

    Scores, where there are any, are numbers behind those. What else they have is text. The cell and the swept values
    of a sweep come first.
    """
    known = list(records)
    rows = [_flat(record) for record in known]
    types = {name: "Float64" for record in known for name in record.get("scores") or ()} | _TYPES
    others = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in _TYPES]
    of_sweep = [name for name in others if name == "cell" or name.startswith("sweep.")]
    absent = frozenset() if any("family" in row for row in rows) else V15_COLUMNS
    names = [
        *of_sweep,
        *(name for name in _TYPES if name not in absent),
        *(name for name in others if name not in of_sweep),
    ]
    table = pd.DataFrame({name: [row.get(name) for row in rows] for name in names}, dtype=object)
    return table.astype({name: types.get(name, "string") for name in names})


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without what only programs read, and with what was measured and scored beside what was asked."""
    record = {**(record.get("scores") or {}), **record, **(record.get("measurements") or {})}
    return {
        name: " ".join(map(str, value)) if name in _NUMBER_LISTS else "; ".join(map(str, value))
        if name in _LISTS else value
        for name, value in record.items() if name not in _PROGRAMS_READ
    }  # fmt: skip


@dataclass(slots=True)
class SummaryFiles:
    """Rewrites ``summary.csv`` and ``summary.parquet`` as songs finish, seldom enough not to slow a long run.

    ``collect`` gives all records that the table holds, read from the disk: the summary is never more than the records.
    It is told whether to compare all songs with each other, which a long run does at its end only.
    Processes that share the folder write it one after another, so that the last one to write has seen every record.
    """

    folder: Path
    collect: Callable[[bool], Iterable[Mapping[str, Any]]]
    _written_at: float = 0.0
    _cost_s: float = 0.0

    def changed(self) -> None:
        """There is a new record; the files follow at once, or after a while where writing them has become slow."""
        if time.monotonic() - self._written_at < self._cost_s / _OFTEN:
            return
        self.write()

    def write(self, *, compare: bool = False) -> str:
        """Write both files now, each whole and by rename, unless they hold that already.

        Returns why that was not possible, if so: it is no reason to end a run, whose records are safe.
        """
        started = time.monotonic()
        problem = ""
        try:
            (self.folder / LOCKS).mkdir(exist_ok=True)
            with held(self.folder / LOCKS / "summary.lock", wait_s=60):
                self._write(compare)
        except (OSError, MemoryError, Refused) as error:  # a full disk; another program has the file open
            problem = f"{self.folder / 'summary.csv'}: cannot be brought up to date ({one_line(error)})"
            log.warning("%s", problem)
        self._written_at = time.monotonic()
        self._cost_s = self._written_at - started
        return problem

    def _write(self, compare: bool) -> None:
        for ending in (".csv", ".parquet"):
            for left in self.folder.glob(f"{TEMPORARY_PREFIX}*{ending}"):  # by a process that was killed
                left.unlink(missing_ok=True)
        for name, content in _contents(summary_table(self.collect(compare))).items():
            path = self.folder / name
            if not path.is_file() or path.read_bytes() != content:
                write_bytes(path, content, replace=True)


def _contents(table: pd.DataFrame) -> dict[str, bytes]:
    """The summary's files, by name."""
    csv, parquet = SUMMARY
    return {csv: inert(table).to_csv(index=False).encode("utf-8"), parquet: table.to_parquet(index=False)}


def stale_summaries(folder: Path, records: Iterable[Mapping[str, Any]], exact: bool) -> dict[str, str]:
    """What is wrong with the summary's files in a folder, by name, given all records that they are made from.

    ``exact`` asks for the very bytes; otherwise, for another version of pandas may have written them, for the values.
    """
    table = summary_table(records)
    found = {}
    for name, content in _contents(table).items():
        try:
            data = read_plain_file(folder / name)
            if data != content and (exact or not _holds(name, data, content)):
                found[name] = "is not what the records give: stale, or changed"
        except FileNotFoundError:
            found[name] = "is missing"
        except OSError as error:
            found[name] = f"cannot be read ({error.strerror or error})"
    return found


def _holds(name: str, data: bytes, content: bytes) -> bool:
    """Whether two files of the summary, whatever their bytes, hold the same values."""
    try:
        if name.endswith(".csv"):
            one, other = (pd.read_csv(io.BytesIO(each), dtype=str, keep_default_na=False) for each in (data, content))
        else:
            one, other = (pd.read_parquet(io.BytesIO(each)) for each in (data, content))
    except Exception:  # damaged in whatever way
        return False
    return bool(one.equals(other))


def inert(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every = + - @ at which a spreadsheet could begin to run a text.

    That is OWASP's rule against CSV injection, and more: full-width forms count too, blanks and quotes before them do
    not help, and a cell can also begin inside a text, after ``;``, a tab, ``|`` or a line end, for a program that takes
    another delimiter than the comma. Texts lose NUL, and their line ends become ``\\n``; summary.parquet keeps them as
    they are.
    """
    found = table.copy()
    texts: list[str] = list(found.select_dtypes("string").columns)
    for name in texts:
        found[name] = found[name].map(inert_text, na_action="ignore")
    return found.set_axis([inert_text(str(name)) for name in found], axis="columns")


def inert_text(text: str) -> str:
    """One text as ``inert`` writes it."""
    plain = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    return _RUNS.sub(r"\1'", plain)
