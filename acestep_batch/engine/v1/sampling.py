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
from acestep_batch.engine.v1.batching import branches
from acestep_batch.engine.v1.guidance import guidance_of, guide, per_song
from acestep_batch.engine.v1.limits import guided_steps, latent_frames
from acestep_batch.engine.v1.schedules import schedule, timesteps
from acestep_batch.engine.v1.solvers import SOLVERS, omega_gain
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel, Conditioning

LATENT_CHANNELS, LATENT_HEIGHT = 8, 16


def denoise(
    transformer: ACEStepTransformer2DModel,
    conditioning: Conditioning,
    requests: Sequence[SongRequest],
    on_step: StepCallback | None = None,
) -> Tensor:
    """Latents [B, 8, 16, F], float32, of B songs that share a ``sampling_key``.

    ``conditioning`` holds all songs for the first of their ``branches``, then for the second, and so on; all branches
    of all songs go through one forward pass.
    """
    shared = requests[0]
    guided, n_branches = guided_steps(shared), len(branches(shared))
    sigmas = schedule(shared)
    frames = latent_frames(shared.audio_duration)
    times = transformer.embed_times(timesteps(sigmas).to(transformer.device), frames)
    alone = conditioning.first(len(requests))
    guidance = guidance_of(requests, transformer.device)
    momentum: Tensor | float = 0.0

    def velocity(x: Tensor, call: int) -> Tensor:
        nonlocal momentum
        copies = n_branches if call in guided else 1
        latents = x.repeat(copies, 1, 1, 1).to(transformer.dtype)
        attended = conditioning if copies > 1 else alone
        predicted = transformer(latents, times.at(call), attended).float().chunk(copies)
        combined = predicted[0]
        if copies > 1:
            combined, momentum = guide(guidance, predicted, call, momentum)
        if on_step is not None:
            on_step(call + 1, len(times.timesteps))
        return combined

    noise = batch_noise(requests, transformer.device, transformer.dtype)
    x = next(noise)
    gain = per_song([omega_gain(request.omega_scale) for request in requests], x.device)
    return SOLVERS[shared.scheduler_type](velocity, x, sigmas, gain, noise)


def batch_noise(requests: Sequence[SongRequest], device: torch.device, dtype: torch.dtype) -> Iterator[Tensor]:
    """The draws of all songs side by side, [B, 8, 16, F] on ``device``; each song has a stream of its own."""
    shape = (LATENT_CHANNELS, LATENT_HEIGHT, latent_frames(requests[0].audio_duration))
    streams = [
        song_noise(request.seed, shape, str(device), dtype)
        if request.rng == "reference"
        else song_noise(request.seed, shape)
        for request in requests
    ]
    return (torch.stack([draw.to(device) for draw in draws]) for draws in zip(*streams, strict=True))
