"""Rows as they stand in a manifest, each with its place; and the text of a file, as every reader takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from acestep_batch.parameter import did_you_mean, shown
from acestep_batch.problems import Problem, Refused, refuse

LARGEST_DOCUMENT_BYTES = 64 * 2**20
"""JSON and YAML documents are held in memory as a whole; larger manifests are written as .jsonl, .csv or .parquet."""
LARGEST_TEXT_BYTES = 2**20
"""Of a file with a prompt, lyrics or a preset."""


class Place(NamedTuple):
    """Where a row stands: its file, its number from 1 (0 for the defaults), and the line where it is known."""

    file: str
    row: int
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.file} row {self.row}" if self.row else f"{self.file} defaults"
        return where if self.line is None else f"{where} (line {self.line})"


class RawRow(NamedTuple):
    """One row as it stands in the file: cells by column, as text or as JSON values; unset cells are left out."""

    place: Place
    cells: Mapping[str, Any]
    id_hint: str | None = None
    """The id that the file itself gives: a mapping's key, or the stem of a file that holds one row."""


@dataclass(frozen=True, slots=True)
class RawManifest:
    """A manifest before its columns are read."""

    defaults: RawRow | None
    rows: Iterable[RawRow | Refused]
    """Can be walked once. A bad row comes as a Refused; a file that cannot be read any further raises one."""
    progress: Callable[[], float]
    """How much of the file has been read, from 0 to 1."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with the file as a whole although its rows can be read: columns that mean nothing, once each."""


def unknown_column(where: str, column: str, known: Iterable[str]) -> Problem:
    """The complaint about a column or key that means nothing."""
    name = column if column.isprintable() and len(column) <= 60 else shown(column)
    return Problem(
        f"{where}, column {name}",
        f"is no parameter{did_you_mean(column, known)}",
        "see `python -m acestep_batch --help`",
    )


def read_text(path: Path, where: str, most_bytes: int = LARGEST_DOCUMENT_BYTES) -> str:
    """A UTF-8 text file, with or without BOM, with line ends as ``\\n``.

    Raises:
        Refused: it is no file (a pipe or a device might never end), too large, cannot be read, or is not UTF-8.
    """
    try:
        if path.exists() and not path.is_file():
            raise refuse(where, f"{path} is no file", "give a text file")
        if (size := path.stat().st_size) > most_bytes:
            message = f"{path} has {size:,} bytes, and at most {most_bytes:,} are read"
            raise refuse(
                where, message, "check the path; a long manifest is read row by row as .jsonl, .csv or .parquet"
            )
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise refuse(where, f"{path} is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise refuse(where, message, "check the path and its permissions") from None
