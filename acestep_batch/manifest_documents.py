"""Documents of songs, JSON, JSON lines and YAML, to raw rows; comments allowed, repeated keys refused."""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from acestep_batch.manifest_rows import Place, RawManifest, RawRow, read_text
from acestep_batch.parameter import named
from acestep_batch.plain_yaml import check_tag, compose_yaml
from acestep_batch.problems import Refused, refuse

_FLAT = "a song is one level of keys and values"
_COMMENTS = re.compile(
    r"""
    "(?:[^"\\]|\\.)*+(?:"|\Z)                           # a text: kept
    | //[^\n]* | /\*(?:.*?\*/|.*)                        # comments
    | ,(?=(?:\s|//[^\n]*|/\*.*?\*/)*+[}\]])             # a comma before a closing bracket
    """,
    re.VERBOSE | re.DOTALL,
)
"""A text or comment without an end reaches to the end of the file, so that it is read once, not from every start."""


def parse_json(text: str, where: str) -> Any:
    """JSON, with the comments and trailing commas that people's files have. Duplicate keys are refused.

    Raises:
        Refused: the text is no JSON; says the line.
    """
    try:
        return _strict_json(text, where)
    except ValueError:
        plain = _COMMENTS.sub(lambda found: found[0] if found[0][0] == '"' else "\n" * found[0].count("\n"), text)
    except RecursionError:
        raise refuse(where, "is nested too deeply", _FLAT) from None
    try:
        return _strict_json(plain, where)
    except json.JSONDecodeError as error:
        reason = f"line {error.lineno}: {error.msg}"
    except ValueError as error:
        reason = str(error)
    except RecursionError:
        raise refuse(where, "is nested too deeply", _FLAT) from None
    raise refuse(where, f"is not JSON, {reason}", "check commas, quotes and brackets near this line")


def _strict_json(text: str, where: str) -> Any:
    return json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, where), parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number (write null for what is not set)")


def _unique(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        times = Counter(name for name, _ in pairs)
        raise refuse(
            where, f"names {named(sorted(name for name in times if times[name] > 1))} twice", "keep one of them"
        )
    return mapping


def _json_row(value: Any, place: Place, id_hint: str | None = None) -> RawRow | Refused:
    if not isinstance(value, dict):
        return refuse(str(place), f"is {type(value).__name__}, not a song", 'write a song as {"prompt": ..., ...}')
    return RawRow(place, {name: cell for name, cell in value.items() if cell is not None}, id_hint)


def jsonl_manifest(path: Path) -> RawManifest:
    """A song on each line."""
    total = max(1, path.stat().st_size)
    stream: BinaryIO | None = None

    def rows() -> Iterator[RawRow | Refused]:
        nonlocal stream
        number = 0
        with path.open("rb") as stream:
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

    def progress() -> float:
        return 0.0 if stream is None else 1.0 if stream.closed else min(1.0, stream.tell() / total)

    return RawManifest(None, rows(), progress)


def json_manifest(path: Path) -> RawManifest:
    """A JSON document of songs.

    Raises:
        Refused: it is no JSON, or holds no songs.
    """
    document = parse_json(read_text(path, path.name), path.name)
    return _document(path, document, _json_row, lambda value: value)


def folder_manifest(path: Path) -> RawManifest:
    """A folder of JSON files with a song each, in the order of their names.

    Raises:
        Refused: it holds no JSON file.
    """
    files = sorted(
        (each for each in path.iterdir() if each.suffix.lower() == ".json" and each.is_file()),
        key=lambda file: file.name,
    )
    if not files:
        raise refuse(
            f"manifest.path={path}", "the folder holds no .json file", "give a folder of JSON requests, or a file"
        )
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
            raise refuse(path.name, f"unknown key {named(extra)}", "the top level holds defaults and songs")
        if plain(top.get("defaults")) is not None:
            defaults = row(top["defaults"], Place(path.name, 0), None)
        songs = plain(top.get("songs"))
    else:
        songs = top if isinstance(top, list) else {path.stem: document}
    pairs: list[tuple[str | None, Any]]
    if isinstance(songs, dict):
        pairs = list(songs.items())
    elif isinstance(songs, list):
        pairs = [(None, value) for value in songs]
    else:
        raise refuse(path.name, "holds no songs", "write a list of songs, or songs: with one entry each")
    if isinstance(defaults, Refused):
        raise defaults
    rows = (row(value, Place(path.name, number), hint) for number, (hint, value) in enumerate(pairs, 1))
    return RawManifest(defaults, rows, lambda: 1.0)


def yaml_manifest(path: Path) -> RawManifest:
    """A YAML document of songs. Aliases are followed one level at a time, so that nothing multiplies.

    Raises:
        Refused: it is no YAML, is nested too deeply, or holds no songs.
    """
    remedy = "check indentation and quotes near this line; quote prompts, and write lyrics as a block after |"
    node = compose_yaml(read_text(path, path.name), path.name, remedy)
    if node is None:
        raise refuse(path.name, "is empty", "write a list of songs")

    def row(value: Any, place: Place, hint: str | None) -> RawRow | Refused:
        place = Place(place.file, place.row, value.start_mark.line + 1)
        try:
            cells = _yaml_plain(value, str(place))
            if not isinstance(cells, dict):
                return refuse(str(place), "is not a song", "write a song as prompt: ..., one key a line")
            return _json_row({name: _yaml_cell(cell, str(place)) for name, cell in cells.items()}, place, hint)
        except Refused as refused:
            return refused

    return _document(path, node, row, lambda value: _yaml_plain(value, path.name))


def _yaml_plain(node: Any, where: str) -> Any:
    """One level of a YAML node: a dict or list of nodes, or the text of a scalar (None for null).

    Scalars stay text, so that ``3:30``, ``no`` and ``012`` are what the author wrote; the column decides the type. The
    line end that closes a block after ``|`` is not part of the text, as in the other formats.
    """
    if isinstance(node, yaml.Node):
        check_tag(node, where)
    if isinstance(node, yaml.MappingNode):
        return _unique([(_yaml_key(key, where), value) for key, value in node.value], where)
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.ScalarNode):
        if node.tag.endswith(":null"):
            return None
        return node.value.removesuffix("\n") if node.style in ("|", ">") else node.value
    return node


def _yaml_key(node: Any, where: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise refuse(where, "has a key that is no plain text", "write keys as prompt: ...")
    check_tag(node, where)
    return str(node.value)


def _yaml_cell(node: Any, where: str) -> Any:
    """A cell: a text, or a list of texts; what is nested deeper is no parameter's value and only hinted at."""
    value = _yaml_plain(node, where)
    if isinstance(value, list):
        items = [_yaml_plain(item, where) for item in value]
        return ["[...]" if isinstance(item, list) else "{...}" if isinstance(item, dict) else item for item in items]
    return dict.fromkeys(value) if isinstance(value, dict) else value
