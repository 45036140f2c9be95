"""The key that a song's pitches suggest, and how well they fit it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from acestep_batch.measure.frames import spectra, window_length

TONICS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MODES = ("major", "minor")
PROFILES = np.array(
    [
        [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
        [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
    ]
)
"""Krumhansl and Kessler's probe tone ratings (1982), upwards from the tonic: major, minor."""
LOWEST_HZ, HIGHEST_HZ = 65.0, 2_000.0
"""Fundamentals of most instruments; above are overtones, which are not in the key."""
LEAST_S = 1.5
_RATE_HZ = 11_025
_WINDOW_S = 0.75
"""So that a semitone is three bins wide at 65 Hz."""
_RANGE = 1e-4
"""Peaks more than 40 dB below a frame's highest are left out: leakage and noise."""
_SOUNDING = 1e-6
"""So are frames more than 60 dB below the loudest."""
_FLAT = 0.3
"""A deviation of the chroma (whose mean is 1) that says little: noise has 0.1, chords have 0.5 and more."""


@dataclass(frozen=True, slots=True)
class Key:
    """`name` as in `C# minor`; `confidence` from 0 to 1. Both None without any pitch."""

    name: str | None
    confidence: float | None


def key(channel: NDArray[np.float32], sample_rate: int) -> Key:
    """Key of `[N]`: the one of 24 whose profile correlates best with the song's chroma (Krumhansl and Schmuckler).

    The confidence is that correlation, damped where the pitch classes hardly differ from each other.
    """
    if len(channel) < LEAST_S * sample_rate:
        return Key(None, None)
    found = chroma(channel, sample_rate)
    if found is None:
        return Key(None, None)
    centred = found / found.mean() - 1
    profiles = PROFILES - PROFILES.mean(axis=1, keepdims=True)
    turned = np.stack([np.roll(profiles, tonic, axis=1) for tonic in range(12)], axis=1)  # [2, 12, 12]
    deviation = float(centred.std())
    fits = (turned * centred).mean(axis=2) / profiles.std(axis=1)[:, None]
    mode, tonic = np.unravel_index(int(fits.argmax()), fits.shape)
    confidence = float(fits[mode, tonic]) / float(np.hypot(deviation, _FLAT))
    return Key(f"{TONICS[tonic]} {MODES[mode]}", float(np.clip(confidence, 0, 1)))


def chroma(channel: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64] | None:
    """Share of the 12 pitch classes from C upwards, `[12]`, mean over sounding frames; None where nothing sounds.

    Only peaks of the spectrum count, by amplitude; they are measured against the tuning that fits them best.
    """
    factor = max(1, sample_rate // _RATE_HZ)
    low = resample_poly(channel, 1, factor) if factor > 1 else channel
    rate = sample_rate / factor
    window = window_length(round(rate), _WINDOW_S)
    low = np.pad(low, window // 2)  # the first note and the last, often the tonic, count as much as the others
    frames, pitches, weights, powers = [], [], [], []
    count = 0
    for block in spectra(low, window, window // 2):
        frame, bins = _peaks(block, rate / window)
        left, peak, right = (np.log(np.maximum(block[frame, bins + step], 1e-30)) for step in (-1, 0, 1))
        bend = left - 2 * peak + right
        offset = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, 1), 0)
        pitches.append(69 + 12 * np.log2((bins + offset) * rate / window / 440))
        weights.append(np.exp(peak / 2))
        frames.append(frame + count)
        powers.append(block.sum(axis=1))
        count += len(block)
    if not frames or not (frame := np.concatenate(frames)).size:
        return None
    pitch, weight, power = np.concatenate(pitches), np.concatenate(weights).astype(np.float64), np.concatenate(powers)
    tuning = np.angle(np.sum(weight * np.exp(2j * np.pi * pitch))) / (2 * np.pi)
    classes = np.rint(pitch - tuning).astype(np.int64) % 12
    chromas = np.bincount(frame * 12 + classes, weight, count * 12).reshape(count, 12)
    sums = chromas.sum(axis=1)
    sounding = (power >= power.max() * _SOUNDING) & (sums > 0)
    if not sounding.any():
        return None
    return np.asarray((chromas[sounding] / sums[sounding, None]).mean(axis=0))


def _peaks(block: NDArray[np.float32], bin_hz: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frame and bin of every local maximum in range of `[frames, bins]`."""
    first = max(1, round(LOWEST_HZ / bin_hz))
    last = min(block.shape[1] - 1, round(HIGHEST_HZ / bin_hz))
    middle = block[:, first:last]
    above = middle > np.maximum(middle.max(axis=1, initial=0, keepdims=True) * _RANGE, 1e-20)
    found = above & (middle > block[:, first - 1 : last - 1]) & (middle >= block[:, first + 1 : last + 1])
    frame, bins = np.nonzero(found)
    return frame, bins + first
