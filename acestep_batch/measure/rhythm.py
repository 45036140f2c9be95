"""The tempo that a song's onsets suggest, and how periodic they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

SLOWEST_BPM, FASTEST_BPM = 30.0, 300.0
PRIOR_BPM, PRIOR_OCTAVES = 120.0, 0.8
"""Centre and standard deviation of the log-normal prior: the tempo that people would tap (after Ellis 2007).

Of 156 drum patterns with hats on halves or quarters of the beat, 85 % read their tempo, 12 % half or double of it."""
LEAST_S = 3.0
"""Shorter audio has too few beats."""
_WINDOW_S, _HOP_S = 12.0, 3.0
"""Tempo is looked for in windows, so that a tempo that drifts a little still adds up."""
_GRID = np.exp2(np.arange(np.log2(SLOWEST_BPM), np.log2(FASTEST_BPM), 1 / 240))
"""Tempos that are tried: 0.3 % apart."""
_BLUR_S = 0.08
"""An onset is spread over so long: beats that are a few frames off still meet in the autocorrelation."""
_LEAST_RISE = 1e-4
"""Onset strengths below this are rounding: the sound does not change."""


@dataclass(frozen=True, slots=True)
class Tempo:
    """`confidence` from 0 to 1: the autocorrelation of the onsets one beat later. Both None without any onset."""

    bpm: float | None
    confidence: float | None


def tempo(band_powers: NDArray[np.float32], frames_per_s: float) -> Tempo:
    """Tempo of `[T, bands]`, powers of frequency bands.

    Autocorrelation is high at the beat's period and its multiples, the Fourier transform at its frequency and its
    multiples; only the beat is high in the product of both (Peeters 2006, Template-based estimation of time-varying
    tempo). The prior decides between what is left.
    """
    if len(band_powers) < LEAST_S * frames_per_s:
        return Tempo(None, None)
    strength = onset_strength(band_powers, frames_per_s)
    windows = _windows(strength, frames_per_s)
    if strength.max() < _LEAST_RISE:
        return Tempo(None, None)
    lags = 60 * frames_per_s / _GRID
    correlation = _autocorrelation(windows)
    periodic = np.maximum(np.interp(lags, np.arange(correlation.size), correlation), 0)
    harmonic = _fourier(windows, frames_per_s)
    prior = np.exp(-0.5 * np.square(np.log2(_GRID / PRIOR_BPM) / PRIOR_OCTAVES))
    score = periodic * harmonic * prior
    best = int(score.argmax())
    if score[best] <= 0:
        return Tempo(None, None)
    return Tempo(float(np.exp2(_vertex(np.log2(_GRID), score, best))), float(min(periodic[best], 1.0)))


def onset_strength(band_powers: NDArray[np.float32], frames_per_s: float) -> NDArray[np.float64]:
    """How much the amplitudes of the bands of `[T, bands]` rise from frame to frame: `[T - 1]`, less its mean over 1 s.

    1 is all bands rising from nothing to the loudest. In dB, hats would be as strong as drums.
    """
    loudest = float(band_powers.max())
    if loudest <= 0:
        return np.zeros(len(band_powers) - 1)
    rises = np.diff(np.sqrt(band_powers / loudest), axis=0)
    strength = np.maximum(rises, 0).mean(axis=1, dtype=np.float64)
    width = min(strength.size, round(frames_per_s))
    weights = np.ones(width)
    means = np.convolve(strength, weights, "same") / np.convolve(np.ones_like(strength), weights, "same")
    blur = np.hanning(round(_BLUR_S * frames_per_s) + 2)[1:-1]
    return np.convolve(strength - means, blur / blur.sum(), "same")


def _windows(strength: NDArray[np.float64], frames_per_s: float) -> NDArray[np.float64]:
    """Windows of 12 s, or the whole where it is shorter: `[windows, length]`, Hann-weighted."""
    length = min(strength.size, round(_WINDOW_S * frames_per_s))
    windows = np.lib.stride_tricks.sliding_window_view(strength, length)[:: round(_HOP_S * frames_per_s)]
    return windows * np.hanning(length)


def _autocorrelation(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean autocorrelation of `[windows, length]`, 1 at lag 0, as if the windows were endless: `[length // 2]`."""
    length = windows.shape[1]
    size = scipy.fft.next_fast_len(2 * length, real=True)

    def raw(signal: NDArray[np.float64]) -> NDArray[np.float64]:
        power = np.square(np.abs(scipy.fft.rfft(signal, size, axis=-1)))
        return np.asarray(scipy.fft.irfft(power, size, axis=-1)[..., : length // 2])

    found, taper = raw(windows).sum(axis=0), raw(np.hanning(length))
    return np.asarray(found / found[0] * taper[0] / taper)


def _fourier(windows: NDArray[np.float64], frames_per_s: float) -> NDArray[np.float64]:
    """Mean magnitude of the windows' spectra at the tempos of the grid, 1 at the highest."""
    size = 8 * windows.shape[1]
    magnitude = np.abs(scipy.fft.rfft(windows, size, axis=1)).mean(axis=0)
    at = np.interp(_GRID / 60, np.arange(magnitude.size) * frames_per_s / size, magnitude)
    return np.asarray(at / at.max()) if at.max() > 0 else at


def _vertex(x: NDArray[np.float64], y: NDArray[np.float64], at: int) -> float:
    """Where the parabola through three neighbours of evenly spaced `x` is highest."""
    if not 0 < at < x.size - 1:
        return float(x[at])
    before, here, after = y[at - 1 : at + 2]
    bend = before - 2 * here + after
    return float(x[at] + (0.5 * (before - after) / bend if bend < 0 else 0.0) * (x[1] - x[0]))
