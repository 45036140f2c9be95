"""Reads a pack of recordings: cases, tensors, and what a recorded call of the reference asks of the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from acestep_batch.engine.base import SETTINGS, SongRequest

CALL_DEFAULTS: Mapping[str, Any] = {
    "audio_duration": 60.0,
    "prompt": "",
    "lyrics": "",
    "infer_step": 60,
    "guidance_scale": 15.0,
    "scheduler_type": "euler",
    "cfg_type": "apg",
    "omega_scale": 10.0,
    "guidance_interval": 0.5,
    "guidance_interval_decay": 0.0,
    "min_guidance_scale": 3.0,
    "use_erg_tag": True,
    "use_erg_lyric": True,
    "use_erg_diffusion": True,
    "oss_steps": "",
    "guidance_scale_text": 0.0,
    "guidance_scale_lyric": 0.0,
}
"""What the reference's pipeline takes for a parameter that a call leaves out."""


def read_cases(pack: Path, name: str) -> list[dict[str, Any]]:
    """The cases of ``NAME.json``, a list or an object with the list ``cases``; none where there is no such file."""
    file = pack / f"{name}.json"
    if not file.is_file():
        return []
    content = json.loads(file.read_text(encoding="utf-8"))
    cases: list[dict[str, Any]] = content["cases"] if isinstance(content, dict) else content
    return cases


def read_tensors(pack: Path, name: str) -> dict[str, Tensor]:
    """The tensors of ``NAME.safetensors``; none where there is no such file."""
    file = pack / f"{name}.safetensors"
    return load_file(file) if file.is_file() else {}


def tensors_of(tensors: Mapping[str, Tensor], case: str) -> dict[str, Tensor]:
    """The tensors of one case, by their names within it."""
    prefix = f"{case}."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def requests_of(case: Mapping[str, Any]) -> list[SongRequest]:
    """The songs of a recorded call, one for each of its seeds."""
    given = {name: value for name, value in case["params"].items() if value is not None}
    merged = {**CALL_DEFAULTS, **given}
    settings: dict[str, Any] = {name: merged.get(name) for name in SETTINGS}
    settings["oss_steps"] = chosen_steps_of(given.get("oss_steps"))
    seeds = seeds_of(case["params"]) or case.get("actual_seeds") or [0]
    return [SongRequest(**{**settings, "seed": seed, "rng": "reference"}) for seed in seeds]


def chosen_steps_of(oss_steps: object) -> tuple[int, ...]:
    """Steps of a text such as ``1,5,7``; the reference ignores anything but a text."""
    return tuple(int(step) for step in oss_steps.split(",") if step.strip()) if isinstance(oss_steps, str) else ()


def seeds_of(params: Mapping[str, Any]) -> list[int] | None:
    """The seeds of a call, one for each song, as the reference reads ``manual_seeds``; None where they are drawn.

    It takes a number, a list or a text such as ``11, 22``. The last one serves the songs that have none, surplus ones
    are dropped, and a list that holds anything but whole numbers counts as none.
    """
    given = params.get("manual_seeds")
    if isinstance(given, str):
        given = [int(seed) for seed in given.split(",")] if given.strip() else None
    seeds = [given] if isinstance(given, int) else given
    if not seeds or not all(isinstance(seed, int) for seed in seeds):
        return None
    songs = params.get("batch_size") or 1
    return [seeds[min(song, len(seeds) - 1)] for song in range(songs)]
