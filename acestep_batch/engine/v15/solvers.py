"""Solvers of 1.5's flow; no model, no schedule, no guidance.

Both have one signature. ``velocity(x, call)`` is the guided velocity of latents ``x`` [B, F, C] at model call ``call``;
``steps`` are the timesteps of the calls and the levels after them; ``noise`` yields fresh standard normal draws in the
shape of ``x``. The formulas are the reference implementation's (ace-step/ACE-Step-1.5 at f30aee4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor

from acestep_batch.engine.v15.timesteps import Schedule

Velocity = Callable[[Tensor, int], Tensor]
Solver = Callable[[Velocity, Tensor, Schedule, Iterator[Tensor]], Tensor]


def ode(velocity: Velocity, x: Tensor, steps: Schedule, noise: Iterator[Tensor]) -> Tensor:
    """Euler's method. Draws no noise."""
    for call, (t, target) in enumerate(zip(steps.times, steps.targets, strict=True)):
        x = x - (t - target) * velocity(x, call)
    return x


def sde(velocity: Velocity, x: Tensor, steps: Schedule, noise: Iterator[Tensor]) -> Tensor:
    """Jump to the data that the velocity points at, then add fresh noise up to the next level; none at level 0."""
    for call, (t, target) in enumerate(zip(steps.times, steps.targets, strict=True)):
        x = x - t * velocity(x, call)
        if target > 0:
            x = target * next(noise) + (1 - target) * x
    return x


SOLVERS: Mapping[str, Solver] = {"ode": ode, "sde": sde}
