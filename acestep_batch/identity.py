"""What decides the sound of a song, and one hash of it: equal identities mean equal songs, different ones say why."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from acestep_batch.engine.base import ENGINE_VERSION
from acestep_batch.engine.v15.song import V15Song
from acestep_batch.models import Family
from acestep_batch.outputs.records import json_text
from acestep_batch.plan import Song
from acestep_batch.schema import SONG_OF

_NOT_HEARD = frozenset({"actual_seeds", "takes", "output_path", "device_id"})
"""Parameters that do not decide the sound: where the file goes, on which of equal GPUs it is made, and what the song's
own seed replaces."""

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
    the facts: they move the last bits only, and a run must not start over because of an update.
    """
    names = heard_names(song)
    heard = {name: value for name, value in song.values().items() if name in names}
    return {
        **{name: list(value) if isinstance(value, tuple) else value for name, value in heard.items()},
        "seed": song.seed,
        "sample_rate": sample_rate,
        "engine_version": ENGINE_VERSION,
        **{f"model file {name}": sha256 for name, sha256 in sorted(model_files.items())},
    }


def heard_names(song: Song) -> set[str]:
    """The parameters that decide how a song sounds: those that its family reads, and of 1.5 those of the planner only
    where it works for the song."""
    names = SONG_OF[song.family].keys() - _NOT_HEARD
    return names if needs_planner(song) else names - _OF_PLANNER


def needs_planner(song: Song) -> bool:
    """Whether a planner works for the song."""
    if song.family is Family.V1:
        return False
    request = song.request()
    return isinstance(request, V15Song) and request.needs_planner


def identity_of(facts: Mapping[str, Any]) -> str:
    """The sha256 of the facts, 64 hexadecimal digits; their order does not matter."""
    return hashlib.sha256(json_text(dict(sorted(facts.items()))).encode("utf-8")).hexdigest()


def changed_facts(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The names of the facts that differ, sorted; a fact that only one side has differs."""
    missing = object()
    return sorted(name for name in before.keys() | now.keys() if before.get(name, missing) != now.get(name, missing))
