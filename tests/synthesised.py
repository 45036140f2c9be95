"""Signals whose measurements are known beforehand: `[N]` or `[N, C]` float32 at 48 kHz unless told otherwise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
RATE = 48_000


def sine(hertz: float, seconds: float, dbfs: float = 0.0, phase: float = 0.0, rate: int = RATE) -> Samples:
    """`[N]`; the level is that of the peak."""
    time_s = np.arange(round(seconds * rate)) / rate
    return (10 ** (dbfs / 20) * np.sin(2 * np.pi * hertz * time_s + phase)).astype(np.float32)


def both(channel: Samples) -> Samples:
    """The same in both channels: `[N, 2]`."""
    return np.stack([channel, channel], axis=1)


def noise(seconds: float, channels: int = 2, seed: int = 1, rate: int = RATE) -> Samples:
    """White Gaussian noise at -20 dBFS RMS, channels independent: `[N, C]`."""
    return (0.1 * np.random.default_rng(seed).standard_normal((round(seconds * rate), channels))).astype(np.float32)


def mono_noise(seconds: float, seed: int = 1) -> Samples:
    """The same, one channel: `[N]`."""
    return noise(seconds, 1, seed)[:, 0]


def nothing(seconds: float, channels: int = 2, rate: int = RATE) -> Samples:
    """Digital silence: `[N, C]`."""
    return np.zeros((round(seconds * rate), channels), np.float32)


def hits(times_s: NDArray[np.float64], seconds: float, pitched: bool = False, seed: int = 1) -> Samples:
    """Short decaying noises, or low tones, at these times: `[N]`."""
    length = round(0.05 * RATE)
    time_s = np.arange(length) / RATE
    body = np.sin(2 * np.pi * 60 * time_s) if pitched else np.random.default_rng(seed).standard_normal(length)
    hit = (0.5 * body * np.exp(-time_s / 0.01)).astype(np.float32)
    found = np.zeros(round(seconds * RATE) + length, np.float32)
    for at in np.rint(times_s[times_s < seconds] * RATE).astype(int):
        found[at : at + length] += hit
    return found[:-length]


def note(midi: float, seconds: float, overtones: int = 6) -> Samples:
    """A plucked tone of that pitch, A4 = 69 = 440 Hz: `[N]`."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    hertz = 440 * 2 ** ((midi - 69) / 12)
    tone = sum(np.sin(2 * np.pi * hertz * each * time_s) / each for each in range(1, overtones + 1))
    return np.asarray(0.05 * tone * np.exp(-1.5 * time_s), np.float32)


def song(seconds: float, seed: int) -> Samples:
    """Random chords and hits over a little noise, different for every seed: `[N, 2]`."""
    draws = np.random.default_rng(seed)
    count = int(seconds * 2)
    chords = [
        sum(note(midi, 0.5) for midi in draws.choice(np.arange(45, 80), 3)) * draws.uniform(0.1, 1)
        for _ in range(count)
    ]
    melody = np.concatenate(chords)
    drums = hits(np.arange(count)[draws.random(count) < 0.6] / 2, count / 2)
    return both((melody + 0.3 * drums).astype(np.float32)) + 0.01 * noise(count / 2, seed=seed)
