"""Files of songs to raw rows, each with the place it stands at; knows formats, not parameters."""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from acestep_batch.problems import Refused, refuse

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".yaml", ".yml", ".parquet")
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: its file, its number from 1 (0 for the defaults), and the line where it is known."""

    file: str
    row: int
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.file} row {self.row}" if self.row else f"{self.file} defaults"
        return where if self.line is None else f"{where} (line {self.line})"


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it stands in the file: cells by column, as text or as JSON values; unset cells are left out."""

    place: Place
    cells: Mapping[str, Any]
    id_hint: str | None = None
    """The id that the file itself gives: a mapping's key, or the stem of a file that holds one row."""


@dataclass(frozen=True, slots=True)
class RawManifest:
    """A manifest before its columns are read. ``rows`` can be walked once; a bad row comes as a Refused."""

    defaults: RawRow | None
    rows: Iterable[RawRow | Refused]
    progress: Callable[[], float]
    """How much of the file has been read, from 0 to 1."""


def open_manifest(path: Path, known_columns: Iterable[str]) -> RawManifest:
    """Open a file of songs or a folder of JSON files.

    Args:
        path: ``.csv .tsv .jsonl .json .yaml .parquet`` or a folder.
        known_columns: names that help to find the delimiter of a CSV file.

    Raises:
        Refused: the file is missing, of another kind, not UTF-8, or damaged as a whole.
    """
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise refuse(f"manifest.path={path}", "there is no such file or folder", "check the path; it is relative to the "
                     "current folder")  # fmt: skip
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _csv(path, frozenset(known_columns))
    if suffix == ".jsonl":
        return _jsonl(path)
    if suffix == ".json":
        return _json(path)
    if suffix in (".yaml", ".yml"):
        return _yaml(path)
    if suffix == ".parquet":
        return _parquet(path)
    raise refuse(f"manifest.path={path}", f"cannot read a {suffix or 'file without suffix'}",
                 f"give one of {' '.join(SUFFIXES)} or a folder of JSON files")  # fmt: skip


def read_text(path: Path, where: str) -> str:
    """A UTF-8 text file, with or without BOM, with line ends as ``\\n``.

    Raises:
        Refused: it cannot be read or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise refuse(where, f"{path} is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    except OSError as error:
        raise refuse(where, f"{path} cannot be read: {error.strerror or error}") from None


def _csv(path: Path, known: frozenset[str]) -> RawManifest:
    total = max(1, path.stat().st_size)
    stream = path.open("rb")
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        first = text.readline()
    except UnicodeDecodeError as error:
        raise refuse(path.name, f"the file is not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    delimiter = max(_DELIMITERS, key=lambda each: _known_names(first, each, known))
    text.seek(0)
    rows = _csv_rows(path, text, delimiter)
    return RawManifest(None, rows, lambda: 1.0 if stream.closed else min(1.0, stream.tell() / total))


def _known_names(header: str, delimiter: str, known: frozenset[str]) -> int:
    return sum(name.strip() in known for name in next(csv.reader([header], delimiter=delimiter), []))


def _csv_rows(path: Path, text: TextIO, delimiter: str) -> Iterator[RawRow | Refused]:
    with text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        number = 0
        try:
            header = [name.strip() for name in next(reader, [])]
            repeated = sorted({name for name in header if header.count(name) > 1})
            if repeated or "" in header:
                problem = f"the header names {', '.join(repeated) or 'a column'} {'twice' if repeated else 'with no text'}"
                yield refuse(f"{path.name} header", problem, "give every column a name of its own")
                return
            line = reader.line_num + 1
            for cells in reader:
                if cells:
                    number += 1
                    place = Place(path.name, number, line)
                    if len(cells) == len(header):
                        yield RawRow(place, {name: cell for name, cell in zip(header, cells, strict=True) if cell})
                    else:
                        yield refuse(str(place), f"has {len(cells)} cells, the header has {len(header)}",
                                     f'quote cells that hold a {delimiter!r}, a quote or a line break as "..."')  # fmt: skip
                line = reader.line_num + 1
        except csv.Error as error:
            yield refuse(f"{path.name} line {reader.line_num}", str(error), "check the quotes of this line")
        except UnicodeDecodeError as error:
            yield refuse(f"{path.name} after line {reader.line_num}", f"not UTF-8 ({error.reason})", "save it as UTF-8")


def parse_json(text: str, where: str) -> Any:
    """JSON, with the comments and trailing commas that the guide's examples have. Duplicate keys are refused.

    Raises:
        Refused: the text is no JSON; says the line.
    """
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, where))
    except (json.JSONDecodeError, RecursionError) as strict_error:
        import json5

        try:
            return json5.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, where))
        except (ValueError, RecursionError):
            reason = (
                f"line {strict_error.lineno}: {strict_error.msg}"
                if isinstance(strict_error, json.JSONDecodeError)
                else "nested too deeply"
            )
            raise refuse(where, f"is not JSON, {reason}", "check commas, quotes and brackets near this line") from None


def _unique(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise refuse(where, f"names {', '.join(repeated)} twice", "keep one of them")
    return mapping


def _json_row(value: Any, place: Place, id_hint: str | None = None) -> RawRow | Refused:
    if not isinstance(value, dict):
        return refuse(str(place), f"is {type(value).__name__}, not a song", 'write a song as {"prompt": ..., ...}')
    cells = {str(name): cell for name, cell in value.items() if cell is not None and not _is_nan(cell)}
    return RawRow(place, cells, id_hint)


def _is_nan(cell: Any) -> bool:
    return isinstance(cell, float) and math.isnan(cell)


def _jsonl(path: Path) -> RawManifest:
    total = max(1, path.stat().st_size)
    stream = path.open("rb")

    def rows() -> Iterator[RawRow | Refused]:
        number = 0
        with stream:
            for line_number, line in enumerate(stream, 1):
                if line_number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if not line.strip():
                    continue
                number += 1
                place = Place(path.name, number, line_number)
                try:
                    yield _json_row(parse_json(line.decode("utf-8"), str(place)), place)
                except UnicodeDecodeError:
                    yield refuse(str(place), "is not UTF-8", "save the file as UTF-8")
                except Refused as refused:
                    yield refused

    return RawManifest(None, rows(), lambda: 1.0 if stream.closed else min(1.0, stream.tell() / total))


def _json(path: Path) -> RawManifest:
    document = parse_json(read_text(path, path.name), path.name)
    return _document(path, document, lambda value, place, hint: _json_row(value, place, hint), lambda value: value)


def _document(
    path: Path,
    document: Any,
    row: Callable[[Any, Place, str | None], RawRow | Refused],
    plain: Callable[[Any], Any],
) -> RawManifest:
    """A whole document: a list of songs, ``{defaults, songs}``, or a single song whose id is the file's stem."""
    top = plain(document)
    defaults: RawRow | Refused | None = None
    if isinstance(top, dict) and ("songs" in top or "defaults" in top):
        if extra := sorted(set(top) - {"songs", "defaults"}):
            raise refuse(path.name, f"unknown key {', '.join(extra)}", "the top level holds defaults and songs")
        if plain(top.get("defaults")) is not None:
            defaults = row(top["defaults"], Place(path.name, 0), None)
        songs = plain(top.get("songs"))
    else:
        songs = top if isinstance(top, list) else {path.stem: document}
    pairs: list[tuple[str | None, Any]]
    if isinstance(songs, dict):
        pairs = [(str(key), value) for key, value in songs.items()]
    elif isinstance(songs, list):
        pairs = [(None, value) for value in songs]
    else:
        raise refuse(path.name, "holds no songs", "write a list of songs, or songs: with one entry each")
    if isinstance(defaults, Refused):
        raise defaults
    rows = (row(value, Place(path.name, number), hint) for number, (hint, value) in enumerate(pairs, 1))
    return RawManifest(defaults, rows, lambda: 1.0)


def _folder(path: Path) -> RawManifest:
    files = sorted(each for each in path.iterdir() if each.suffix.lower() == ".json" and each.is_file())
    if not files:
        raise refuse(f"manifest.path={path}", "the folder holds no .json file", "give a folder of JSON requests, or a file")
    done = 0

    def rows() -> Iterator[RawRow | Refused]:
        nonlocal done
        for done, file in enumerate(files, 1):
            place = Place(file.name, done)
            try:
                yield _json_row(parse_json(read_text(file, str(place)), str(place)), place, file.stem)
            except Refused as refused:
                yield refused

    return RawManifest(None, rows(), lambda: done / len(files))


def _yaml(path: Path) -> RawManifest:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        node = yaml.compose(read_text(path, path.name), Loader=loader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        reason = getattr(error, "problem", None) or "cannot be read"
        raise refuse(path.name, f"is not YAML, {line}{reason}", "check indentation and quotes near this line; quote "
                     "prompts, and write lyrics as a block after |")  # fmt: skip
    if node is None:
        raise refuse(path.name, "is empty", "write a list of songs")

    def row(value: Any, place: Place, hint: str | None) -> RawRow | Refused:
        place = Place(place.file, place.row, value.start_mark.line + 1)
        try:
            cells = _yaml_plain(value, str(place))
        except Refused as refused:
            return refused
        if not isinstance(cells, dict):
            return refuse(str(place), "is not a song", "write a song as prompt: ..., one key a line")
        return _json_row({name: _yaml_cell(cell, str(place), name) for name, cell in cells.items()}, place, hint)

    def plain(value: Any) -> Any:
        return _yaml_plain(value, path.name)

    try:
        return _document(path, node, row, plain)
    except RecursionError:
        raise refuse(path.name, "is nested too deeply") from None


def _yaml_plain(node: Any, where: str) -> Any:
    """One level of a YAML node: a dict or list of nodes, or the text of a scalar (None for null).

    Scalars stay text, so that ``3:30``, ``no`` and ``012`` are what the author wrote; the column decides the type.
    """
    import yaml

    if isinstance(node, yaml.MappingNode):
        return _unique([(str(_yaml_plain(key, where)), value) for key, value in node.value], where)
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag.endswith(":null") else str(node.value)
    return node


def _yaml_cell(node: Any, where: str, name: str) -> Any:
    value = _yaml_plain(node, where)
    if isinstance(value, list):
        return [_yaml_plain(item, where) for item in value]
    if isinstance(value, dict):
        return {key: None for key in value}
    return value


def _parquet(path: Path) -> RawManifest:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise refuse(path.name, f"is not a parquet file: {error}") from None
    total = max(1, table.metadata.num_rows)
    number = 0

    def rows() -> Iterator[RawRow | Refused]:
        nonlocal number
        with table:
            for batch in table.iter_batches(batch_size=1024):
                for value in batch.to_pylist():
                    number += 1
                    yield _json_row(value, Place(path.name, number))

    return RawManifest(None, rows(), lambda: number / total)
