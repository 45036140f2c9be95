"""Levels of the waveform: peaks at and between samples, clipped runs, constant offset, crest factor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from acestep_batch.measure.reading import BLOCK_FRAMES

OVERSAMPLING = 4
FULL_SCALE = 1 - 2**-15
"""The largest step of 16-bit audio; what stands at it or above counts as clipped."""
CLIPPED_RUN = 3
"""So many samples in a row at full scale are no peak that happened to touch it."""
_CONTEXT = 64
"""Samples beside a block that its interpolation depends on; the filter reaches 10."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels in dB are None for digital silence."""

    true_peak_dbtp: float | None
    sample_peak_dbfs: float | None
    crest_factor_db: float | None
    clipped_runs: int
    dc_offset: float
    """Of full scale, of the channel where it is furthest from 0."""


def levels(samples: NDArray[np.float32]) -> Levels:
    """Levels of `[N, C]`, N > 0, finite, full scale 1."""
    peak = float(max(samples.max(), -samples.min()))
    sums, squares = np.zeros(samples.shape[1]), 0.0
    for start in range(0, len(samples), BLOCK_FRAMES):
        block = samples[start : start + BLOCK_FRAMES].astype(np.float64)
        sums += block.sum(axis=0)
        squares += float(np.square(block).sum())
    means = sums / len(samples)
    rms = math.sqrt(squares / samples.size)
    return Levels(
        true_peak_dbtp=decibels(max(peak, _interpolated_peak(samples))),
        sample_peak_dbfs=decibels(peak),
        crest_factor_db=decibels(peak / rms) if rms > 0 else None,
        clipped_runs=sum(_runs(channel >= FULL_SCALE) + _runs(channel <= -FULL_SCALE) for channel in samples.T),
        dc_offset=float(means[np.argmax(np.abs(means))]),
    )


def decibels(amplitude: float) -> float | None:
    """20 log10 of an amplitude; None for 0."""
    return 20 * math.log10(amplitude) if amplitude > 0 else None


def _interpolated_peak(samples: NDArray[np.float32]) -> float:
    """Largest amplitude of the audio at four times the sample rate, after ITU-R BS.1770-4, annex 2.

    The interpolator is scipy's (Kaiser window, 20 taps for each output sample; the standard's example has 12).
    """
    peak = 0.0
    for start in range(0, len(samples), BLOCK_FRAMES):
        before = min(start, _CONTEXT)
        block = samples[start - before : start + BLOCK_FRAMES + _CONTEXT]
        kept = slice(before * OVERSAMPLING, (before + BLOCK_FRAMES) * OVERSAMPLING)
        for channel in block.T:
            fine = resample_poly(np.ascontiguousarray(channel), OVERSAMPLING, 1)[kept]
            peak = max(peak, float(fine.max()), -float(fine.min()))
    return peak


def _runs(full: NDArray[np.bool_]) -> int:
    """How often `CLIPPED_RUN` or more follow each other."""
    positions = np.flatnonzero(full)
    if positions.size < CLIPPED_RUN:
        return 0
    ends = np.flatnonzero(np.diff(positions) > 1)
    lengths = np.diff(np.concatenate(([-1], ends, [positions.size - 1])))
    return int(np.count_nonzero(lengths >= CLIPPED_RUN))
