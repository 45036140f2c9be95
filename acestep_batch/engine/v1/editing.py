"""FlowEdit: a song led from what one text says of it to what another one says; no text, no audio.

Kulikov et al., arXiv:2412.08629, in the form of the reference implementation (ace-step/ACE-Step at d612523).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from acestep_batch.engine.base import SongRequest, StepCallback
from acestep_batch.engine.tasks import Edit
from acestep_batch.engine.v1.batching import branches
from acestep_batch.engine.v1.guidance import apg, per_song
from acestep_batch.engine.v1.limits import averaged_steps, first_call, guided_steps
from acestep_batch.engine.v1.schedules import schedule, timesteps
from acestep_batch.engine.v1.solvers import Velocity
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel, Conditioning

VelocityPair = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""Guided velocities of the target at its latents and of the source at its own, [B, 8, 16, F] each, at a step."""


@dataclass(frozen=True, slots=True)
class Phases:
    """The steps of an edit, counted from 0; those before ``first`` are left out."""

    first: int
    alone: int
    """From here on the target is sampled by itself."""
    averaged: int
    """Noises over which each step before ``alone`` takes the mean."""


def flow_edit(
    both: VelocityPair,
    target: Velocity,
    source: Tensor,
    sigmas: Tensor,
    noise: Iterator[Tensor],
    phases: Phases,
    fresh_noise: bool,
    noted: Callable[[int], None],
) -> Tensor:
    """The edited song, [B, 8, 16, F], of ``source``.

    First the song moves by the difference of what target and source want at the same noise. Then, from one noise more,
    ``target`` takes Euler's steps alone or, with ``fresh_noise``, pingpong's. ``noted`` hears of every step that is
    done.
    """
    levels = sigmas.tolist()
    edited = source
    for step in range(phases.first, phases.alone):
        sigma, sigma_next = levels[step : step + 2]
        difference = source.new_zeros(source.shape)
        for _ in range(phases.averaged):
            noisy = (1 - sigma) * source + sigma * next(noise)
            wanted, had = both(edited + noisy - source, noisy, step)
            difference = difference + (wanted - had) / phases.averaged
        edited = edited + (sigma_next - sigma) * difference
        noted(step)
    for step in range(max(phases.first, phases.alone), len(levels) - 1):
        sigma, sigma_next = levels[step : step + 2]
        if step == phases.alone:
            edited = edited + sigma * (next(noise) - source)
        velocity = target(edited, step)
        if fresh_noise:
            edited = (1 - sigma_next) * (edited - sigma * velocity) + sigma_next * next(noise)
        else:
            edited = edited + (sigma_next - sigma) * velocity
        noted(step)
    return edited


def edit_songs(
    transformer: ACEStepTransformer2DModel,
    conditioning: Conditioning,
    requests: Sequence[SongRequest],
    sources: Tensor,
    noise: Iterator[Tensor],
    on_step: StepCallback | None = None,
) -> Tensor:
    """Edited songs [B, 8, 16, F], from ``sources`` and with ``noise`` of that shape, float32.

    ``conditioning`` holds all songs for the first of their ``branches``, then for the second, and so on. Guidance is
    adaptive projected guidance at every step, whatever the requests' ``cfg_type``, as in the reference.
    """
    device, songs = transformer.device, len(requests)
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
        together = torch.cat([each.repeat(copies, 1, 1, 1) for each in latents]).to(transformer.dtype)
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

    pingpong = requests[0].scheduler_type == "pingpong"
    return flow_edit(both, target, sources, sigmas, noise, phases, pingpong, noted)
