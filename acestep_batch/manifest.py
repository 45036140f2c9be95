"""Raw rows to typed rows: aliases, text files, ids, and every complaint with its place and column."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from acestep_batch.manifest_rows import LARGEST_TEXT_BYTES, Place, RawRow, read_text, unknown_column
from acestep_batch.outputs.records import json_text
from acestep_batch.parameter import shown
from acestep_batch.problems import Problem, Refused, refuse
from acestep_batch.schema import RECORD_KEYS, SONG, SONG_NAMES, TEXT_FILES

ROW_KEYS = frozenset({"id", "preset", "record"})
COLUMNS = frozenset({*SONG_NAMES, *TEXT_FILES, *ROW_KEYS, *RECORD_KEYS})
"""Every name that a column may have."""

_PARAMETER_OF = {**SONG_NAMES, **TEXT_FILES}
_VARIED = frozenset(
    {"prompt", "lyrics", "output_path", "actual_seeds", "retake_seeds", "edit_target_prompt", "edit_target_lyrics"}
)
"""Parameters whose cells hardly repeat in a manifest."""
_TEXTS = frozenset({"prompt", "lyrics", "edit_target_prompt", "edit_target_lyrics"})
_LONGEST_ID = 180
_REMEMBERED_CELLS, _REMEMBERED_FILES = 100_000, 1_000
_SUGGESTED = 100

Complaint = Callable[[str, str, str], None]
"""Takes in what is wrong with a column: the column, the message, the remedy."""


class Row(NamedTuple):
    """One row as the configuration sees it: typed values of the song parameters that it sets."""

    place: Place
    id: str
    values: Mapping[str, Any]
    preset: str | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class Ignored:
    """Columns that were passed over, by the reason, and in how many rows."""

    _names: dict[str, set[str]] = field(default_factory=dict)
    _rows: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, names: Collection[str]) -> None:
        """Take in what of a row is passed over; nothing, where that is nothing."""
        if names:
            self._names.setdefault(reason, set()).update(names)
            self._rows[reason] += 1

    def notes(self) -> tuple[str, ...]:
        """A line for each reason."""
        lines = []
        for reason, rows in self._rows.items():
            names = ", ".join(sorted(self._names[reason]))
            lines.append(f"ignored in {rows:,} {'row' if rows == 1 else 'rows'}: {names} ({reason})")
        return tuple(lines)


@dataclass(slots=True)
class RowReader:
    """Reads the rows of one manifest; remembers ids, to refuse a second one, and what it ignored, for one note."""

    folder: Path
    _ignored: Ignored = field(default_factory=Ignored)
    _ids: dict[str, int] = field(default_factory=dict)
    _cells: dict[tuple[str, str], Any] = field(default_factory=dict)
    _files: dict[str, str] = field(default_factory=dict)
    _unreadable: int = 0
    _suggested: int = 0

    def read(self, raw: RawRow) -> Row:
        """Type every cell; problems stand in the row, nothing is raised."""
        problems: list[Problem] = []
        values: dict[str, Any] = {}

        def complain(column: str, message: str, remedy: str) -> None:
            problems.append(Problem(f"{raw.place}, column {column}", message, remedy))

        others = []
        for column, cell in raw.cells.items():
            name = _PARAMETER_OF.get(column)
            if name is None:
                if column != "id":
                    others.append(column)
            elif name in values:
                complain(column, f"sets {name}, which another column of this row sets too", "keep one of them")
            else:
                try:
                    values[name] = (
                        self._text(raw.place, column, cell) if column in TEXT_FILES else self._parse(name, cell)
                    )
                except ValueError as error:
                    complain(column, str(error), _hint(name, cell))
                except Refused as refused:
                    problems.extend(refused.problems)
        plan = _recorded_plan(raw.cells)
        if plan is not None and values.get("plan") is None:
            values["plan"] = plan
        if others:
            self._ignored.add("they record a past run", RECORD_KEYS.intersection(others))
            problems.extend(self._unknown(raw.place, others))
        preset = _name(raw.cells, "preset", complain) if "preset" in raw.cells else None
        return Row(raw.place, self._identify(raw, complain), values, preset, tuple(problems))

    def read_defaults(self, raw: RawRow) -> Row:
        """Type the defaults that stand above all rows."""
        problems = [
            Problem(f"{raw.place}, column {column}", "belongs to a row, not to the defaults", "move it into the rows")
            for column in ("id", "output_path")
            if column in raw.cells
        ]
        row = RowReader(self.folder, self._ignored).read(raw)
        return Row(raw.place, "defaults", row.values, row.preset, (*problems, *row.problems))

    def unreadable(self, refused: Refused) -> Row:
        """A row that could not be read at all, so that it has a place in the record of failures."""
        self._unreadable += 1
        return Row(Place(refused.problems[0].where, 0), f"unreadable {self._unreadable}", {}, None, refused.problems)

    def notes(self) -> tuple[str, ...]:
        """What was ignored, in a line."""
        return self._ignored.notes()

    def _unknown(self, place: Place, columns: Iterable[str]) -> Iterator[Problem]:
        """The columns that mean nothing, the first of them each with what is near; looking for that takes its time."""
        unknown = [column for column in columns if column not in COLUMNS]
        for column in unknown[:_SUGGESTED]:
            self._suggested += 1
            yield unknown_column(str(place), column, COLUMNS if self._suggested <= _SUGGESTED else ())
        if len(unknown) > _SUGGESTED:
            yield Problem(
                str(place), f"and {len(unknown) - _SUGGESTED:,} more columns are no parameters", "leave them out"
            )

    def _parse(self, name: str, cell: Any) -> Any:
        """A cell as its parameter's value; equal cells of a manifest are read once."""
        if name in _VARIED or not isinstance(cell, str):
            return SONG[name].parse(cell)
        key = (name, cell)
        value = self._cells.get(key)
        if value is None:
            value = SONG[name].parse(cell.strip())
            _keep(self._cells, key, value, _REMEMBERED_CELLS)
        return value

    def _text(self, place: Place, column: str, cell: Any) -> str:
        name = SONG["output_path"].parse(cell).strip()
        text = self._files.get(name)
        if text is None:
            where = f"{place}, column {column}"
            _check_inside(self.folder, name, where)
            text = text_file(self.folder, name, where)
            _keep(self._files, name, text, _REMEMBERED_FILES)
        return text

    def _identify(self, raw: RawRow, complain: Complaint) -> str:
        row_id = _name(raw.cells, "id", complain) or (raw.id_hint or "").strip() or str(raw.place.row)
        if not row_id.isascii():
            row_id = unicodedata.normalize("NFC", row_id)  # macOS stores file names decomposed
        if len(row_id) > _LONGEST_ID or not row_id.isprintable():
            complain(
                "id", f"{shown(row_id)} is too long or not printable", f"use up to {_LONGEST_ID} printable characters"
            )
            return str(raw.place.row)
        first = self._ids.setdefault(row_id.casefold(), raw.place.row)
        if first != raw.place.row:
            complain("id", f"{shown(row_id)} is the id of row {first} too (upper and lower case do not count)",
                     "give every row an id of its own")  # fmt: skip
        return row_id


def _recorded_plan(cells: Mapping[str, Any]) -> str | None:
    """The plan of a song in a row that is a record, as ``planner=from_record`` reads it."""
    record = cells.get("record")
    plan = record.get("plan") if isinstance(record, Mapping) else None
    return json_text(dict(plan)) if isinstance(plan, Mapping) else None


def _keep(memory: dict[Any, Any], key: Any, value: Any, most: int) -> None:
    """Remember a value; what was remembered is forgotten when it is too much."""
    if len(memory) >= most:
        memory.clear()
    memory[key] = value


def _name(cells: Mapping[str, Any], column: str, complain: Complaint) -> str | None:
    """A cell that names something, or None where it is empty."""
    cell = cells.get(column, "")
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        complain(column, f"{shown(cell)} is no name", "write a text")
        return None
    return str(cell).strip() or None


def text_file(folder: Path, name: str, where: str) -> str:
    """The text of a prompt or lyrics file, without empty lines around it.

    Raises:
        Refused: it does not exist, is no file, is too large, or is not UTF-8.
        ValueError: it holds what no text may hold.
    """
    if not _exists(folder / name):
        raise refuse(where, f"{shown(name)} does not exist in {folder.absolute()}", "give the path from there")
    return str(SONG["lyrics"].parse(read_text(folder / name, where, LARGEST_TEXT_BYTES).strip("\n")))


def _check_inside(folder: Path, name: str, where: str) -> None:
    """Refuse a row's text file outside the manifest's folder and the current one.

    Its text ends up in records and tags that are passed on, and a manifest can come from anybody; what the command line
    names is its author's own choice.
    """
    try:
        # Before links are followed, for on Windows even a look at another machine's share tells it who asks.
        named = Path(os.path.normpath(folder.absolute() / name))
        allowed = [each for each in (folder, Path()) if named.is_relative_to(each.absolute())]
        if any((folder / name).resolve().is_relative_to(each.resolve()) for each in allowed):
            return
    except (OSError, RuntimeError, ValueError):  # a name that no file system takes, or a circle of links
        return
    message = f"{shown(name)} lies outside the manifest's folder and the current one"
    remedy = "put the file there; lyrics_file= and prompt_file= on the command line may name any file"
    raise refuse(where, message, remedy)


def _exists(path: Path) -> bool:
    """Whether there is such a file or folder; a text that no file system takes for a name is none."""
    try:
        return path.exists()
    except OSError:
        return False


def _hint(name: str, cell: Any) -> str:
    if name in _TEXTS and isinstance(cell, list):
        text = "[" + ", ".join(str(item) for item in cell) + "]"
        return (
            f"quote it: '{text}' (without quotes YAML reads a list)"
            if name.endswith("lyrics")
            else f"quote it: '{text[1:-1]}'"
        )
    return ""
