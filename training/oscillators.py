"""Sounds before they are instruments: decaying partials, wavetables, envelopes, filtered noise. `[N]` float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfilt

from training.tempo import SAMPLE_RATE

Signal = NDArray[np.float64]
HIGHEST_HZ = 15_500.0
"""Partials above are left out; so does the analysis that the model learns from."""
_BLOCK = 512
_TABLE = 8192


def hertz(pitch: float) -> float:
    """Of a MIDI note number, A4 being 440 Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69) / 12))


def partials(frequencies_hz: Signal, amplitudes: Signal, decays_per_s: Signal, length: int) -> Signal:
    """Sum of cosines that decay exponentially, all beginning a quarter turn before their peak.

    exp((-d + iw)t) at t = block + rest is a product of two, so the sum over partials is a matrix product of
    `[blocks, P]` and `[P, 512]`: hundreds of times faster than a cosine per sample.
    """
    audible = frequencies_hz < HIGHEST_HZ
    rates = (-decays_per_s + 2j * np.pi * frequencies_hz)[audible] / SAMPLE_RATE
    blocks = -(-length // _BLOCK)
    starts = np.exp(np.outer(np.arange(blocks) * _BLOCK, rates)) * (-1j * amplitudes[audible])
    within = np.exp(np.outer(rates, np.arange(_BLOCK)))
    return np.asarray(starts.real @ within.real - starts.imag @ within.imag).reshape(-1)[:length]


def wave(harmonics: Signal, cycles: Signal, phases: Signal | None = None) -> Signal:
    """A periodic wave with these amplitudes of harmonics 1, 2, ..., read at `cycles`, a phase in turns: `[N]`."""
    spectrum = np.zeros(_TABLE // 2 + 1, complex)
    turned = harmonics * np.exp(2j * np.pi * (phases if phases is not None else np.zeros(len(harmonics))))
    spectrum[1 : len(harmonics) + 1] = -0.5j * _TABLE * turned
    table = np.fft.irfft(spectrum, _TABLE)
    return table[(cycles * _TABLE).astype(np.int64) % _TABLE]


def harmonics_of(frequency_hz: float) -> Signal:
    """Numbers of the harmonics that are heard: 1, 2, ... as floats."""
    return np.arange(1.0, max(1, min(int(HIGHEST_HZ / frequency_hz), _TABLE // 8)) + 1)


def cycles(frequency_hz: float, length: int, vibrato_cents: float = 0.0, vibrato_hz: float = 5.3) -> Signal:
    """Phase in turns of a tone, with a vibrato that sets in after a fifth of a second: `[length]`."""
    time_s = np.arange(length) / SAMPLE_RATE
    turns = frequency_hz * time_s
    if vibrato_cents:
        depth = (2 ** (vibrato_cents / 1200) - 1) * frequency_hz / (2 * np.pi * vibrato_hz)
        turns += depth * np.clip((time_s - 0.1) / 0.2, 0, 1) * (1 - np.cos(2 * np.pi * vibrato_hz * time_s))
    return turns


def envelope(held: int, attack_s: float, decay_s: float, sustain: float, release_s: float) -> Signal:
    """Rises in `attack_s`, falls towards `sustain`, and to nothing in `release_s` after `held` samples.

    `[held + release]`.
    """
    release = round(release_s * SAMPLE_RATE)
    time_s = np.arange(held + release) / SAMPLE_RATE
    level = sustain + (1 - sustain) * np.exp(-np.maximum(time_s - attack_s, 0) / decay_s)
    level *= np.minimum(time_s / attack_s, 1)
    level[held:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(release) / release)
    return np.asarray(level)


def filtered(noise: Signal, low_hz: float, high_hz: float) -> Signal:
    """A band of a noise: one resonance in the middle of `low_hz` and `high_hz`, 12 dB an octave beside them."""
    return np.asarray(sosfilt(np.array([_section(low_hz, "high"), _section(high_hz, "low")]), noise))


def low_passed(signal: Signal, cutoff_hz: float) -> Signal:
    """12 dB an octave above the cutoff, along the last axis."""
    return np.asarray(sosfilt(np.array([_section(cutoff_hz, "low")]), signal))


def _section(cutoff_hz: float, kind: str) -> list[float]:
    """A second-order Butterworth filter (Bristow-Johnson, Cookbook formulae for audio equalizer filters)."""
    turn = 2 * np.pi * cutoff_hz / SAMPLE_RATE
    cosine, alpha = float(np.cos(turn)), float(np.sin(turn)) / np.sqrt(2)
    middle = 1 - cosine if kind == "low" else -(1 + cosine)
    numerator = [abs(middle) / 2, middle, abs(middle) / 2]
    return [*(each / (1 + alpha) for each in numerator), 1.0, -2 * cosine / (1 + alpha), (1 - alpha) / (1 + alpha)]
