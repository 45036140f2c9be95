"""The denoising loop: noise to latents for a batch of songs; no text, no audio.

Latents, guidance and solver stay in float32 whatever the model's dtype, so that rounding does not add up over the
steps; only what the transformer reads is cast.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from acestep_batch.engine.base import SongRequest, StepCallback
from acestep_batch.engine.tasks import AudioToAudio, Edit, Extend, Repaint, Retake
from acestep_batch.engine.v1.batching import branches
from acestep_batch.engine.v1.draws import batch_noise, other_noise, song_draws
from acestep_batch.engine.v1.editing import edit_songs
from acestep_batch.engine.v1.guidance import guidance_of, guide, per_song
from acestep_batch.engine.v1.limits import (
    denoised_frames,
    first_call,
    guided_steps,
    keeps_source,
)
from acestep_batch.engine.v1.schedules import mixing_level, schedule, timesteps
from acestep_batch.engine.v1.solvers import SOLVERS, omega_gain
from acestep_batch.engine.v1.tasks import Canvas, extend_canvas, paint, repaint_canvas, turned, whole
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel, Conditioning


def denoise(
    transformer: ACEStepTransformer2DModel,
    conditioning: Conditioning,
    requests: Sequence[SongRequest],
    on_step: StepCallback | None = None,
    sources: Sequence[Tensor | None] | None = None,
) -> Tensor:
    """Latents [B, 8, 16, F], float32, of B songs that share a ``sampling_key``.

    ``conditioning`` holds all songs for the first of their ``branches``, then for the second, and so on; all branches
    of all songs go through one forward pass. ``sources`` are the latents [8, 16, F] of those songs whose task has one.
    """
    device, dtype = transformer.device, transformer.dtype
    given = [None if source is None else source.to(device) for source in sources or [None] * len(requests)]
    if isinstance(requests[0].task, Edit):
        whole_sources = torch.stack([_there(source) for source in given])
        noise = batch_noise(requests, device, dtype)
        return edit_songs(transformer, conditioning, requests, whole_sources, noise, on_step)
    shared = requests[0]
    guided, n_branches = guided_steps(shared), len(branches(shared))
    sigmas, first = schedule(shared), first_call(shared)
    times = transformer.embed_times(timesteps(sigmas).to(device), denoised_frames(shared))
    alone = conditioning.first(len(requests))
    guidance = guidance_of(requests, device)
    momentum: Tensor | float = 0.0

    def velocity(x: Tensor, call: int) -> Tensor:
        nonlocal momentum
        copies = n_branches if call in guided else 1
        latents = x.repeat(copies, 1, 1, 1).to(dtype)
        attended = conditioning if copies > 1 else alone
        predicted = transformer(latents, times.at(call), attended).float().chunk(copies)
        combined = predicted[0]
        if copies > 1:
            combined, momentum = guide(guidance, predicted, call, momentum)
        if on_step is not None:
            on_step(call + 1 - first, len(times.timesteps) - first)
        return combined

    if keeps_source(shared):
        canvases = [
            _canvas(request, _there(source), device, dtype) for request, source in zip(requests, given, strict=True)
        ]
        painted = torch.stack([each.painted for each in canvases])[:, None, None]
        data, begun = (torch.stack(each) for each in zip(*((own.data, own.noise) for own in canvases), strict=True))
        x = paint(velocity, data, begun, painted, sigmas, first)
        made = zip(requests, given, x, strict=True)
        return torch.stack([_whole(request, _there(source), own) for request, source, own in made])
    draws = batch_noise(requests, device, dtype)
    x = next(draws)
    if any(request.task is not None for request in requests):
        parts = zip(requests, given, x, strict=True)
        x = torch.stack([_start(request, source, noise, dtype) for request, source, noise in parts])
    gain = per_song([omega_gain(request.omega_scale) for request in requests], device)
    return SOLVERS[shared.scheduler_type](velocity, x, sigmas, gain, draws)


def _start(request: SongRequest, source: Tensor | None, noise: Tensor, dtype: torch.dtype) -> Tensor:
    """What a song that keeps nothing is denoised from, [8, 16, F]."""
    match request.task:
        case Retake(retake_variance=variance) | Repaint(retake_variance=variance):
            return turned(noise, other_noise(request, noise.shape[-1], noise.device, dtype), variance)
        case AudioToAudio(ref_audio_strength=strength):
            level = mixing_level(1 - strength)
            return (1 - level) * _there(source) + level * noise
        case _:
            return noise


def _canvas(request: SongRequest, source: Tensor, device: torch.device, dtype: torch.dtype) -> Canvas:
    """Of a song that keeps some of its source."""
    task, frames = request.task, source.shape[-1]
    noise = next(song_draws(request, frames, device, dtype))
    if isinstance(task, Extend):
        widest = max(frames, task.left_frames, task.right_frames)
        return extend_canvas(task, source, noise, other_noise(request, widest, device, dtype))
    assert isinstance(task, Repaint)
    return repaint_canvas(task, source, noise, other_noise(request, frames, device, dtype))


def _whole(request: SongRequest, source: Tensor, painted: Tensor) -> Tensor:
    return whole(request.task, source, painted) if isinstance(request.task, Extend) else painted


def _there(source: Tensor | None) -> Tensor:
    if source is None:
        raise ValueError("a task on a song got no latents of it")
    return source
