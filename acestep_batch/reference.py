"""Help, tables and the editors' JSON schema, made from the schema; ``python -m`` this module writes the files."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from acestep_batch.demo_words import MODEL, demo_words, words_table
from acestep_batch.measure.columns import Column
from acestep_batch.measure.flags import NEAR_DUPLICATE, RULES, STATES, VERDICT_COLUMNS, Quality
from acestep_batch.parameter import Parameter, plain_number
from acestep_batch.schema import COMMON_PATTERNS, GROUPS, PARAMETERS, RECORD_KEYS, SONG, TEXT_FILES
from acestep_batch.summary_columns import MEASURED_COLUMNS, RECORD_COLUMNS, SONG_COLUMNS

USAGE = """\
usage: python -m acestep_batch [hw=NAME] [model=NAME] [+preset=NAME] [manifest.path=FILE] [key=value ...]
       python -m acestep_batch -m key=1,2,3 ...       a sweep: one run for each combination
       python -m acestep_batch resume | verify | pick FOLDER, inspect FILE     each with a --help of its own
       python -m acestep_batch doctor | download model=v1 [to=DIR] | presets

--json on any of them ends with one JSON object on standard output, for scripts; all else goes to standard error.
Without arguments the four demo songs are rendered. dry_run=true checks everything and renders nothing.
--cfg job --resolve prints the whole configuration; --config-dir DIR adds your own presets and profiles.
"""

_TITLES = {
    "generation": "Song parameters (generation.NAME= or NAME=, and columns of a manifest)",
    "hw": "hw.", "model": "model.", "lm": "lm.", "manifest": "manifest.", "output": "output.", "": "Run",
}  # fmt: skip


def help_text(conf: Path) -> str:
    """What ``--help`` prints: usage, groups, and every parameter with its default and what is allowed."""
    groups = [
        textwrap.fill(
            f"  {group:<10}{', '.join(sorted(each.stem for each in (conf / group).glob('*.yaml')))}",
            120,
            subsequent_indent=" " * 12,
            break_on_hyphens=False,
        )
        for group in GROUPS
    ]
    lines = [USAGE, "Groups (preset is added with +preset=)", *groups]
    for section, parameters in PARAMETERS.items():
        lines += ["", _TITLES[section]]
        for parameter in parameters.values():
            names = " | ".join((parameter.name, *parameter.aliases))
            lines += [
                textwrap.fill(
                    f"{names} = {_default(parameter)}   [{parameter.allowed}]",
                    120,
                    initial_indent="  ",
                    subsequent_indent="      ",
                    break_on_hyphens=False,
                ),
                textwrap.fill(parameter.meaning, 96, initial_indent="      ", subsequent_indent="      "),
            ]
    lines += [
        "",
        "Text files",
        *(f"  {key} = FILE   the {name}, from a UTF-8 file" for key, name in TEXT_FILES.items()),
    ]
    lines += ["", "  preset_file = FILE   a preset in the guide's JSON format"]
    return "\n".join(lines)


def markdown_table(section: str) -> str:
    """The parameters of a section as a Markdown table."""
    rows = []
    for parameter in PARAMETERS[section].values():
        default = f"`{_default(parameter)}` {parameter.unit}".strip()
        guide = str(parameter.guide) if parameter.guide is not None else ""
        rows.append((_names(parameter), default, parameter.allowed, guide, parameter.meaning, parameter.source))
    return _table(("name", "default", "allowed", "guide's range", "meaning", "source"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _names(parameter: Parameter) -> str:
    return ", ".join(f"`{name}`" for name in (parameter.name, *parameter.aliases))


def parameters_page() -> str:
    """``docs/parameters.md``."""
    parts = [
        "# Parameters",
        "",
        "Made from `acestep_batch/schema*.py` by `python -m acestep_batch.reference`; do not edit.",
    ]
    titles = {"generation": "Song parameters", "": "The run"}
    for section in PARAMETERS:
        parts += ["", f"## {titles.get(section, f'`{section}.`')}", "", markdown_table(section)]
    return "\n".join(parts) + "\n"


def columns_table(columns: Iterable[Column]) -> str:
    """Columns of the summary as a Markdown table."""
    rows = [(f"`{each.name}`", each.unit, f"`{each.dtype}`", each.meaning, each.source) for each in columns]
    return _table(("column", "unit", "type", "meaning", "after"), rows)


def flags_table() -> str:
    """The rules that judge a measurement as a Markdown table."""
    rows = [(rule.level, f"`{rule.column}`", rule.limit, rule.why) for rule in RULES]
    rows += [(state.level, "", state.says, state.why) for state in STATES]
    rows += [(Quality.WARN, "`similarity`", f"{NEAR_DUPLICATE} or more", "another song of the run is nearly the same")]
    return _table(("quality", "column", "when", "why"), rows)


def patterns_table() -> str:
    """The guide's Common Patterns as problem and overrides."""
    rows = [(problem, advice, f"`{' '.join(overrides)}`") for problem, advice, overrides in COMMON_PATTERNS]
    return _table(("problem", "the guide's advice", "overrides"), rows)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a manifest (JSON or YAML), for completion and checks in editors."""
    properties: dict[str, Any] = {
        "id": {"type": ["string", "integer"], "description": "Name of the song; decides its seed where none is given."},
        "preset": {"type": "string", "description": "A preset for this song alone; it replaces the run's."},
    }
    for key, name in TEXT_FILES.items():
        description = f"A UTF-8 text file with the {name}, relative to the manifest."
        properties[key] = {"type": "string", "description": description}
    for parameter in SONG.values():
        for name in (parameter.name, *parameter.aliases):
            properties[name] = _property(parameter)
    properties |= {key: {"description": "Ignored: it records a past run."} for key in sorted(RECORD_KEYS)}
    song = {"type": "object", "properties": properties}
    songs = {"type": "array", "items": {"$ref": "#/$defs/song"}}
    named = {"type": "object", "additionalProperties": {"$ref": "#/$defs/song"}}
    document = {
        "type": "object",
        "properties": {"defaults": {"$ref": "#/$defs/song"}, "songs": {"anyOf": [songs, named]}},
        "required": ["songs"],
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "acestep_batch manifest",
        "anyOf": [document, songs, {"$ref": "#/$defs/song"}],
        "$defs": {"song": song},
    }


def _property(parameter: Parameter) -> dict[str, Any]:
    numbers = {"type": "integer"} | _bounds(parameter)
    kinds: Mapping[str, dict[str, Any]] = {
        "float": {"type": "number"} | _bounds(parameter),
        "int": numbers,
        "bool": {"type": "boolean"},
        "str": {"type": "string"},
        "choice": {"enum": list(parameter.choices)},
        "ints": {"type": "array", "items": numbers},
        "floats": _one_or_several({"type": "number"} | _bounds(parameter)),
        "names": _one_or_several({"type": "string"}),
        "choices": _one_or_several({"enum": list(parameter.choices)}),
        "codes": {"anyOf": [{"type": "array", "items": numbers}, {"type": "string"}]},
        "seeds": {"anyOf": [numbers, {"type": "array", "items": numbers}, {"const": "random"}]},
    }
    found = dict(kinds[parameter.kind])
    if parameter.nullable:
        found = {"anyOf": [found, {"type": "null"}]}
    default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    return found | {"description": parameter.meaning, "default": default}


def _one_or_several(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [dict(item), {"type": "array", "items": dict(item)}]}


def _bounds(parameter: Parameter) -> dict[str, Any]:
    allowed = parameter.hard
    if allowed is None or allowed.also:
        return {}
    low, high = allowed.low, allowed.high
    bounds: dict[str, Any] = {} if low == float("-inf") else {"exclusiveMinimum" if allowed.above else "minimum": low}
    return bounds if high == float("inf") else bounds | {"maximum": high}


def _default(parameter: Parameter) -> str:
    value = parameter.default
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return plain_number(value) if isinstance(value, int | float) else repr(value)


def generated_files(root: Path) -> dict[Path, str]:
    """Every generated file with what it should hold; the others keep the text around their tables."""
    guide, readme, outputs = root / "docs" / "guide.md", root / "README.md", root / "docs" / "outputs.md"
    measured = between_marks(
        outputs.read_text(encoding="utf-8"),
        "measurements",
        columns_table((*MEASURED_COLUMNS, *VERDICT_COLUMNS)),
    )
    recorded = between_marks(measured, "records", columns_table(RECORD_COLUMNS))
    asked = between_marks(recorded, "songs", columns_table(SONG_COLUMNS))
    words, embedded = demo_words(MODEL), root / "docs" / "embedded.md"
    listed = (
        {} if words is None else {embedded: between_marks(embedded.read_text("utf-8"), "words", words_table(words))}
    )
    return listed | {
        root / "docs" / "parameters.md": parameters_page(),
        root / "docs" / "manifest.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        guide: between_marks(guide.read_text(encoding="utf-8"), "patterns", patterns_table()),
        outputs: between_marks(asked, "flags", flags_table()),
        readme: between_marks(readme.read_text(encoding="utf-8"), "parameters", short_table()),
    }


def short_table() -> str:
    """The song parameters in short, for the README."""
    rows = [(_names(parameter), f"`{_default(parameter)}`", parameter.allowed) for parameter in SONG.values()]
    return _table(("parameter", "default", "allowed"), rows)


def between_marks(text: str, name: str, content: str) -> str:
    """``text`` with ``content`` between ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: the marks are not there.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = text.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the marks {start} and {end} are missing")
    return f"{before}{start}\n{content}\n{end}{after}"


def main(root: Path) -> None:
    """Write every generated file of a checkout."""
    for path, text in generated_files(root).items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(root), file=sys.stderr)


if __name__ == "__main__":
    main(Path(__file__).resolve().parents[1])
