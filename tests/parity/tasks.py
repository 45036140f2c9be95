"""What a recorded call asks of the engine beside a new song: its task, its source, and the draws it makes for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.random import song_noise
from acestep_batch.engine.tasks import AudioSource, AudioToAudio, Edit, Extend, Repaint, Retake, Source, Task
from acestep_batch.engine.v1.limits import latent_frames, source_frames

from .checks import Case, Check, largest
from .pack import requests_of, seeds_of

TASK_DEFAULTS: Mapping[str, Any] = {
    "repaint_start": 0,
    "repaint_end": 0,
    "retake_variance": 0.5,
    "ref_audio_strength": 0.5,
    "edit_target_prompt": "",
    "edit_target_lyrics": "",
    "edit_n_min": 0.0,
    "edit_n_max": 1.0,
    "edit_n_avg": 1,
}
"""What the reference's pipeline takes for a task's parameter that a call leaves out."""


def task_requests_of(case: Mapping[str, Any], pack: Path) -> list[SongRequest]:
    """The songs of a recorded call, each with its task; audio files are looked up in the pack's folder."""
    file = case["params"].get("ref_audio_input") or case["params"].get("src_audio_path")
    return with_tasks(case, None if file is None else read_source(pack / file))


def with_tasks(case: Mapping[str, Any], source: Source | None) -> list[SongRequest]:
    """The songs of a recorded call, each with its task on ``source``."""
    requests = requests_of(case)
    given = {"manual_seeds": case["params"].get("retake_seeds"), "batch_size": len(requests)}
    seeds = seeds_of(given) or case.get("retake_seeds") or [0] * len(requests)
    params = {**TASK_DEFAULTS, **{name: value for name, value in case["params"].items() if value is not None}}
    kind = "audio2audio" if params.get("audio2audio_enable") else params.get("task", "text2music")
    return [
        replace(request, task=_task(kind, params, source, seed)) for request, seed in zip(requests, seeds, strict=True)
    ]


def read_source(file: Path) -> AudioSource:
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    return AudioSource(samples.T.copy(), rate)


def _task(kind: str, params: Mapping[str, Any], source: Source | None, seed: int) -> Task | None:
    if kind == "text2music":
        return None
    variance = params["retake_variance"]
    if kind == "retake":
        return Retake(seed, variance)
    if source is None:
        raise ValueError(f"task {kind} names no source")
    start, end = latent_frames(params["repaint_start"]), latent_frames(params["repaint_end"])
    match kind:
        case "repaint":
            return Repaint(source, start, end, seed, variance)
        case "extend":
            # Where both sides grow, the reference takes what the left gets from the right.
            left = max(0, -start)
            return Extend(source, left, max(0, end - left - source_frames(source)), seed, variance)
        case "audio2audio":
            return AudioToAudio(source, params["ref_audio_strength"])
        case "edit":
            return Edit(
                source,
                seed,
                params["edit_target_prompt"],
                params["edit_target_lyrics"],
                None,
                params["edit_n_min"],
                params["edit_n_max"],
                params["edit_n_avg"],
            )
    raise ValueError(f"task {kind} is not known here")


def check_draws(case: Case, requests: list[SongRequest], theirs: Mapping[str, Tensor]) -> Iterator[Check]:
    """Every recorded draw: of an edit those of its own seed, else the song's noise and the other one."""
    recorded = [theirs[f"randn_{draw}"] for draw in range(sum(name.startswith("randn_") for name in theirs))]
    if not recorded:
        return
    songs = []
    for item, request in enumerate(requests):
        own = [tuple(draw[item].shape) for draw in recorded]
        if isinstance(request.task, Edit):
            draws = song_noise(request.task.retake_seed, own[0], first_draws=len(recorded))
            songs.append(list(islice(draws, len(recorded))))
            continue
        seeds = [request.seed, getattr(request.task, "retake_seed", request.seed)]
        songs.append([next(song_noise(seed, shape)) for seed, shape in zip(seeds, own, strict=False)])
    ours = [torch.stack(draws) for draws in zip(*songs, strict=True)]
    errors = (largest(mine, draw) for mine, draw in zip(ours, recorded, strict=True))
    yield case.check("draws", max(errors))
