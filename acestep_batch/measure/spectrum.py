"""The shape of the spectrum: how bright, how far up, how noise-like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acestep_batch.measure.frames import spectra, window_length

ROLLOFF = 0.95
FLATNESS_HZ = (50.0, 15_000.0)
"""Where flatness is measured: under what encoders and v1's vocoder cut off, which would read as tonal."""
SOUNDING_DB = -60.0
"""Frames whose mean power lies so far below the loudest frame's say nothing about how a song sounds."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """None for silence, and for audio shorter than a frame."""

    centroid_hz: float | None
    rolloff_hz: float | None
    flatness: float | None


def spectrum(channel: NDArray[np.float32], sample_rate: int) -> Spectrum:
    """Spectrum of `[N]`.

    Centroid: amplitude-weighted mean frequency of a frame, mean over sounding frames. Rolloff: the frequency below
    which 95 % of all power lie. Flatness: geometric over arithmetic mean of a frame's power (Wiener entropy), mean over
    sounding frames; a periodogram of white noise has exp(-0.577) = 0.56.
    """
    window = window_length(sample_rate)
    hertz = np.fft.rfftfreq(window, 1 / sample_rate).astype(np.float32)
    inside = slice(*np.searchsorted(hertz, FLATNESS_HZ))
    total = np.zeros(hertz.size)
    powers, centroids, flatnesses = [], [], []
    for block in spectra(channel, window, window // 2):
        block = block[:, 1:]  # without the constant offset
        power = block.sum(axis=1)
        block, power = block[power > 0], power[power > 0]
        amplitude = np.sqrt(block)
        total[1:] += block.sum(axis=0)
        powers.append(power)
        centroids.append(np.einsum("tf,f->t", amplitude, hertz[1:]) / amplitude.sum(axis=1))
        middle = block[:, max(inside.start - 1, 0) : inside.stop - 1]
        floor = middle.max(axis=1, keepdims=True) * np.float32(1e-12)
        logs = np.log(np.maximum(middle, np.maximum(floor, np.finfo(np.float32).tiny)))
        flatnesses.append(np.exp(logs.mean(axis=1)) / np.maximum(middle.mean(axis=1), np.finfo(np.float32).tiny))
    if not powers or not (power := np.concatenate(powers)).size:
        return Spectrum(None, None, None)
    sounding = power >= power.max() * 10 ** (SOUNDING_DB / 10)
    share = np.cumsum(total) / total.sum()
    return Spectrum(
        centroid_hz=float(np.concatenate(centroids)[sounding].mean()),
        rolloff_hz=float(hertz[np.searchsorted(share, ROLLOFF)]),
        flatness=float(np.concatenate(flatnesses)[sounding].mean()),
    )
