"""The drums: a name to its sound at full velocity, `[N]`; attacks are within a millisecond."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from training.draws import Draws
from training.oscillators import Signal, filtered
from training.tempo import SAMPLE_RATE


def _time_s(length_s: float) -> Signal:
    return np.arange(round(length_s * SAMPLE_RATE)) / SAMPLE_RATE


def _noise(name: str, length_s: float, low_hz: float, high_hz: float, decay_per_s: float) -> Signal:
    time_s = _time_s(length_s)
    return filtered(Draws(0, name).noise(len(time_s)), low_hz, high_hz) * np.exp(-decay_per_s * time_s)


def _drop(length_s: float, low_hz: float, rise_hz: float, fall_per_s: float, decay_per_s: float) -> Signal:
    """A sine that falls from `low_hz + rise_hz` to `low_hz`, ending in silence."""
    time_s = _time_s(length_s)
    turns = low_hz * time_s + rise_hz / fall_per_s * (1 - np.exp(-fall_per_s * time_s))
    return np.sin(2 * np.pi * turns) * np.exp(-decay_per_s * time_s) * np.minimum((length_s - time_s) / 0.01, 1)


def _sum(*signals: Signal) -> Signal:
    total = np.zeros(max(len(signal) for signal in signals))
    for signal in signals:
        total[: len(signal)] += signal
    return total


def _metal(length_s: float, decay_per_s: float, low_hz: float) -> Signal:
    """Six square waves without a common pitch, without their bass, as in the TR-808's cymbals; and noise."""
    time_s = _time_s(length_s)
    squares = sum(np.sign(np.sin(2 * np.pi * each * time_s)) for each in (205.3, 304.4, 369.6, 522.7, 540.0, 800.0))
    noise = Draws(0, "metal").noise(len(time_s))
    return filtered(np.asarray(squares) / 3 + noise, low_hz, 14_000) * np.exp(-decay_per_s * time_s)


def _clap() -> Signal:
    slaps = [_noise(f"clap {index}", 0.012, 900, 5000, 250) for index in range(3)]
    gap = round(0.009 * SAMPLE_RATE)
    padded = [np.concatenate([np.zeros(index * gap), slap]) for index, slap in enumerate(slaps)]
    return 1.4 * _sum(*padded, np.concatenate([np.zeros(2 * gap), 0.8 * _noise("clap tail", 0.2, 900, 5000, 28)]))


_KIT: Mapping[str, Callable[[], Signal]] = {
    "kick": lambda: 1.1 * _sum(_drop(0.3, 48, 170, 38, 11), 0.5 * _noise("click", 0.008, 1500, 6000, 500)),
    "boom": lambda: 1.2 * _sum(_drop(0.7, 44, 110, 30, 4), 0.4 * _noise("click", 0.008, 1500, 6000, 500)),
    "snare": lambda: _sum(0.6 * _drop(0.15, 180, 120, 60, 26), 1.3 * _noise("snare", 0.22, 1200, 9500, 20)),
    "clap": _clap,
    "rim": lambda: _sum(0.6 * _drop(0.05, 820, 0, 60, 90), 0.7 * _noise("rim", 0.03, 2000, 7000, 140)),
    "hat": lambda: 0.75 * _metal(0.08, 60, 7500),
    "open": lambda: 0.65 * _metal(0.3, 12, 6500),
    "ride": lambda: 0.5 * _sum(_metal(0.6, 7, 6000), 0.8 * _metal(0.03, 120, 4000)),
    "crash": lambda: 0.55 * _metal(1.0, 5, 4500),
    "shaker": lambda: 0.8 * _noise("shaker", 0.09, 6000, 13_000, 45),
    "triangle": lambda: 0.5 * _sum(_drop(0.6, 5230, 0, 60, 6), 0.5 * _drop(0.4, 8420, 0, 60, 9)),
    "timpani": lambda: 1.1 * _sum(_drop(0.8, 72, 30, 50, 5), 0.3 * _noise("mallet", 0.03, 200, 1500, 120)),
}
DRUMS = tuple(_KIT)


@cache
def drum(name: str) -> Signal:
    """Always the same array; treat it as read-only."""
    return _KIT[name]()
