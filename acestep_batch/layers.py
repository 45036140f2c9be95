"""One layer of configuration, as plain data, to typed values; every problem with the key that it stands at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from acestep_batch.manifest import text_file
from acestep_batch.manifest_documents import parse_json
from acestep_batch.manifest_rows import LARGEST_TEXT_BYTES, read_text
from acestep_batch.parameter import did_you_mean, named, parameters_of
from acestep_batch.problems import Problem, Refused
from acestep_batch.schema import SONG, SONG_NAMES, TEXT_FILES
from acestep_batch.schema_run import Hardware

Values = Mapping[str, Any]
EMPTY: Values = MappingProxyType({})
_Section = TypeVar("_Section")
_SUGGESTED = 100
"""After so many problems none says any more what may have been meant, which takes time to find."""


def song_values(values: Mapping[str, Any], prefix: str, problems: list[Problem], folder: Path | None = None) -> Values:
    """Type the song parameters of one layer; what is wrong goes to ``problems``.

    Args:
        prefix: what stands before a parameter's name in a complaint.
        folder: where text files (``lyrics_file``) are looked up; None where they are not allowed.
    """
    typed: dict[str, Any] = {}
    for key, value in values.items():
        where = f"{prefix}{key}={_short(value)}" if not prefix else f"{prefix}{key}"
        name = SONG_NAMES.get(key)
        if key in TEXT_FILES and folder is not None:
            name = TEXT_FILES[key]
            if value is None:
                continue
        elif name is None:
            near = did_you_mean(key, SONG_NAMES) if len(problems) < _SUGGESTED else ""
            problems.append(Problem(where, f"is no parameter of a song{near}", "`python -m acestep_batch --help`"))
            continue
        if typed.get(name) is not None:
            problems.append(Problem(where, f"sets {name}, which is set already", "keep one of them"))
            continue
        try:
            typed[name] = (
                text_file(folder, str(value), where)
                if key in TEXT_FILES and folder is not None
                else SONG[name].parse(value)
            )
        except ValueError as error:
            problems.append(Problem(where, str(error)))
        except Refused as refused:
            problems.extend(refused.problems)
    return MappingProxyType(typed)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def without_files(base: Values, problems: list[Problem]) -> Values:
    """The lowest layer without the names of text files, which it may not set."""
    # They stand there with null, so that they can be given on the command line.
    for name in TEXT_FILES:
        if base.get(name) is not None:
            problems.append(
                Problem(f"configuration: {name}", "belongs to the command line or to a row", "move it there")
            )
    return {name: value for name, value in base.items() if name not in TEXT_FILES}


def typed_presets(load_preset: Callable[[str], Values]) -> Callable[[str], Values]:
    """A loader that types each preset once, and refuses a wrong one every time."""
    loaded: dict[str, Values | Refused] = {}

    def load(name: str) -> Values:
        if name not in loaded:
            problems: list[Problem] = []
            try:
                values = song_values(load_preset(name), f"preset {name}: ", problems)
                loaded[name] = Refused(problems) if problems else values
            except Refused as refused:
                loaded[name] = refused
        found = loaded[name]
        if isinstance(found, Refused):
            raise Refused(found.problems)
        return found

    return load


def pair_problems(hw: Hardware) -> list[Problem]:
    """What is wrong with the profile's recommended ranges."""
    pairs = {"recommended_steps": hw.recommended_steps, "recommended_guidance": hw.recommended_guidance}
    return [
        Problem(
            f"hw.{name}={list(pair)}",
            "is not a lowest and a highest value",
            "write two numbers, as [50, 60], or [] for none",
        )
        for name, pair in pairs.items()
        if pair and (len(pair) != 2 or pair[0] > pair[1])
    ]


def preset_file_values(path: str | None, problems: list[Problem]) -> Values:
    """A preset in the guide's own format: ``{"name", "description", "parameters"}``, comments allowed."""
    if path is None:
        return EMPTY
    where = f"preset_file={path}"
    try:
        document = parse_json(read_text(Path(path), where, LARGEST_TEXT_BYTES), where)
    except Refused as refused:
        problems.extend(refused.problems)
        return EMPTY
    if not isinstance(document, dict) or not isinstance(document.get("parameters"), dict):
        problems.append(
            Problem(where, 'has no "parameters"', 'write {"name": ..., "description": ..., "parameters": {...}}')
        )
        return EMPTY
    if extra := sorted(set(document) - {"name", "description", "parameters"}):
        problems.append(Problem(where, f"unknown key {named(extra)}", "allowed: name, description, parameters"))
    return song_values(document["parameters"], f"{where}: ", problems)


def section(kind: type[_Section], values: Any, key: str, problems: list[Problem]) -> _Section:
    """A section of the configuration as its dataclass; what is wrong goes to ``problems``."""
    parameters = parameters_of(kind)
    typed: dict[str, Any] = {}
    if not isinstance(values, Mapping):
        problems.append(Problem(key, f"{values!r} is no section", f"allowed below {key}: {', '.join(parameters)}"))
        values = {}
    for name, value in values.items():
        where = f"{key}.{name}" if key else str(name)
        if name not in parameters:
            problems.append(
                Problem(where, f"is no parameter{did_you_mean(name, parameters)}", f"allowed: {', '.join(parameters)}")
            )
            continue
        try:
            typed[name] = parameters[name].parse(value)
        except ValueError as error:
            problems.append(Problem(f"{where}={_short(value)}", str(error)))
    return kind(**typed)
