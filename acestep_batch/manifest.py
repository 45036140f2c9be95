"""Raw rows to typed rows: aliases, text files, ids, and every complaint with its place and column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acestep_batch.manifest_files import Place, RawRow, read_text
from acestep_batch.parameter import did_you_mean, shown
from acestep_batch.problems import Problem, Refused
from acestep_batch.schema import OTHER_TASK_KEYS, RECORD_KEYS, SONG, SONG_NAMES, TEXT_FILES

ROW_KEYS = frozenset({"id", "preset", "task", "lora_name_or_path", "lora_weight", "record"})
COLUMNS = frozenset({*SONG_NAMES, *TEXT_FILES, *ROW_KEYS, *OTHER_TASK_KEYS, *RECORD_KEYS})
"""Every name that a column may have."""

_TEXTS = frozenset({"prompt", "lyrics", "output_path"})
_LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One row as the configuration sees it: typed values of the song parameters that it sets."""

    place: Place
    id: str
    values: Mapping[str, Any]
    preset: str | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class RowReader:
    """Reads the rows of one manifest; remembers ids (to refuse a second one) and what it ignored (for one note each)."""

    folder: Path
    _ids: dict[str, int] = field(default_factory=dict)
    _parsed: dict[tuple[str, str], Any] = field(default_factory=dict)
    _ignored: Counter[str] = field(default_factory=Counter)
    _unreadable: int = 0

    def read(self, raw: RawRow) -> Row:
        """Type every cell; problems stand in the row, nothing is raised."""
        problems: list[Problem] = []
        values: dict[str, Any] = {}
        preset: str | None = None
        where = str(raw.place)

        def complain(column: str, message: str, remedy: str = "") -> None:
            problems.append(Problem(f"{where}, column {column}", message, remedy))

        for column, cell in raw.cells.items():
            if (name := SONG_NAMES.get(column) or TEXT_FILES.get(column)) is not None:
                if name in values:
                    complain(column, f"sets {name}, which another column of this row sets too", "keep one of them")
                    continue
                try:
                    is_file = column in TEXT_FILES
                    values[name] = self._text_file(str(cell), f"{where}, column {column}") if is_file else self._parse(name, cell)
                except ValueError as error:
                    complain(column, str(error), _hint(name, cell))
                except Refused as refused:
                    problems.extend(refused.problems)
            elif column == "preset":
                preset = str(cell).strip()
            elif column in OTHER_TASK_KEYS or column in RECORD_KEYS:
                self._ignored[column] += 1
            elif column not in ROW_KEYS:
                complain(column, f"is no parameter{did_you_mean(column, COLUMNS)}", "see `python -m acestep_batch --help`")
        _check_task(raw.cells, complain)
        self._check_lora(raw.cells, complain)
        row_id = self._identify(raw, complain)
        return Row(raw.place, row_id, values, preset, tuple(problems))

    def read_defaults(self, raw: RawRow) -> Row:
        """Type the defaults that stand above all rows."""
        problems = [
            Problem(f"{raw.place}, {column}", "belongs to a row, not to the defaults", "move it into the rows")
            for column in ("id", "output_path")
            if column in raw.cells
        ]
        row = RowReader(self.folder).read(raw)
        return Row(raw.place, "defaults", row.values, row.preset, (*problems, *row.problems))

    def unreadable(self, refused: Refused) -> Row:
        """A row that could not be read at all, so that it has a place in the record of failures."""
        self._unreadable += 1
        return Row(Place(refused.problems[0].where, 0), f"unreadable {self._unreadable}", {}, None, refused.problems)

    def notes(self) -> tuple[str, ...]:
        """What was ignored, a line for each reason."""
        lines = []
        for keys, reason in ((RECORD_KEYS, "they record a past run"), (OTHER_TASK_KEYS, "text2music does not use them")):
            if found := sorted(key for key in keys if self._ignored[key]):
                rows = max(self._ignored[key] for key in found)
                lines.append(f"ignored in {rows} {'row' if rows == 1 else 'rows'}: {', '.join(found)} ({reason})")
        return tuple(lines)

    def _parse(self, name: str, cell: Any) -> Any:
        if name in _TEXTS or not isinstance(cell, str):
            return SONG[name].parse(cell)
        key = (name, cell)
        if key not in self._parsed:
            value = SONG[name].parse(cell.strip())
            if len(self._parsed) > 100_000:
                self._parsed.clear()
            self._parsed[key] = value
        return self._parsed[key]

    def _text_file(self, name: str, where: str) -> str:
        return text_file(self.folder / name.strip(), where)

    def _identify(self, raw: RawRow, complain: Any) -> str:
        given = str(raw.cells.get("id", "")).strip() or raw.id_hint
        row_id = given or str(raw.place.row)
        if len(row_id) > _LONGEST_ID or not row_id.isprintable():
            complain("id", f"{shown(row_id)} is too long or not printable", f"use up to {_LONGEST_ID} printable characters")
        first = self._ids.setdefault(row_id.casefold(), raw.place.row)
        if first != raw.place.row:
            complain("id", f"{shown(row_id)} is the id of row {first} too (upper and lower case do not count)",
                     "give every row an id of its own")  # fmt: skip
        return row_id

    def _check_lora(self, cells: Mapping[str, Any], complain: Any) -> None:
        lora = str(cells.get("lora_name_or_path", "none")).strip()
        if lora.lower() in ("", "none"):
            return
        if (self.folder / lora).exists():
            complain("lora_name_or_path", f"{shown(lora)}: this version renders without LoRA only", "write none")
        else:
            complain("lora_name_or_path", f"{shown(lora)} does not exist on this machine", "write none, or give its folder")


def text_file(path: Path, where: str) -> str:
    """The text of a prompt or lyrics file.

    Raises:
        Refused: it does not exist, is no file, or is not UTF-8.
    """
    if not path.is_file():
        raise Refused([Problem(where, f"{path} does not exist", "the path is relative to the manifest")])
    return read_text(path, where).strip("\n")


def _check_task(cells: Mapping[str, Any], complain: Any) -> None:
    task = str(cells.get("task", "text2music")).strip()
    if task not in ("", "text2music"):
        complain("task", f"{shown(task)} is not a task of this version; allowed: text2music")


def _hint(name: str, cell: Any) -> str:
    if name in ("prompt", "lyrics") and isinstance(cell, list):
        text = "[" + ", ".join(str(item) for item in cell) + "]"
        return f"quote it: '{text}' (without quotes YAML reads a list)" if name == "lyrics" else f"quote it: '{text[1:-1]}'"
    return ""
