"""Tracks to a finished stereo clip: place, room, loudness, and a limit for peaks. `[2, N]` float64."""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from acestep_batch.measure.loudness import loudness
from training.draws import Draws
from training.oscillators import Signal, low_passed
from training.tempo import SAMPLE_RATE

TARGET_LUFS = -16.0
PEAK = 0.87
"""-1.2 dBFS."""
_KNEE = 0.6


def placed(track: Signal, pan: float) -> Signal:
    """`[N]` to `[2, N]` at constant power; `pan` from -1, left, to 1, right."""
    angle = (pan + 1) * np.pi / 4
    return np.stack([np.cos(angle) * track, np.sin(angle) * track])


def in_room(dry: Signal, wet_gain: float, decay_s: float) -> Signal:
    """With the echo of a room added, whose sound takes `decay_s` to fall by 60 dB."""
    echo = _room(decay_s)
    size = scipy.fft.next_fast_len(dry.shape[1] + echo.shape[1], real=True)
    wet = scipy.fft.irfft(
        scipy.fft.rfft(dry.astype(np.float32), size) * scipy.fft.rfft(echo.astype(np.float32), size), size
    )
    return np.asarray(dry + wet_gain * wet[:, : dry.shape[1]])


def finished(mix: Signal) -> NDArray[np.int16]:
    """At -16 LUFS and below -1 dBFS, rounded: `[2, N]` int16.

    Peaks bend softly instead of clipping, which takes away a little loudness: hence a second time. Silence stays so.
    """
    for _ in range(2):
        found = loudness(np.ascontiguousarray(mix.T, dtype=np.float32), SAMPLE_RATE).integrated_lufs
        if found is None:
            break
        mix = _limited(mix * 10 ** ((TARGET_LUFS - found) / 20))
    return np.rint(mix * 32767).astype(np.int16)


def _limited(signal: Signal) -> Signal:
    """Unchanged up to 0.6, then bent so that no peak passes `PEAK`."""
    over = np.maximum(np.abs(signal) - _KNEE, 0)
    room = PEAK - _KNEE
    return np.asarray(np.where(over > 0, np.sign(signal) * (_KNEE + room * np.tanh(over / room)), signal))


@cache
def _room(decay_s: float) -> Signal:
    """Impulse response, `[2, N]`: noise that decays, high frequencies sooner; first echo after 12 ms; energy 1."""
    length = round(decay_s * SAMPLE_RATE)
    time_s = np.arange(length) / SAMPLE_RATE
    noise = np.stack([Draws(0, f"room {side}").noise(length) for side in ("left", "right")])
    bright = noise * np.exp(-6.9 / (0.4 * decay_s) * time_s)
    dull = low_passed(noise, 2500) * np.exp(-6.9 / decay_s * time_s)
    echo = np.concatenate([np.zeros((2, round(0.012 * SAMPLE_RATE))), 0.4 * bright + dull], axis=1)
    return np.asarray(echo / np.sqrt(np.square(echo).sum(axis=1, keepdims=True)))
