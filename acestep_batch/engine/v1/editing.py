"""FlowEdit: a song led from what one text says of it to what another one says; no text, no audio.

Kulikov et al., arXiv:2412.08629, in the form of the reference implementation (ace-step/ACE-Step at d612523).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from acestep_batch.engine.v1.solvers import Velocity

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
