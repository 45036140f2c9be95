"""The denoising loop: noise to latents for a batch of songs; no text, no audio.

Latents, guidance and solver stay in float32 whatever the model's dtype, so that rounding does not add up over the
steps; only what the transformer reads is cast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from acestep_batch.engine.base import SongRequest, StepCallback
from acestep_batch.engine.random import song_noise
from acestep_batch.engine.tasks import AudioToAudio, Edit, Extend, Repaint, Retake
from acestep_batch.engine.v1.batching import branches
from acestep_batch.engine.v1.editing import Phases, flow_edit
from acestep_batch.engine.v1.guidance import apg, guidance_of, guide, per_song
from acestep_batch.engine.v1.limits import (
    LATENT_CHANNELS,
    LATENT_HEIGHT,
    averaged_steps,
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
        return _edit(transformer, conditioning, requests, torch.stack([_there(source) for source in given]), on_step)
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
        data, noise = (torch.stack(each) for each in zip(*((own.data, own.noise) for own in canvases), strict=True))
        x = paint(velocity, data, noise, painted, sigmas, first)
        made = zip(requests, given, x, strict=True)
        return torch.stack([_whole(request, _there(source), own) for request, source, own in made])
    draws = batch_noise(requests, device, dtype)
    x = next(draws)
    if any(request.task is not None for request in requests):
        begun = zip(requests, given, x, strict=True)
        x = torch.stack([_start(request, source, noise, dtype) for request, source, noise in begun])
    gain = per_song([omega_gain(request.omega_scale) for request in requests], device)
    return SOLVERS[shared.scheduler_type](velocity, x, sigmas, gain, draws)


def _start(request: SongRequest, source: Tensor | None, noise: Tensor, dtype: torch.dtype) -> Tensor:
    """What a song that keeps nothing is denoised from, [8, 16, F]."""
    match request.task:
        case Retake(retake_variance=variance) | Repaint(retake_variance=variance):
            return turned(noise, _other_noise(request, noise.shape[-1], noise.device, dtype), variance)
        case AudioToAudio(ref_audio_strength=strength):
            level = mixing_level(1 - strength)
            return (1 - level) * _there(source) + level * noise
        case _:
            return noise


def _canvas(request: SongRequest, source: Tensor, device: torch.device, dtype: torch.dtype) -> Canvas:
    """Of a song that keeps some of its source."""
    task, frames = request.task, source.shape[-1]
    noise = next(_draws(request, request.seed, frames, device, dtype))
    if isinstance(task, Extend):
        widest = max(frames, task.left_frames, task.right_frames)
        return extend_canvas(task, source, noise, _other_noise(request, widest, device, dtype))
    assert isinstance(task, Repaint)
    return repaint_canvas(task, source, noise, _other_noise(request, frames, device, dtype))


def _whole(request: SongRequest, source: Tensor, painted: Tensor) -> Tensor:
    return whole(request.task, source, painted) if isinstance(request.task, Extend) else painted


def _edit(
    transformer: ACEStepTransformer2DModel,
    conditioning: Conditioning,
    requests: Sequence[SongRequest],
    sources: Tensor,
    on_step: StepCallback | None,
) -> Tensor:
    """Songs [B, 8, 16, F] whose task is an edit, from ``sources`` of that shape; the rest as in ``denoise``."""
    device, dtype, songs = transformer.device, transformer.dtype, len(requests)
    first, task = first_call(requests[0]), requests[0].task
    assert isinstance(task, Edit)
    phases = Phases(first, averaged_steps(requests[0], task).stop, task.edit_n_avg)
    sigmas, n_branches = schedule(requests[0]), len(branches(requests[0]))
    times = transformer.embed_times(timesteps(sigmas).to(device), sources.shape[-1])
    of_target = conditioning.first(n_branches // 2 * songs)
    scale = per_song([request.guidance_scale for request in requests], device)
    guided = bool(guided_steps(requests[0]))

    def predict(latents: Sequence[Tensor], step: int, attended: Conditioning) -> list[Tensor]:
        """Conditional and, where guided, empty branch of every entry."""
        copies = 2 if guided else 1
        together = torch.cat([each.repeat(copies, 1, 1, 1) for each in latents]).to(dtype)
        return list(transformer(together, times.at(step), attended).float().split(songs))

    def combined(predicted: Sequence[Tensor], momentum: Tensor | float) -> tuple[Tensor, Tensor | float]:
        return apg(predicted[0], predicted[1], scale, momentum) if guided else (predicted[0], momentum)

    momenta: dict[str, Tensor | float] = {"source": 0.0, "target": 0.0}

    def both(target: Tensor, source: Tensor, step: int) -> tuple[Tensor, Tensor]:
        predicted = predict((target, source), step, conditioning)
        half = len(predicted) // 2
        # As in the reference, only the source's guidance has a momentum here.
        wanted, _ = combined(predicted[:half], 0.0)
        had, momenta["source"] = combined(predicted[half:], momenta["source"])
        return wanted, had

    def target(x: Tensor, step: int) -> Tensor:
        wanted, momenta["target"] = combined(predict((x,), step, of_target), momenta["target"])
        return wanted

    def noted(step: int) -> None:
        if on_step is not None:
            on_step(step + 1 - first, len(times.timesteps) - first)

    streams = [
        _draws(request, request.task.retake_seed, sources.shape[-1], device, dtype, dtype)
        for request in requests
        if isinstance(request.task, Edit)
    ]
    noise = (torch.stack(draws) for draws in zip(*streams, strict=True))
    pingpong = requests[0].scheduler_type == "pingpong"
    return flow_edit(both, target, sources, sigmas, noise, phases, pingpong, noted)


def batch_noise(requests: Sequence[SongRequest], device: torch.device, dtype: torch.dtype) -> Iterator[Tensor]:
    """The draws of all songs side by side, [B, 8, 16, F] on ``device``; each song has a stream of its own."""
    frames = denoised_frames(requests[0])
    streams = [_draws(request, request.seed, frames, device, dtype) for request in requests]
    return (torch.stack(draws) for draws in zip(*streams, strict=True))


def _other_noise(request: SongRequest, frames: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """What a retake, a repaint or an extension draws beside the song's own noise, [8, 16, ``frames``]."""
    assert isinstance(request.task, Retake | Repaint | Extend)
    return next(_draws(request, request.task.retake_seed, frames, device, dtype))


def _draws(
    request: SongRequest,
    seed: int,
    frames: int,
    device: torch.device,
    dtype: torch.dtype,
    later_dtype: torch.dtype = torch.float32,
) -> Iterator[Tensor]:
    """One stream of one song, [8, 16, ``frames``] on ``device``; the dtypes are those of ``rng`` reference."""
    shape = (LATENT_CHANNELS, LATENT_HEIGHT, frames)
    if request.rng == "reference":
        return song_noise(seed, shape, str(device), dtype, later_dtype)
    return (draw.to(device) for draw in song_noise(seed, shape))


def _there(source: Tensor | None) -> Tensor:
    if source is None:
        raise ValueError("a task on a song got no latents of it")
    return source
