"""Two audios to the tier in which they agree, with its number; pure numpy, knows no files and no records.

The tolerances were set by what two untrained models do: the embedded one (32 songs: 4 texts by 8 settings, 10 s and
30 s) and the tiny v1 checkpoint of the tests (4 songs of 10 s), 60 steps, on an x86-64 CPU with AVX-512, torch 2.13.
Largest difference of two samples, of full scale, and log-mel distance, of all songs; v1's figures in brackets:

===============================================  ==========================  =====================
a song in float32, and ...                       largest difference          log-mel distance (dB)
===============================================  ==========================  =====================
the same again                                   0 (0)                       0
on 2 threads, not 1                              6e-7 to 2.5e-6 (1.1e-5)     below 0.0001
in a micro-batch of 4, not alone                 0 to 2.3e-6 (8.0e-6)        below 0.0001
by AVX2 kernels, not AVX-512                     1.1e-6 to 4.5e-6 (1.4e-5)   below 0.0001
by kernels without AVX                           1.4e-6 to 1.3e-5 (1.1e-5)   below 0.0001
guidance_scale 15.01, not 15                     2.1e-4 to 3.7e-3            0.0006 to 0.005
guidance_scale 16, not 15                        2.0e-2 to 3.2e-2            0.06 to 0.08
50 steps, not 60                                 1.7e-1 to 1.9e-1            0.38 to 0.49
in bfloat16                                      2.9e-2 to 3.7e-1            0.13 to 1.28
with another seed                                4.3e-1 to 6.8e-1            2.38 to 3.18 (3.79)
-----------------------------------------------  --------------------------  ---------------------
a song in bfloat16, and ...
in a micro-batch of 4, not alone                 1.7e-2 to 6.2e-2            0.10 to 0.19
by AVX2 kernels, not AVX-512                     1.8e-2 to 7.4e-2            0.11 to 0.19
===============================================  ==========================  =====================

Neither GPUs nor the published weights were measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

LARGEST_DIFFERENCE = 1e-4
"""Of full scale: what ``numerical`` allows a sample, beside one step of the file's own sample type.

Seven times the most that other kernels, threads or company moved a sample of a float32 song (1.4e-5), and half of the
least that a hundredth more guidance_scale did (2.1e-4). It is -80 dBFS."""

LOG_MEL_DB = 0.6
"""The log-mel distance that ``perceptual`` allows.

Three times the most that rounding did to a song in bfloat16 (0.19 dB), and a quarter of the least that another seed did
(2.38 dB). Small changes of a parameter lie below it too: this tier tells one song from another, not its settings."""

_WINDOW, _HOP, _BANDS = 2048, 1024, 80
_LOWEST_HZ = 30.0
_FLOOR_DB = 60.0
"""Bands that lie so far below the loudest count as silent."""
_BLOCK = 512
"""Windows that are transformed at once, which bounds the memory."""


class Tier(StrEnum):
    """How well two audios agree, best first."""

    BIT_IDENTICAL = "bit-identical"
    """Every sample has the same bits."""
    NUMERICAL = "numerical"
    """No two samples are further apart than ``LARGEST_DIFFERENCE``."""
    PERCEPTUAL = "perceptual"
    """The log-mel distance is no larger than ``LOG_MEL_DB``."""
    DIFFERENT = "different"
    """None of these."""

    def holds(self, expected: Tier) -> bool:
        """Whether this is the expected tier or a better one."""
        order = list(Tier)
        return order.index(self) <= order.index(expected)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two audios have in common."""

    tier: Tier
    largest: float | None = None
    """Difference of the two samples that are furthest apart, full scale being 1; None where lengths differ."""
    log_mel_db: float | None = None
    """Root mean square over channels, windows and mel bands; None where it was not needed, or lengths differ."""
    reason: str = ""
    """Why nothing could be compared."""

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        if self.tier is Tier.BIT_IDENTICAL:
            return "every sample is the same"
        largest = f"largest difference {self.largest:.1e}"
        return largest if self.log_mel_db is None else f"{largest}, log-mel distance {self.log_mel_db:.2f} dB"


def compare(one: NDArray[np.float32], other: NDArray[np.float32], sample_rate: int, step: float = 0.0) -> Comparison:
    """The best tier that two audios ``[2, N]`` float32 reach.

    ``step`` is the distance of neighbouring values of the sample type that they were stored in, 0 for floats: a
    difference too small to matter moves a sample by a whole one.
    """
    if one.shape != other.shape:
        channels = "" if one.shape[0] == other.shape[0] else f" in {one.shape[0]} and {other.shape[0]} channels"
        return Comparison(Tier.DIFFERENT, reason=f"{one.shape[1]} and {other.shape[1]} samples{channels}")
    if np.array_equal(one, other):
        return Comparison(Tier.BIT_IDENTICAL, 0.0)
    largest = float(np.max(np.abs(one - other)))
    if largest <= LARGEST_DIFFERENCE + step:
        return Comparison(Tier.NUMERICAL, largest)
    distance = log_mel_distance(one, other, sample_rate)
    return Comparison(Tier.PERCEPTUAL if distance <= LOG_MEL_DB else Tier.DIFFERENT, largest, distance)


def log_mel_distance(one: NDArray[np.float32], other: NDArray[np.float32], sample_rate: int) -> float:
    """Root mean square difference of two log-mel spectrograms in dB, of audios ``[C, N]`` with equal shapes.

    80 bands by the HTK formula, mel = 2595 log10(1 + f / 700), from 30 Hz to half the sample rate; Hann windows of 2048
    samples, each 1024 after the last. What lies more than 60 dB below the loudest band of both counts as that floor.
    """
    powers = [mel_power(audio, sample_rate) for audio in (one, other)]
    loudest = max(float(power.max(initial=0.0)) for power in powers)
    if loudest == 0.0:
        return 0.0
    floor = loudest * 10 ** (-_FLOOR_DB / 10)
    first, second = (10 * np.log10(np.maximum(power, floor)) for power in powers)
    return float(np.sqrt(np.mean((first - second) ** 2)))


def mel_power(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Power of every band: ``[C, windows, _BANDS]``; the end is filled up with silence."""
    length = audio.shape[1]
    windows = max(1, -(-(length - _WINDOW) // _HOP) + 1)
    filled = np.pad(audio, ((0, 0), (0, (windows - 1) * _HOP + _WINDOW - length)))
    framed = np.lib.stride_tricks.sliding_window_view(filled, _WINDOW, axis=1)[:, ::_HOP]
    filters, hann = _mel_filters(sample_rate).T, np.hanning(_WINDOW)
    blocks = [
        np.abs(np.fft.rfft(framed[:, start : start + _BLOCK] * hann)) ** 2 @ filters
        for start in range(0, windows, _BLOCK)
    ]
    return np.concatenate(blocks, axis=1)


def _mel_filters(sample_rate: int) -> NDArray[np.float64]:
    """Triangles ``[_BANDS, _WINDOW // 2 + 1]`` whose corners are equally spaced in mel."""
    lowest, highest = (2595 * np.log10(1 + hertz / 700) for hertz in (_LOWEST_HZ, sample_rate / 2))
    corners = 700 * (10 ** (np.linspace(lowest, highest, _BANDS + 2) / 2595) - 1)
    left, centre, right = (corners[start : start + _BANDS, None] for start in range(3))
    hertz = np.fft.rfftfreq(_WINDOW, 1 / sample_rate)[None]
    rising, falling = (hertz - left) / (centre - left), (right - hertz) / (right - centre)
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))
