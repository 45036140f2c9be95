"""What decides the sound of a song, and one hash of it: equal identities mean equal songs, different ones say why."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from acestep_batch.engine.base import ENGINE_VERSION
from acestep_batch.engine.v15.song import V15Song
from acestep_batch.models import Family
from acestep_batch.outputs.records import json_text
from acestep_batch.plan import Song
from acestep_batch.schema import names_used
from acestep_batch.song_tasks import unheard_names

_NOT_HEARD = frozenset(
    {"actual_seeds", "takes", "output_path", "device_id", "src_audio_path", "ref_audio_input", "reference_audio"}
)
"""Parameters that do not decide the sound: where the file goes, on which of equal GPUs it is made, and what the song's
own seed or the content of its source replaces."""

_OF_PLANNER = frozenset(
    {
        "thinking", "use_cot_metas", "use_cot_caption", "use_cot_language", "use_constrained_decoding",
        "lm_temperature", "lm_cfg_scale", "lm_top_k", "lm_top_p", "lm_repetition_penalty", "lm_negative_prompt",
        "lm_max_duration",
    }
)  # fmt: skip


def sound_facts(song: Song, sample_rate: int, model_files: Mapping[str, str]) -> dict[str, Any]:
    """Everything that decides how a song sounds, as plain values.

    ``model_files`` are the sha256 of the model's files by name. Versions of libraries and the machine are not among
    the facts: they move the last bits only, and a run must not start over because of an update. Nor is what the song's
    task does not look at, and of its source and its adapters where they lie.
    """
    generation, unheard = song.generation, unheard_names(song.generation.task, song.family)
    heard = {name: getattr(generation, name) for name in heard_names(song)}
    facts = {name: list(value) if isinstance(value, tuple) else value for name, value in heard.items()}
    if "seed" not in unheard:
        facts["seed"] = song.seed
    if song.source is not None:
        facts |= song.source.facts
    if song.reference is not None:
        facts |= song.reference.reference_facts
    if song.adapters:
        facts["adapters"] = [[each.sha256, each.weight] for each in song.adapters]
    return {
        **facts,
        "sample_rate": sample_rate,
        "engine_version": ENGINE_VERSION,
        **{f"model file {name}": sha256 for name, sha256 in sorted(model_files.items())},
    }


def heard_names(song: Song) -> tuple[str, ...]:
    """The parameters that decide how a song sounds: of 1.5 those of the planner only where it works for the song."""
    return _heard(song.generation.task, song.family, needs_planner(song))


def needs_planner(song: Song) -> bool:
    """Whether a planner works for the song."""
    if song.family is Family.V1:
        return False
    request = song.request()
    return isinstance(request, V15Song) and request.needs_planner


@cache
def _heard(task: str, family: Family, is_planned: bool) -> tuple[str, ...]:
    apart = _NOT_HEARD | unheard_names(task, family) | (frozenset() if is_planned else _OF_PLANNER)
    return tuple(name for name in names_used(task, False, family) if name not in apart)


def identity_of(facts: Mapping[str, Any]) -> str:
    """The sha256 of the facts, 64 hexadecimal digits; their order does not matter."""
    return hashlib.sha256(json_text(dict(sorted(facts.items()))).encode("utf-8")).hexdigest()


def changed_facts(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The names of the facts that differ, sorted; a fact that only one side has differs."""
    missing = object()
    return sorted(name for name in before.keys() | now.keys() if before.get(name, missing) != now.get(name, missing))
