"""What one family of models reads and another does not: settings that are somebody else's, and what to say to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from acestep_batch.compose import Run
from acestep_batch.models import MODELS, Family
from acestep_batch.parameter import shown
from acestep_batch.problems import Problem
from acestep_batch.schema import PARAMETERS, SONG, SONG_OF, reads

_INSTEAD: Mapping[str, str] = {
    "lyrics_language": "write vocal_language",
    "vocal_language": "write lyrics_language",
    "scheduler_type": "write infer_method=ode or sde",
    "guidance_interval": "write cfg_interval_start and cfg_interval_end",
    "oss_steps": "write timesteps",
    "bf16": "write model.dtype=",
    "audio2audio_enable": "write task=cover and src_audio_path",
    "ref_audio_input": "write task=cover and src_audio_path, or reference_audio for the timbre alone",
    "ref_audio_strength": "write task=cover and audio_cover_strength",
    "reference_audio": "write task=audio2audio and ref_audio_input",
    "audio_cover_strength": "write task=audio2audio and ref_audio_strength",
}
"""What the other family has in a parameter's place."""


def own_values(values: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """A song's values, with the defaults in the place of what its family does not read."""
    return {name: value if name in SONG_OF[family] else SONG[name].default for name, value in values.items()}


def _message(name: str, value: object, family: Family) -> str:
    return f"{shown(value)} would have no effect: {family.full_name} has no {name}"


def foreign_values(values: Mapping[str, Any], names: Iterable[str], family: Family) -> list[Problem]:
    """The named parameters that have a value, and would have no effect on a model of this family."""
    return [
        Problem(name, _message(name, values[name], family), _INSTEAD.get(name, "leave it out"))
        for name in names
        if name in SONG and not reads(family, SONG[name]) and values[name] != SONG[name].default
    ]


def foreign_preset(name: str, values: Iterable[str], family: Family) -> list[Problem]:
    """Why a preset that sets these parameters is for the other family; empty where it is not."""
    others = [each for each in values if not reads(family, SONG[each])]
    if not others:
        return []
    message = f"is not for {family.full_name}: it sets {', '.join(others[:3])}"
    return [Problem(f"preset {name}", message, "`python -m acestep_batch presets` lists them all")]


def foreign_presets(run: Run) -> list[Problem]:
    """The run's presets that are for the other family."""
    family, layers = MODELS[run.model.name].family, run.layers
    problems = []
    for name in run.presets:
        problems += foreign_preset(name, layers.load_preset(name), family)
    return problems


def foreign_settings(run: Run) -> list[Problem]:
    """Settings of the run beside its songs' that have a value, and would have no effect on its model."""
    family = MODELS[run.model.name].family
    problems = []
    for section, values in (("hw", run.hw), ("model", run.model), ("lm", run.lm)):
        for name, parameter in PARAMETERS[section].items():
            value = getattr(values, name)
            if not reads(family, parameter) and value != parameter.default:
                key = f"{section}={value}" if name == "name" else f"{section}.{name}={value}"
                message = f"would have no effect: the model is {run.model.name}"
                problems.append(Problem(key, message, "leave it out, or choose another model="))
    return problems
