"""Solvers of the flow's differential equation; no model, no schedule, no guidance.

All have one signature. ``velocity(x, call)`` is the guided velocity of latents ``x`` [B, 8, 16, F] at model call
``call``; ``sigmas`` [calls + 1] are the noise levels around the calls (see ``schedules``); ``gain`` [B, 1, 1, 1] or a
number scales the update of each song; ``noise`` yields fresh standard normal draws in the shape of ``x``. The formulas
are those of the reference implementation (ace-step/ACE-Step at d612523) with one song per batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

from torch import Tensor

Velocity = Callable[[Tensor, int], Tensor]
Solver = Callable[[Velocity, Tensor, Tensor, Tensor | float, Iterator[Tensor]], Tensor]


def omega_gain(omega_scale: float) -> float:
    """The factor, 0.9 to 1.1, that ``omega_scale`` puts on the varying part of every update; 0 gives 1."""
    return 0.9 + 0.2 / (1 + math.exp(min(-0.1 * omega_scale, 700.0)))  # beyond it, exp overflows


def euler(velocity: Velocity, x: Tensor, sigmas: Tensor, gain: Tensor | float, noise: Iterator[Tensor]) -> Tensor:
    """Euler's method: one model call a step. Draws no noise."""
    for call, (sigma, sigma_next) in enumerate(pairwise(sigmas.tolist())):
        x = _advance(x, (sigma_next - sigma) * velocity(x, call), gain)
    return x


def heun(velocity: Velocity, x: Tensor, sigmas: Tensor, gain: Tensor | float, noise: Iterator[Tensor]) -> Tensor:
    """Heun's method: an Euler step, then the same step again with the mean of both ends; the last step is Euler's.

    ``sigmas`` repeats the inner levels (``schedules.for_heun``). Draws no noise.
    """
    levels = sigmas.tolist()
    for call in range(0, len(levels) - 1, 2):
        step = levels[call + 1] - levels[call]
        first = velocity(x, call)
        predicted = _advance(x, step * first, gain)
        if call + 2 == len(levels):
            return predicted
        second = velocity(predicted, call + 1)
        x = _advance(x, step * (first + second) / 2, gain)
    return x


def pingpong(velocity: Velocity, x: Tensor, sigmas: Tensor, gain: Tensor | float, noise: Iterator[Tensor]) -> Tensor:
    """Jump to the data that the velocity points at, then add fresh noise of the next level. Ignores ``gain``."""
    for call, (sigma, sigma_next) in enumerate(pairwise(sigmas.tolist())):
        data = x - sigma * velocity(x, call)
        x = (1 - sigma_next) * data + sigma_next * next(noise)
    return x


SOLVERS: dict[str, Solver] = {"euler": euler, "heun": heun, "pingpong": pingpong}


def _advance(x: Tensor, update: Tensor, gain: Tensor | float) -> Tensor:
    """Add ``update``, its deviation from the song's own mean scaled by ``gain``."""
    mean = update.mean(dim=(-1, -2, -3), keepdim=True)
    return x + (update - mean) * gain + mean
