"""The six accompanying instruments: a note to its sound, as in `training.leads`; lower and duller than a lead."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from training.leads import Voice
from training.oscillators import Signal, cycles, envelope, harmonics_of, hertz, partials, wave
from training.tempo import SAMPLE_RATE


def pad(pitch: float, held: int, syllable: str) -> Signal:
    """Soft detuned sawtooths without a treble; every note swells in at once and sinks, as under a gate."""
    fundamental = hertz(pitch)
    level = envelope(held, 0.018, 0.35, 0.45, 0.09)
    number = harmonics_of(fundamental)
    soft = np.exp(-number * fundamental / 900) / number**0.5
    detuned = ((1.0, 0.0), (1.007, 0.3), (0.993, 0.6))
    voices = [wave(soft, cycles(fundamental * detune, len(level)) + at) for detune, at in detuned]
    return np.asarray(0.4 * level * np.sum(voices, axis=0))


def strumming(pitch: float, held: int, syllable: str) -> Signal:
    """A steel string struck near the bridge: bright, short, with a pick's noise in its first partials."""
    fundamental = hertz(pitch)
    number = np.arange(1.0, 60)
    frequencies = number * fundamental * np.sqrt(1 + 8e-5 * number**2)
    amplitudes = np.abs(np.sin(np.pi * number / 9.3)) / number**0.7
    decays = 3.5 + 0.9 * number
    length = held + round(0.06 * SAMPLE_RATE)
    return 0.5 * partials(frequencies, amplitudes, decays, length) * envelope(held, 0.001, 9.0, 1.0, 0.06)


def arpeggio(pitch: float, held: int, syllable: str) -> Signal:
    """A pulse wave of a quarter that closes quickly: a plucked sequencer."""
    fundamental = hertz(pitch)
    number = harmonics_of(fundamental)
    pulse = np.sin(np.pi * number / 4) / number
    level = envelope(held, 0.002, 0.09, 0.08, 0.03)
    turns = cycles(fundamental, len(level))
    opening = np.exp(-np.arange(len(level)) / (0.05 * SAMPLE_RATE))
    closed = pulse * np.exp(-number * fundamental / 1200)
    return 0.9 * level * (opening * wave(pulse, turns) + (1 - opening) * wave(closed, turns))


def bass(pitch: float, held: int, syllable: str) -> Signal:
    """A sawtooth over its sine, with a filter that closes after the attack."""
    fundamental = hertz(pitch)
    number = harmonics_of(fundamental)
    level = envelope(held, 0.003, 0.25, 0.55, 0.04)
    turns = cycles(fundamental, len(level))
    opening = np.exp(-np.arange(len(level)) / (0.07 * SAMPLE_RATE))
    open_saw = wave(np.exp(-number * fundamental / 2200) / number, turns)
    closed = wave(np.exp(-number * fundamental / 350) / number, turns)
    return level * (np.sin(2 * np.pi * turns) + 0.9 * (opening * open_saw + (1 - opening) * closed))


def electric_piano(pitch: float, held: int, syllable: str) -> Signal:
    """A tine by frequency modulation: a sine whose bell-like attack at 14 times its pitch is soon gone; tremolo."""
    fundamental = hertz(pitch)
    level = envelope(held, 0.003, 0.7, 0.25, 0.1)
    time_s = np.arange(len(level)) / SAMPLE_RATE
    turn = 2 * np.pi * fundamental * time_s
    tine = 0.5 * np.exp(-time_s / 0.12) * np.sin(14 * turn) * (14 * fundamental < 12_000)
    body = np.sin(turn + 1.1 * np.exp(-time_s / 0.5) * np.sin(turn) + tine)
    return 0.7 * level * body * (1 + 0.25 * np.sin(2 * np.pi * 5.5 * time_s))


def brass(pitch: float, held: int, syllable: str) -> Signal:
    """Sawtooth whose harmonics come in with loudness, as lips do it: dull at first, blaring after 40 ms."""
    fundamental = hertz(pitch)
    level = envelope(held, 0.02, 0.3, 0.75, 0.06)
    number = harmonics_of(fundamental)
    turns = cycles(fundamental, len(level))
    blare = np.clip(np.arange(len(level)) / (0.04 * SAMPLE_RATE), 0, 1)
    loud = (np.exp(-(((number * fundamental - 1200) / 900) ** 2)) + 0.35) / number**0.6
    loud[number * fundamental > 6000] *= 0.2
    soft = np.exp(-number * fundamental / 500)
    return 0.45 * level * (blare * wave(loud, turns) + (1 - blare) * wave(soft, turns))


BACKINGS: Mapping[str, Voice] = {
    "pad": pad,
    "strumming": strumming,
    "arpeggio": arpeggio,
    "bass": bass,
    "electric piano": electric_piano,
    "brass": brass,
}
