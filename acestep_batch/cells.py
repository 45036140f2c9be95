"""The runs of a command: their configurations typed, and the folder that each one means."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acestep_batch.compose import Run, build_run
from acestep_batch.models import MODELS, Family
from acestep_batch.outputs.names import safe_name, shortened
from acestep_batch.preflight import CELLS, MAX_CELL_CHARS
from acestep_batch.problems import Problem, Refused
from acestep_batch.run_folder import Command, differences, key_facts, key_of, open_version, read_run_file
from acestep_batch.run_plan import PlannedSong
from acestep_batch.schema import PARAMETERS, SECTIONS, SONG_NAMES, reads
from acestep_batch.schema_tasks import LORA_PARAMETERS, TASK_PARAMETERS

if TYPE_CHECKING:
    from acestep_batch.hydra_config import Layers


_LATER = (
    frozenset({"task", "save_latents", "reference_audio", "audio_codes", "audio_cover_strength"})
    | TASK_PARAMETERS
    | LORA_PARAMETERS
)
"""Parameters that runs of earlier versions did not have; where nothing is asked of them, such a run can go on."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a command: a cell of its sweep, or the whole command."""

    run: Run
    name: str
    """Its folder in the sweep; empty for a run."""
    facts: Mapping[str, Any]
    """What decides which folder it goes on in."""
    stored: tuple[PlannedSong, ...] = ()
    """Its songs as they were planned, where its manifest is not to be read again."""

    @property
    def words(self) -> str:
        """Its swept values, for people."""
        return swept_words(self.run)

    def folder(self, place: Path) -> Path:
        """Its folder in the command's."""
        return place / CELLS / self.name if self.name else place


@dataclass(frozen=True, slots=True)
class Place:
    """The folder that a command means."""

    command: Command
    root: Path
    name: str
    facts: Mapping[str, Any]
    kind: str
    resume: bool | None
    existing: Path | None
    """Where it goes on; None where it begins."""

    def open(self) -> Path:
        """The folder, made now where it does not exist. Raises Refused."""
        if self.existing is not None:
            return self.existing
        return open_version(self.root, self.name, self.facts, self.command, self.kind, self.resume)


def typed_run(cell: Layers) -> Run:
    """A composed cell as a typed run; a prompt or lyrics from the command line alone is one song without a manifest.

    Raises:
        Refused: with every problem of the configuration.
    """
    config = cell.config
    texts = {"prompt", "lyrics", "prompt_file", "lyrics_file"} & cell.command_line.keys()
    chosen = any(each.startswith(("manifest=", "manifest.path=")) for each in cell.overrides)
    if texts and not chosen:
        config = {**config, "manifest": {**config["manifest"], "path": None}}
    run = build_run(
        config, cell.base, cell.preset, cell.preset_file, cell.command_line, cell.load_preset, cell.presets,
        cell.overrides, cell.swept, cell.own, cell.shipped_presets,
    )  # fmt: skip
    return replace(run, swept={key: _swept_text(run, key, given) for key, given in run.swept.items()})


def typed_runs(cells: Sequence[Layers]) -> list[Run]:
    """Composed cells as typed runs. Raises Refused with the problems of all."""
    runs: list[Run] = []
    problems: list[Problem] = []
    for cell in cells:
        try:
            runs.append(typed_run(cell))
        except Refused as refused:
            problems.extend(refused.problems)
    if problems:
        raise Refused(list(dict.fromkeys(problems)))
    return runs


def facts_of(run: Run) -> dict[str, Any]:
    """What decides which folder a run goes on in, whichever way it was typed; settings that its model does not read
    are left out."""
    layers, family = run.layers, MODELS[run.model.name].family
    song = {**layers.base, **layers.preset, **layers.preset_file, **layers.command_line}
    sections = {**run.config, "generation": song}
    typed = {section: _typed(section, dict(sections[section]), family) for section in SECTIONS if section in sections}
    path = typed["manifest"].get("path")
    if path is not None:
        typed["manifest"]["path"] = Path(os.path.normpath(path)).as_posix()
    return key_facts(typed)


def _typed(section: str, values: Mapping[str, Any], family: Family) -> dict[str, Any]:
    known = PARAMETERS.get(section, {})
    read = {name: value for name, value in values.items() if name not in known or reads(family, known[name])}
    found = {name: known[name].parse(value) if name in known else value for name, value in read.items()}
    for name in _LATER.intersection(found):
        if found[name] == known[name].default:  # as it was in runs that did not know it yet
            del found[name]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _swept_text(run: Run, key: str, given: str) -> str:
    """A swept value as text, the same however it was typed: as the run uses it."""
    section, _, name = key.rpartition(".")
    if (song := SONG_NAMES.get(key, "")) in run.layers.command_line:
        return _text(run.layers.command_line[song])
    if key == "preset" and run.presets:
        return run.presets[0] if len(run.presets) == 1 else f"[{','.join(run.presets)}]"
    if name not in PARAMETERS.get(section, {}):  # a group, or the name of a file
        return given
    values = run.config[section] if section else run.config
    return _text(PARAMETERS[section][name].parse(values[name]))


def _text(value: object) -> str:
    if isinstance(value, float):
        return short if float(short := f"{value:g}") == value else repr(value)
    if isinstance(value, tuple) and len(value) == 1:
        return _text(value[0])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def swept_words(run: Run) -> str:
    """The swept values of a cell, for people."""
    return "_".join(f"{key}={value}" for key, value in sorted(run.swept.items()))


def cell_name(run: Run) -> str:
    """A cell's folder: its swept values for people, and the hash of its configuration, for equal words may differ."""
    words = swept_words(run) or "cell"
    tail = key_of(facts_of(run))[:8]
    return f"{shortened(safe_name(words), MAX_CELL_CHARS - len(tail) - 1)}-{tail}"


def unchanged(folder: Path, facts: Mapping[str, Any]) -> Path:
    """The folder, if its configuration is still this one. Raises Refused with everything that differs."""
    own = read_run_file(folder)
    changed = [] if own is None else differences(own["facts"], facts)
    if changed:
        remedy = "repeat the run's command for a new version, or --as-planned to finish what was planned"
        raise Refused([Problem(str(folder), "its configuration is not what it was:", remedy), *changed])
    return folder
