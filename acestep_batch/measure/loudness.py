"""Loudness as people hear it: integrated and its range, from one pass of K-weighting."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from scipy.signal import lfilter

from acestep_batch.measure.reading import BLOCK_FRAMES

ABSOLUTE_GATE_LUFS = -70.0
INTEGRATED_GATE_LU = -10.0
RANGE_GATE_LU = -20.0
_STEPS_PER_S = 10
_MOMENTARY, _SHORT_TERM = 4, 30
"""Blocks of 0.4 s and 3 s in steps of 0.1 s, each 0.1 s after the one before."""
_OFFSET_DB = -0.691
"""Makes the weighting's gain 0 dB at 997 Hz."""


@dataclass(frozen=True, slots=True)
class Loudness:
    """None where a block does not fit into the audio, or nothing is louder than the absolute gate."""

    integrated_lufs: float | None
    range_lu: float | None


def loudness(samples: NDArray[np.float32], sample_rate: int) -> Loudness:
    """Loudness of `[N, C]`, C being 1 or 2: channels add up, so one channel alone is 3 LU below two that are alike.

    Integrated after ITU-R BS.1770-4, range after EBU Tech 3342. pyloudnorm gives the filters, in De Man's form, which
    has the standard's coefficients; the gating stands here, because both figures share one pass in blocks.
    """
    steps = _step_powers(samples, sample_rate)
    return Loudness(_integrated(_block_powers(steps, _MOMENTARY)), _range(_block_powers(steps, _SHORT_TERM)))


def _step_powers(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Weighted power of every whole 0.1 s, summed over channels: `[steps]`."""
    filters = [
        pyloudnorm.IIRfilter(3.99984385397, 0.7071752369554193, 1681.9744509555319, sample_rate, "high_shelf_DeMan"),
        pyloudnorm.IIRfilter(0.0, 0.5003270373253953, 38.13547087613982, sample_rate, "high_pass_DeMan"),
    ]
    coefficients = [(each.b, each.a) for each in filters]
    count = len(samples) * _STEPS_PER_S // sample_rate
    edges = np.arange(count + 1) * sample_rate // _STEPS_PER_S
    powers = np.zeros(count)
    states = [np.zeros((2, samples.shape[1])) for _ in filters]
    per_block = max(1, BLOCK_FRAMES * _STEPS_PER_S // sample_rate)
    for first in range(0, count, per_block):
        inside = edges[first : first + per_block + 1]
        weighted = samples[inside[0] : inside[-1]].astype(np.float64)
        for index, (b, a) in enumerate(coefficients):
            weighted, states[index] = lfilter(b, a, weighted, axis=0, zi=states[index])
        squares = np.square(weighted).sum(axis=1)
        powers[first : first + per_block] = np.add.reduceat(squares, inside[:-1] - inside[0]) / np.diff(inside)
    return powers


def _block_powers(steps: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Mean power of every block of `length` steps; empty where none fits."""
    if len(steps) < length:
        return np.zeros(0)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(steps, length).mean(axis=1))


def _integrated(powers: NDArray[np.float64]) -> float | None:
    loud = _gated(powers, INTEGRATED_GATE_LU)
    return None if loud.size == 0 else _lufs(float(loud.mean()))


def _range(powers: NDArray[np.float64]) -> float | None:
    loud = _gated(powers, RANGE_GATE_LU)
    if loud.size == 0:
        return None
    low, high = np.percentile(10 * np.log10(loud), (10, 95))
    return float(high - low)


def _gated(powers: NDArray[np.float64], relative_lu: float) -> NDArray[np.float64]:
    """The powers above the absolute gate and above the gate relative to their mean."""
    powers = powers[powers >= _power(ABSOLUTE_GATE_LUFS)]
    return powers[powers >= powers.mean() * 10 ** (relative_lu / 10)] if powers.size else powers


def _lufs(power: float) -> float:
    return _OFFSET_DB + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET_DB) / 10))
