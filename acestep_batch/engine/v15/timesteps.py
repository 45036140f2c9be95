"""Timesteps of flow matching as lists: 1 is noise, 0 is data; no model, no random draws, no torch.

The tables are those of the reference implementation (ace-step/ACE-Step-1.5 at f30aee4; base and sft as published on
22 February 2026). Values are float32, given as Python floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acestep_batch.engine.v15.request import V15Request
from acestep_batch.engine.v15.variant import Variant

TURBO_STEPS = 8
TURBO_SHIFTS = (1.0, 2.0, 3.0)
TURBO_MOST_TIMESTEPS = 20
"""Custom timesteps beyond it are cut off by the reference; here ``limits`` refuses them before."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The timestep of every model call, and the noise level that the solver goes to after it; both [calls]."""

    times: tuple[float, ...]
    targets: tuple[float, ...]


def schedule(request: V15Request, variant: Variant) -> Schedule:
    """Timesteps and targets of a song.

    Base and sft with ``sde`` renoise to the levels of an unshifted table, as their reference does; where custom
    timesteps are given, the targets are those.
    """
    if variant is Variant.TURBO:
        times = turbo_timesteps(request.shift, request.timesteps)
    elif chosen := listed_timesteps(request.timesteps):
        times = chosen
    else:
        times = uniform_timesteps(request.infer_step, request.shift)
        if request.infer_method == "sde":
            steps = request.infer_step
            return Schedule(times, tuple(1 - (step + 1) / steps for step in range(steps)))
    return Schedule(times, (*times[1:], 0.0))


def turbo_timesteps(shift: float, timesteps: Sequence[float] = ()) -> tuple[float, ...]:
    """The turbo model's 8 steps at the nearest of the shifts it knows, or the known values nearest to ``timesteps``.

    Of ``timesteps`` at most 20 count, without zeros at their end; where none is left, it is the table again.
    """
    chosen = listed_timesteps(timesteps)[:TURBO_MOST_TIMESTEPS]
    if not chosen:
        return _float32(_turbo_table(turbo_shift(shift)))
    return _float32([min(TURBO_TIMESTEPS, key=lambda known: abs(known - each)) for each in chosen])


def turbo_shift(shift: float) -> float:
    """The shift that the turbo model renders for ``shift``; in the middle between two it is the lower."""
    return min(TURBO_SHIFTS, key=lambda known: abs(known - shift))


def uniform_timesteps(steps: int, shift: float) -> tuple[float, ...]:
    """``steps`` timesteps from 1 down, evenly spaced, then shifted: t becomes s t / (1 + (s - 1) t).

    The same float32 values as torch's ``linspace``, which counts from the nearer end and rounds once.
    """
    step = np.float64(np.float32(-1.0) / np.float32(steps))
    index = np.arange(steps)
    even = np.where(index < (steps + 1) // 2, 1 + step * index, -step * (steps - index)).astype(np.float32)
    if shift == 1.0:
        return tuple(even.tolist())
    factor, slope = np.float32(shift), np.float32(shift - 1)
    return tuple((factor * even / (1 + slope * even)).tolist())


def listed_timesteps(timesteps: Sequence[float]) -> tuple[float, ...]:
    """Custom timesteps without the zeros at their end, which every solver adds by itself."""
    kept = list(timesteps)
    while kept and kept[-1] == 0:
        kept.pop()
    return _float32(kept)


def _turbo_table(shift: float) -> list[float]:
    even = [1 - step / TURBO_STEPS for step in range(TURBO_STEPS)]
    return [shift * t / (1 + (shift - 1) * t) for t in even]


def _float32(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(np.asarray(values, dtype=np.float32).tolist())


TURBO_TIMESTEPS = tuple(sorted({t for shift in TURBO_SHIFTS for t in _turbo_table(shift)}, reverse=True))
"""The 20 values of the three tables."""
