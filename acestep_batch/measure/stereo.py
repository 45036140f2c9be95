"""What two channels have in common, and how wide they sound."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acestep_batch.measure.reading import BLOCK_FRAMES

_LEAST_POWER = 1e-12
"""Variance of a channel (-120 dBFS) below which it has nothing to correlate."""


@dataclass(frozen=True, slots=True)
class Stereo:
    """None for a single channel; the correlation also where a channel is silent, the width where both are."""

    correlation: float | None
    width: float | None


def stereo(samples: NDArray[np.float32]) -> Stereo:
    """Pearson's correlation of the two channels of `[N, 2]`, N > 0, and the share of the side signal in the power.

    Mid is (L + R) / 2, side (L - R) / 2, both without their constant offset. Other than two channels have neither.
    """
    if samples.shape[1] != 2:
        return Stereo(None, None)
    sums, products = np.zeros(2), np.zeros((2, 2))
    for start in range(0, len(samples), BLOCK_FRAMES):
        block = samples[start : start + BLOCK_FRAMES].astype(np.float64)
        sums += block.sum(axis=0)
        products += np.einsum("nc,nd->cd", block, block)  # unlike a BLAS product it keeps to one thread
    means = sums / len(samples)
    (left, both), (_, right) = products / len(samples) - np.outer(means, means)
    width = (left + right - 2 * both) / (2 * (left + right)) if left + right > _LEAST_POWER else None
    if min(left, right) <= _LEAST_POWER:
        return Stereo(None, width)
    return Stereo(float(np.clip(both / math.sqrt(left * right), -1, 1)), width)
