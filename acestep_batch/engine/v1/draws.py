"""The random draws of a batch: streams of songs side by side, each song's its own; no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.random import song_noise
from acestep_batch.engine.tasks import AudioToAudio, Edit, Extend, Repaint, Retake
from acestep_batch.engine.v1.limits import LATENT_CHANNELS, LATENT_HEIGHT, averaged_steps, denoised_frames


def batch_noise(requests: Sequence[SongRequest], device: torch.device, dtype: torch.dtype) -> Iterator[Tensor]:
    """The draws of all songs side by side, [B, 8, 16, F] on ``device``; each song has a stream of its own."""
    frames = denoised_frames(requests[0])
    streams = [song_draws(request, frames, device, dtype) for request in requests]
    return (torch.stack(draws) for draws in zip(*streams, strict=True))


def song_draws(request: SongRequest, frames: int, device: torch.device, dtype: torch.dtype) -> Iterator[Tensor]:
    """The main stream of one song, [8, 16, ``frames``] on ``device``. An edit has no other than its retake seed's."""
    task = request.task
    if isinstance(task, Edit):
        noised = len(averaged_steps(request, task)) * task.edit_n_avg + 1
        return _stream(request, task.retake_seed, frames, device, dtype, noised, like_encoded=True)
    return _stream(request, request.seed, frames, device, dtype, 1, like_encoded=isinstance(task, AudioToAudio))


def other_noise(request: SongRequest, frames: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """What a retake, a repaint or an extension draws beside the song's own noise, [8, 16, ``frames``]."""
    assert isinstance(request.task, Retake | Repaint | Extend)
    return next(_stream(request, request.task.retake_seed, frames, device, dtype, 1, like_encoded=False))


def _stream(
    request: SongRequest,
    seed: int,
    frames: int,
    device: torch.device,
    dtype: torch.dtype,
    first_draws: int,
    like_encoded: bool,
) -> Iterator[Tensor]:
    shape = (LATENT_CHANNELS, LATENT_HEIGHT, frames)
    if request.rng == "reference":
        return song_noise(seed, shape, str(device), dtype, first_draws, like_encoded)
    song = song_noise(seed, shape, first_draws=first_draws, like_encoded=like_encoded)
    return (draw.to(device) for draw in song)
