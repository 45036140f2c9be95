"""Records to the model of a report's page: songs, what they share, columns, and the axes to lay them out on.

Knows no HTML and reads no files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from acestep_batch.outputs.records import json_text
from acestep_batch.report.source import Source
from acestep_batch.schema import SONG, SONG_NAMES

Value = str | int | float | bool | None

QUALITIES = ("ok", "warn", "fail")

_TEXTS = ("prompt", "lyrics")
_UNSHOWN = frozenset({*_TEXTS, "actual_seeds", "device_id", "output_path"})
"""Parameters that are no columns: the texts, the seed under its other name, and what has no part in the sound."""
_FEWEST, _MOST = 2, 60
"""How many values an axis has."""
_TOLD = 4
"""The most settings in a title, where nothing was swept."""


@dataclass(frozen=True, slots=True)
class Column:
    """Something that songs can be sorted, filtered and compared by."""

    name: str
    is_number: bool
    is_setting: bool
    """Whether it was asked for, and did not come out: blind listening hides both, a song's title shows only these."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One song, or one row that was not made."""

    key: str
    """Names it across reports: the same song of the same run has the same key in each."""
    id: str
    run: str
    error: str
    """Why there is no audio; empty where there is."""
    prompt: str
    lyrics: str
    own: Mapping[str, Any]
    """The parameters that not all songs share, the texts left out: with ``Page.common`` they are all of them."""
    values: tuple[Value, ...]
    """One for each of the page's columns."""
    files: tuple[Path, ...]
    """Absolute, the first of them to be played; empty where there is no audio."""
    pcm_sha256: str
    duration_s: float
    identity: str
    quality: str
    """``ok``, ``warn`` or ``fail``, or empty where nobody judged it."""
    reasons: tuple[str, ...]
    measurements: Mapping[str, Value]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """All that a report shows."""

    title: str
    facts: tuple[tuple[str, str], ...]
    """Lines about the whole, as name and text."""
    common: Mapping[str, Any]
    """The parameters that all songs share, the texts left out."""
    columns: tuple[Column, ...]
    telling: tuple[str, ...]
    """The settings that a song's title names: those that were swept, from which the others follow, or the first few."""
    axes: tuple[str, ...]
    """Columns that a grid can be laid out on, the swept ones first."""
    grid: tuple[str, str, str] | None
    """Rows, columns and groups of the grid to begin with; groups may be empty. None where no grid makes sense."""
    songs: tuple[Entry, ...]


def page_of(sources: Sequence[Source]) -> Page:
    """The page of one or several runs."""
    records = [(source, record) for source in sources for record in source.records]
    asked = [record for _, record in records if "seed" in record]
    common = _shared(asked, [name for name in SONG if name not in _TEXTS])
    told = {name for record in asked for name in record}
    differing = [name for name in SONG if name in told and name not in common and name not in _UNSHOWN]
    swept = _swept_columns(record for _, record in records)
    rows = [Row(_settings(source, record, swept, differing), _results(record)) for source, record in records]
    columns = _columns(rows)
    axes = _axes([*swept.values(), "run", "row", "take", "preset", *differing, "id", "seed"], columns, rows)
    songs = [_entry(source, record, row, columns, common) for (source, record), row in zip(records, rows, strict=True)]
    return Page(
        title=" and ".join(source.name for source in sources) if len(sources) < 4 else f"{len(sources)} runs",
        facts=tuple(_facts(sources, songs)),
        common=common,
        columns=columns,
        telling=_telling(columns, set(swept.values())),
        axes=tuple(axes),
        grid=_grid(axes, rows),
        songs=tuple(songs),
    )


def plain(value: Any) -> Value:
    """A parameter's value as a cell shows it."""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return value if value is None or isinstance(value, str | int | float | bool) else json_text(value)


def title_of(page: Page, song: Entry) -> str:
    """A song's id, with the settings that tell it from the others."""
    settings = [
        f"{column.name} {text_of(value)}"
        for column, value in zip(page.columns, song.values, strict=True)
        if column.is_setting and column.name in page.telling and value is not None
    ]
    return ", ".join([song.id, *settings])


def text_of(value: Value) -> str:
    """A cell in words: numbers short, true and false as they are written, nothing for what is not set."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _shared(records: Sequence[Mapping[str, Any]], names: Iterable[str]) -> dict[str, Any]:
    """What has one value, to the type, in all records."""
    found = {}
    for name in names:
        values = {json_text(record[name]) if name in record else "" for record in records}
        if len(values) == 1 and "" not in values:
            found[name] = records[0][name]
    return found


def _swept_columns(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The column of each swept key: a parameter's, where it is one, or a new one."""
    keys = dict.fromkeys(key for record in records for key in record if key.startswith("sweep."))
    found = {}
    for key in keys:
        word = key.removeprefix("sweep.").lstrip("+")
        name = SONG_NAMES.get(word.removeprefix("generation."), word)
        found[key] = "seed" if name == "actual_seeds" else name
    return found


def _settings(
    source: Source, record: Mapping[str, Any], swept: Mapping[str, str], differing: Sequence[str]
) -> dict[str, Value]:
    """What was asked of a song that may tell it from the others, by the column's name, what was swept first."""
    found: dict[str, Value] = {"id": str(record["id"]), "run": source.name, "row": str(record.get("row", ""))}
    others = {name: record.get(key) for key, name in swept.items() if name not in SONG and name != "seed"}
    own = {"preset": record.get("preset"), "model": record.get("model")}
    own |= {name: record.get(name) for name in (*differing, "take", "seed")} | others
    order = dict.fromkeys((*swept.values(), *own))
    return found | {name: plain(own[name]) for name in order if name in own}


def _results(record: Mapping[str, Any]) -> dict[str, Value]:
    """What came out, by the column's name."""
    measured = record.get("measurements")
    named = {name: record.get(name) for name in ("status", "duration_s", "quality")}
    named |= measured if isinstance(measured, Mapping) else {}
    named |= {name: value for name, value in (record.get("scores") or {}).items() if name not in named}
    named |= {name: record.get(name) for name in ("clipped_samples", "seconds")}
    return {name: plain(value) for name, value in named.items()}


@dataclass(frozen=True, slots=True)
class Row:
    """A song's cells by the column's name."""

    settings: Mapping[str, Value]
    results: Mapping[str, Value]


def _columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """The columns that say something: the id, numbers that were measured, and all else that is not everywhere equal."""
    always = {"id", "seed", "duration_s", "seconds"}
    found = []
    for is_setting in (True, False):
        cells = [row.settings if is_setting else row.results for row in rows]
        for name in dict.fromkeys(name for each in cells for name in each):
            values = [each.get(name) for each in cells]
            known = [value for value in values if value is not None]
            is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
            is_measured = not is_setting and name not in ("status", "clipped_samples")
            if not known or (name not in always and not is_measured and len(set(values)) < _FEWEST):
                continue
            if name == "row" and all(row.settings["row"] == row.settings["id"] for row in rows):
                continue
            found.append(Column(name, is_number, is_setting))
    return tuple(found)


def _telling(columns: Iterable[Column], swept: Container[str]) -> tuple[str, ...]:
    names = [column.name for column in columns if column.is_setting and column.name not in ("id", "row")]
    return tuple([name for name in names if name in swept or name == "run"] if swept else names[:_TOLD])


def _axes(names: Iterable[str], columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """Settings with several values, but not so many that a grid could not be seen."""
    settings = {column.name for column in columns if column.is_setting}
    found = []
    for name in dict.fromkeys(names):
        values = {row.settings.get(name) for row in rows}
        if name in settings and None not in values and _FEWEST <= len(values) <= _MOST:
            found.append(name)
    return found


def _grid(axes: Sequence[str], rows: Sequence[Row]) -> tuple[str, str, str] | None:
    """The first two axes whose cells are mostly taken, the longer one downwards, and one that parts what shares a cell.

    An axis whose values follow from another's is passed over: it would be a diagonal.
    """

    def cells(*names: str) -> int:
        return len({tuple(row.settings[name] for name in names) for row in rows})

    for one, other in combinations(axes, 2):
        if cells(one, other) * 2 <= cells(one) * cells(other) or cells(one, other) in (cells(one), cells(other)):
            continue
        down, across = (one, other) if cells(one) >= cells(other) else (other, one)
        rest = [axis for axis in axes if axis not in (one, other)]
        taken = cells(one, other)
        parting = next((axis for axis in rest if cells(one, other, axis) > taken), "")
        return down, across, parting
    return None


def _entry(
    source: Source, record: Mapping[str, Any], row: Row, columns: Sequence[Column], common: Mapping[str, Any]
) -> Entry:
    is_made = record.get("status") == "ok"
    measured = record.get("measurements")
    words = (source.key, record.get("cell", ""), record["id"], record.get("identity") or "")
    quality = str(record.get("quality") or "")
    return Entry(
        key=hashlib.sha256(json_text(words).encode("utf-8")).hexdigest()[:20],
        id=str(record["id"]),
        run=source.name,
        error="" if is_made else str(record.get("error") or "not made"),
        prompt=str(record.get("prompt") or ""),
        lyrics=str(record.get("lyrics") or ""),
        own={name: record[name] for name in SONG if name in record and name not in common and name not in _TEXTS},
        values=tuple((row.settings if column.is_setting else row.results).get(column.name) for column in columns),
        files=tuple(source.folder / str(name) for name in record.get("files") or ()) if is_made else (),
        pcm_sha256=str(record.get("pcm_sha256") or ""),
        duration_s=float(record.get("duration_s") or 0.0),
        identity=str(record.get("identity") or ""),
        quality=quality if quality in QUALITIES else "",
        reasons=tuple(map(str, record.get("quality_reasons") or ())),
        measurements={str(name): plain(value) for name, value in measured.items()}
        if isinstance(measured, Mapping)
        else {},
        notes=tuple(map(str, record.get("notes") or ())),
    )


def _facts(sources: Sequence[Source], songs: Sequence[Entry]) -> Iterable[tuple[str, str]]:
    records = [record for source in sources for record in source.records]
    if times := sorted(str(record["finished_at"]) for record in records if record.get("finished_at")):
        days = dict.fromkeys((times[0][:10], times[-1][:10]))
        yield "made", " to ".join(days)
    if models := sorted({str(record["model"]) for record in records if record.get("model")}):
        yield "model", ", ".join(models)
    if presets := sorted({str(record["preset"]) for record in records if record.get("preset")}):
        yield "preset", ", ".join(presets)
    for source in sources:
        if source.command:
            yield ("command" if len(sources) == 1 else source.name), source.command
