"""Layers of configuration to one typed run, and a row's settings from the layers that decide them.

Lowest first: schema, config.yaml, model, hw, preset, manifest defaults, row's preset, row, command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from acestep_batch.manifest import Row, text_file
from acestep_batch.manifest_documents import parse_json
from acestep_batch.manifest_rows import read_text
from acestep_batch.parameter import did_you_mean, parameters_of
from acestep_batch.problems import Problem, Refused
from acestep_batch.schema import (
    SONG,
    SONG_NAMES,
    TEXT_FILES,
    Hardware,
    ManifestSource,
    Model,
    Output,
    RunOptions,
)

Values = Mapping[str, Any]
_EMPTY: Values = MappingProxyType({})
_Section = TypeVar("_Section")


@dataclass(frozen=True, slots=True)
class SongLayers:
    """Typed song parameters of a run, layer by layer."""

    base: Values
    """Everything below the presets: schema, config.yaml, model, hw."""
    preset: Values
    """What the run's presets set."""
    preset_file: Values
    command_line: Values
    load_preset: Callable[[str], Values]


@dataclass(frozen=True, slots=True)
class Run:
    """One run, typed and checked but for its rows."""

    hw: Hardware
    model: Model
    manifest: ManifestSource
    output: Output
    options: RunOptions
    layers: SongLayers
    presets: tuple[str, ...]
    overrides: tuple[str, ...]
    swept: Mapping[str, str]
    config: Mapping[str, Any]
    """The configuration as composed, for the record."""


class Settings(NamedTuple):
    """A row's song parameters, and who decided them."""

    values: Values
    """Every parameter of ``schema.Generation``, typed."""
    asked: frozenset[str]
    """Names that the user set: on the command line, in the row, the defaults or a preset file. What a preset, a profile
    or the schema supplied is not among them."""
    preset: str | None = None
    """The preset that the row or the defaults named, in place of the run's."""


def build_run(
    config: Mapping[str, Any],
    base: Values,
    preset: Values,
    preset_file: str | None,
    command_line: Values,
    load_preset: Callable[[str], Values],
    presets: tuple[str, ...] = (),
    overrides: tuple[str, ...] = (),
    swept: Mapping[str, str] = _EMPTY,
) -> Run:
    """Type a composed configuration.

    Args:
        config: the whole configuration, resolved, by section.
        base, preset, command_line: untyped song parameters of these layers.
        preset_file: path of a preset in the guide's JSON format.
        load_preset: untyped song parameters of a preset by name; raises Refused.

    Raises:
        Refused: with every problem of the configuration.
    """
    problems: list[Problem] = []
    layers = SongLayers(
        base=song_values(_without_files(base, problems), "configuration: ", problems),
        preset=song_values(preset, "preset: ", problems),
        preset_file=_preset_file(preset_file, problems),
        command_line=song_values(command_line, "", problems, folder=Path()),
        load_preset=_typed_presets(load_preset),
    )
    sections = {
        "hw": _section(Hardware, config.get("hw"), "hw", problems),
        "model": _section(Model, config.get("model"), "model", problems),
        "manifest": _section(ManifestSource, config.get("manifest"), "manifest", problems),
        "output": _section(Output, config.get("output"), "output", problems),
    }
    problems.extend(_pair_problems(sections["hw"]))
    top = {name: config.get(name) for name in parameters_of(RunOptions)}
    options = _section(RunOptions, top, "", problems)
    known = {*sections, *top, "generation", "preset_file"}
    problems.extend(Problem(str(key), f"is no part of the configuration{did_you_mean(key, known)}") for key in config if key not in known)
    if problems:
        raise Refused(problems)
    return Run(**sections, options=options, layers=layers, presets=presets, overrides=overrides, swept=swept, config=config)


def song_values(values: Mapping[str, Any], prefix: str, problems: list[Problem], folder: Path | None = None) -> Values:
    """Type the song parameters of one layer; what is wrong goes to ``problems``.

    Args:
        prefix: what stands before a parameter's name in a complaint.
        folder: where text files (``lyrics_file``) are looked up; None where they are not allowed.
    """
    typed: dict[str, Any] = {}
    for key, value in values.items():
        where = f"{prefix}{key}={value}" if not prefix else f"{prefix}{key}"
        name = SONG_NAMES.get(key)
        if key in TEXT_FILES and folder is not None:
            name = TEXT_FILES[key]
            if value is None:
                continue
        elif name is None:
            problems.append(Problem(where, f"is no parameter of a song{did_you_mean(key, SONG_NAMES)}"))
            continue
        if typed.get(name) is not None:
            problems.append(Problem(where, f"sets {name}, which is set already", "keep one of them"))
            continue
        try:
            typed[name] = text_file(folder, str(value), where) if key in TEXT_FILES and folder is not None else SONG[name].parse(value)
        except ValueError as error:
            problems.append(Problem(where, str(error)))
        except Refused as refused:
            problems.extend(refused.problems)
    return MappingProxyType(typed)


def _without_files(base: Values, problems: list[Problem]) -> Values:
    for name in TEXT_FILES:
        if base.get(name) is not None:
            problems.append(Problem(f"configuration: {name}", "belongs to the command line or to a row", "move it there"))
    return {name: value for name, value in base.items() if name not in TEXT_FILES}


def _typed_presets(load_preset: Callable[[str], Values]) -> Callable[[str], Values]:
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


def _pair_problems(hw: Hardware) -> list[Problem]:
    pairs = {"recommended_steps": hw.recommended_steps, "recommended_guidance": hw.recommended_guidance}
    return [
        Problem(f"hw.{name}={list(pair)}", "is not a lowest and a highest value", "write two numbers, as [50, 60], or [] for none")
        for name, pair in pairs.items()
        if pair and (len(pair) != 2 or pair[0] > pair[1])
    ]


def _preset_file(path: str | None, problems: list[Problem]) -> Values:
    """A preset in the guide's own format: ``{"name", "description", "parameters"}``, comments allowed."""
    if path is None:
        return _EMPTY
    where = f"preset_file={path}"
    try:
        document = parse_json(read_text(Path(path), where), where)
    except Refused as refused:
        problems.extend(refused.problems)
        return _EMPTY
    if not isinstance(document, dict) or not isinstance(document.get("parameters"), dict):
        problems.append(Problem(where, 'has no "parameters"', 'write {"name": ..., "description": ..., "parameters": {...}}'))
        return _EMPTY
    if extra := sorted(set(document) - {"name", "description", "parameters"}):
        problems.append(Problem(where, f"unknown key {', '.join(extra)}", "allowed: name, description, parameters"))
    return song_values(document["parameters"], f"{where}: ", problems)


def _section(section: type[_Section], values: Any, key: str, problems: list[Problem]) -> _Section:
    """A section of the configuration as its dataclass; what is wrong goes to ``problems``."""
    parameters = parameters_of(section)
    typed: dict[str, Any] = {}
    if not isinstance(values, Mapping):
        problems.append(Problem(key, f"{values!r} is no section", f"allowed below {key}: {', '.join(parameters)}"))
        values = {}
    for name, value in values.items():
        where = f"{key}.{name}" if key else str(name)
        if name not in parameters:
            problems.append(Problem(where, f"is no parameter{did_you_mean(name, parameters)}", f"allowed: {', '.join(parameters)}"))
            continue
        try:
            typed[name] = parameters[name].parse(value)
        except ValueError as error:
            problems.append(Problem(f"{where}={value}", str(error)))
    return section(**typed)


def settings_below(layers: SongLayers, defaults: Row | None, preset: str | None) -> Settings:
    """What a row that names this preset starts from. Its preset replaces the run's; one in the defaults does so below them.

    Raises:
        Refused: there is no such preset, or it is wrong.
    """
    shared = defaults.values if defaults is not None else _EMPTY
    if preset is not None:
        own = layers.load_preset(preset)
        return Settings({**layers.base, **shared, **own}, frozenset(shared.keys() - own.keys()), preset)
    named = defaults.preset if defaults is not None else None
    if named is not None:
        return Settings({**layers.base, **layers.load_preset(named), **shared}, frozenset(shared), named)
    values = {**layers.base, **layers.preset, **layers.preset_file, **shared}
    return Settings(values, frozenset(shared.keys() | layers.preset_file.keys()))


def row_settings(below: Settings, row: Row, command_line: Values) -> Settings:
    """A row's settings: what lies below it, the row itself, and the command line above all."""
    values = {**below.values, **row.values, **command_line}
    return Settings(values, below.asked.union(row.values, command_line), below.preset)


ONE_SONG_ID = "song"
"""The id of a song that comes from the command line alone."""
