"""Layers of configuration to one typed run, and a row's settings from the layers that decide them.

Lowest first: schema, config.yaml, model, lm, hw, song, preset, manifest defaults, row's preset, row, command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from acestep_batch.layers import (
    EMPTY,
    Values,
    pair_problems,
    preset_file_values,
    section,
    song_values,
    typed_presets,
    without_files,
)
from acestep_batch.manifest import Row
from acestep_batch.parameter import did_you_mean
from acestep_batch.problems import Problem, Refused
from acestep_batch.schema import PARAMETERS, SECTIONS
from acestep_batch.schema_run import Hardware, Lm, ManifestSource, Model, Output, RunOptions


@dataclass(frozen=True, slots=True)
class SongLayers:
    """Typed song parameters of a run, layer by layer."""

    base: Values
    """Everything below the presets: schema, config.yaml, model, lm, hw, song."""
    preset: Values
    """What the run's presets set."""
    preset_file: Values
    command_line: Values
    load_preset: Callable[[str], Values]
    own: frozenset[str] = frozenset()
    """What the run's presets and profile set where they are the user's own."""
    shipped_presets: frozenset[str] = frozenset()


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
    lm: Lm = field(default_factory=Lm)


class Settings(NamedTuple):
    """A row's song parameters, and who decided them."""

    values: Values
    """Every parameter of ``schema.Generation``, typed."""
    asked: frozenset[str]
    """Names that the user set: on the command line, in the row, the defaults, a preset file, or a preset or profile of
    their own. What a shipped preset or profile or the schema supplied is not among them."""
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
    swept: Mapping[str, str] = EMPTY,
    own: frozenset[str] = frozenset(),
    shipped_presets: frozenset[str] = frozenset(),
) -> Run:
    """Type a composed configuration.

    Args:
        config: the whole configuration, resolved, by section.
        base, preset, command_line: untyped song parameters of these layers.
        preset_file: path of a preset in the guide's JSON format.
        load_preset: untyped song parameters of a preset by name; raises Refused.
        own: song parameters that the run's presets and profile set where they are the user's own.

    Raises:
        Refused: with every problem of the configuration.
    """
    problems: list[Problem] = []
    layers = SongLayers(
        base=song_values(without_files(base, problems), "configuration: ", problems),
        preset=song_values(preset, "preset: ", problems),
        preset_file=preset_file_values(preset_file, problems),
        command_line=song_values(command_line, "", problems, folder=Path()),
        load_preset=typed_presets(load_preset),
        own=own,
        shipped_presets=shipped_presets,
    )
    hw = section(Hardware, config.get("hw"), "hw", problems)
    problems.extend(pair_problems(hw))
    model = section(Model, config.get("model"), "model", problems)
    lm = section(Lm, config.get("lm", EMPTY), "lm", problems)
    manifest = section(ManifestSource, config.get("manifest"), "manifest", problems)
    output = section(Output, config.get("output"), "output", problems)
    top = {name: config.get(name) for name in PARAMETERS[""]}
    options = section(RunOptions, top, "", problems)
    known = {*SECTIONS, *top, "preset_file"}
    problems.extend(
        Problem(
            str(key),
            f"is no part of the configuration{did_you_mean(key, known)}",
            "a preset's file begins with # @package generation, a profile's with # @package _global_",
        )
        for key in config
        if key not in known
    )
    if problems:
        raise Refused(problems)
    return Run(hw, model, manifest, output, options, layers, presets, overrides, swept, config, lm)


def settings_below(layers: SongLayers, defaults: Row | None, preset: str | None) -> Settings:
    """What a row that names this preset starts from.

    Its preset replaces the run's; a preset in the defaults does so below them.

    Raises:
        Refused: there is no such preset, or it is wrong.
    """
    shared = defaults.values if defaults is not None else EMPTY
    if preset is not None:
        own = layers.load_preset(preset)
        asked = (shared.keys() - own.keys()) | _their_own(layers, preset, own)
        return Settings({**layers.base, **shared, **own}, frozenset(asked), preset)
    named = defaults.preset if defaults is not None else None
    if named is not None:
        values = layers.load_preset(named)
        asked = shared.keys() | _their_own(layers, named, values)
        return Settings({**layers.base, **values, **shared}, frozenset(asked), named)
    values = {**layers.base, **layers.preset, **layers.preset_file, **shared}
    return Settings(values, layers.own.union(shared, layers.preset_file))


def _their_own(layers: SongLayers, preset: str, values: Values) -> frozenset[str]:
    return frozenset(() if preset in layers.shipped_presets else values)


def row_settings(below: Settings, row: Row, command_line: Values) -> Settings:
    """A row's settings: what lies below it, the row itself, and the command line above all."""
    values = {**below.values, **row.values, **command_line}
    return Settings(values, below.asked.union(row.values, command_line), below.preset)


ONE_SONG_ID = "song"
"""The id of a song that comes from the command line alone."""
