"""Short-time spectra of one channel, a block of frames at a time, and their powers in mel bands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.sparse import csr_array

from acestep_batch.measure.reading import BLOCK_FRAMES

BANDS = 40
LOWEST_HZ, HIGHEST_HZ = 30.0, 15_000.0
"""Of the mel bands: the same at any sample rate, so that files of different ones can be compared."""
BANDS_PER_S = 100
"""Frames of band powers in a second, as near as whole samples allow."""
_WINDOW_S = 0.043
_BLOCK = 256
"""Frames that are transformed at once."""


def mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the channels of `[N, C]`, N > 0, as if the largest sample were 1: `[N]`.

    What is made of it does not depend on the level, and no power is too large or too small for float32.
    """
    peak = max(float(samples.max()), -float(samples.min()))
    channel = np.zeros(len(samples), np.float32)
    if peak > 0:
        for start in range(0, len(samples), BLOCK_FRAMES):
            block = samples[start : start + BLOCK_FRAMES].astype(np.float64)
            channel[start : start + BLOCK_FRAMES] = reduce(np.add, block.T) / (peak * samples.shape[1])
    return channel


def window_length(sample_rate: int, seconds: float = _WINDOW_S) -> int:
    """The power of two nearest to so many seconds: 2048 at 44.1 and 48 kHz by default."""
    return int(2 ** round(math.log2(sample_rate * seconds)))


def spectra(channel: NDArray[np.float32], window: int, hop: int) -> Iterator[NDArray[np.float32]]:
    """Power spectra of Hann frames of `[N]`, as blocks of `[up to 256, window // 2 + 1]`; none if N < window.

    A full-scale sine has a power of 1 in its bin. No frame reaches beyond the ends.
    """
    if len(channel) < window:
        return
    framed = np.lib.stride_tricks.sliding_window_view(channel, window)[::hop]
    # periodic Hann: its values sum to window / 2, so a sine of amplitude 1 has window / 4 in its bin
    hann = (np.hanning(window + 1)[:-1] * 4 / window).astype(np.float32)
    for start in range(0, len(framed), _BLOCK):
        transformed = scipy.fft.rfft(framed[start : start + _BLOCK] * hann, axis=1)
        yield transformed.real**2 + transformed.imag**2


def band_powers(channel: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Power of `[N]` in 40 mel bands from 30 Hz to 15 kHz, 100 times a second: `[frames, 40]`.

    Bands above half the sample rate have none.
    """
    window = window_length(sample_rate)
    filters = csr_array(_mel_filters(sample_rate, window).T)  # a product of sparse matrices takes one thread
    blocks = [np.zeros((0, BANDS), np.float32)]
    blocks.extend(np.asarray(block @ filters) for block in spectra(channel, window, round(sample_rate / BANDS_PER_S)))
    return np.concatenate(blocks)


def _mel_filters(sample_rate: int, window: int) -> NDArray[np.float32]:
    """Triangles `[40, window // 2 + 1]` whose corners are equally spaced in mel."""
    lowest, highest = (2595 * math.log10(1 + hertz / 700) for hertz in (LOWEST_HZ, HIGHEST_HZ))
    corners = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)
    left, centre, right = (corners[start : start + BANDS, None] for start in range(3))
    hertz = np.fft.rfftfreq(window, 1 / sample_rate)[None]
    rising, falling = (hertz - left) / (centre - left), (right - hertz) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
