"""The eight lead instruments: a note to its sound, `[held + tail]`, at a peak of about 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from training.draws import Draws
from training.lyrics import vowel
from training.oscillators import (
    Signal,
    cycles,
    envelope,
    filtered,
    harmonics_of,
    hertz,
    partials,
    wave,
)
from training.tempo import SAMPLE_RATE

Voice = Callable[[float, int, str], Signal]
"""Pitch (MIDI), samples that the note is held, syllable (only a singer minds)."""

FORMANTS: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "a": ((800, 1.0, 130), (1200, 0.6, 130), (2700, 0.25, 180), (3500, 0.15, 220)),
    "e": ((500, 1.0, 110), (1900, 0.5, 150), (2600, 0.3, 180), (3500, 0.15, 220)),
    "i": ((350, 1.0, 100), (2300, 0.4, 170), (3000, 0.35, 200), (3700, 0.15, 240)),
    "o": ((500, 1.0, 110), (900, 0.6, 120), (2600, 0.12, 180), (3400, 0.1, 220)),
    "u": ((370, 1.0, 100), (750, 0.4, 110), (2500, 0.08, 180), (3300, 0.05, 220)),
}
"""Of the vowels a e i o u: centre in Hz, gain, bandwidth in Hz. Rounded from tables of sung vowels."""
_HISSING, _PLOSIVE = "sczfhx", "ptkbdgq"


def piano(pitch: float, held: int, syllable: str) -> Signal:
    """Stiff strings: partials a little sharp, high ones short; two strings a cent apart; a felt hammer's thump."""
    fundamental = hertz(pitch)
    number = np.arange(1.0, 25)
    frequencies = number * fundamental * np.sqrt(1 + 4e-4 * number**2)
    amplitudes = number**-1.2 * np.exp(-number * fundamental / 5000)
    decays = 1.2 + frequencies / 1100
    length = held + round(0.12 * SAMPLE_RATE)
    tone = partials(frequencies, amplitudes, decays, length)
    tone += 0.5 * partials(frequencies * 1.0006, amplitudes, decays * 0.4, length)
    tone *= envelope(held, 0.003, 9.0, 1.0, 0.12)
    return 0.55 * _with_attack(tone, 0.5 * _burst(0.03, 200, 1800, 160))


def guitar(pitch: float, held: int, syllable: str) -> Signal:
    """A nylon string plucked at a sixth of its length: every sixth partial is missing; played two octaves lower."""
    fundamental = hertz(pitch - 12)
    number = np.arange(1.0, 40)
    frequencies = number * fundamental * np.sqrt(1 + 5e-5 * number**2)
    amplitudes = np.abs(np.sin(np.pi * number / 6)) / number**0.9
    decays = 2.5 + 0.7 * number
    length = held + round(0.08 * SAMPLE_RATE)
    tone = partials(frequencies, amplitudes, decays, length) * envelope(held, 0.0015, 9.0, 1.0, 0.08)
    return 0.75 * _with_attack(tone, 0.5 * _burst(0.012, 1500, 6000, 350))


def synth(pitch: float, held: int, syllable: str) -> Signal:
    """A square wave and its detuned copy, odd harmonics only, bright at the attack and steady after it."""
    fundamental = hertz(pitch)
    number = harmonics_of(fundamental)
    square = np.where(number % 2 == 1, 1.0 / number, 0.0)
    level = envelope(held, 0.004, 0.15, 0.8, 0.05)
    length = len(level)
    bright = wave(square, cycles(fundamental, length)) + 0.7 * wave(square, cycles(fundamental * 1.006, length))
    dull_harmonics = square * np.exp(-number * fundamental / 3500)
    dull = wave(dull_harmonics, cycles(fundamental, length))
    mix = np.exp(-np.arange(length) / (0.12 * SAMPLE_RATE)) * 0.6 + 0.4
    return 0.55 * level * (mix * bright + (1 - mix) * 1.4 * dull)


def bells(pitch: float, held: int, syllable: str) -> Signal:
    """Frequency modulation at 3.5 times the pitch, whose depth dies away (Chowning 1973); an octave higher."""
    fundamental = hertz(pitch + 12)
    length = held + round(0.9 * SAMPLE_RATE)
    time_s = np.arange(length) / SAMPLE_RATE
    modulation = 1.6 * np.exp(-time_s / 0.25) * np.sin(2 * np.pi * 3.5 * fundamental * time_s)
    tone = np.sin(2 * np.pi * fundamental * time_s + modulation) * np.exp(-time_s / 0.45)
    tone[held:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(length - held) / (length - held))
    return np.asarray(0.8 * tone * np.minimum(time_s / 0.001, 1))


def flute(pitch: float, held: int, syllable: str) -> Signal:
    """Almost a sine, with breath around it, a chiff and a slow vibrato."""
    fundamental = hertz(pitch)
    level = envelope(held, 0.045, 9.0, 1.0, 0.07)
    tone = wave(np.array([1.0, 0.18, 0.06, 0.02]), cycles(fundamental, len(level), 14, 5.0))
    breath = filtered(_noise("breath", len(level)), fundamental * 0.9, min(fundamental * 4, 12_000))
    tone = 0.85 * level * (tone + 0.1 * breath)
    return _with_attack(tone, 0.25 * _burst(0.05, fundamental, min(fundamental * 6, 14_000), 60))


def strings(pitch: float, held: int, syllable: str) -> Signal:
    """Three players' sawtooths, each with a vibrato of its own, through the resonances of a body."""
    fundamental = hertz(pitch)
    level = envelope(held, 0.07, 9.0, 1.0, 0.14)
    number = harmonics_of(fundamental)
    body = 0.5 + np.exp(-(((number * fundamental - 2800) / 1200) ** 2)) + np.exp(-number * fundamental / 1500)
    saw = body / number
    players = ((1.0, 5.2, 0.0), (1.0045, 5.9, 0.3), (0.9957, 4.7, 0.7))
    voices = [wave(saw, cycles(fundamental * detune, len(level), 16, rate) + at) for detune, rate, at in players]
    return np.asarray(0.3 * level * np.sum(voices, axis=0))


def organ(pitch: float, held: int, syllable: str) -> Signal:
    """Drawbars of octaves and fifths that sound at once and steadily, a key click, a turning loudspeaker."""
    fundamental = hertz(pitch - 12)
    level = envelope(held, 0.004, 9.0, 1.0, 0.03)
    drawbars = np.zeros(16)
    drawbars[[0, 1, 2, 3, 5, 7, 11, 15]] = (0.7, 1.0, 0.35, 0.9, 0.35, 0.7, 0.2, 0.5)
    time_s = np.arange(len(level)) / SAMPLE_RATE
    turning = 1 + 0.22 * np.sin(2 * np.pi * 6.7 * time_s)
    tone = 0.32 * level * turning * wave(drawbars, cycles(fundamental, len(level)), np.linspace(0, 2, 16))
    return _with_attack(tone, 0.3 * _burst(0.006, 2000, 9000, 600))


def vocals(pitch: float, held: int, syllable: str) -> Signal:
    """Harmonics of a voice an octave lower, shaped by the formants of the syllable's vowel; hissed or stopped onset."""
    fundamental = hertz(pitch - 12)
    level = envelope(held, 0.03, 9.0, 1.0, 0.06)
    number = harmonics_of(fundamental)
    frequencies = number * fundamental
    shape = np.full(len(number), 0.01)
    for centre, gain, width in FORMANTS[vowel(syllable)]:
        shape += gain / (1 + ((frequencies - centre) / width) ** 2)
    voice = wave(shape / number**0.4, cycles(fundamental, len(level), 30, 5.6), 0.13 * number**2 % 1)
    voice *= 0.8 / np.abs(voice).max()
    tone = level * voice + 0.02 * level * filtered(_noise("throat", len(level)), 1500, 6000)
    first = syllable[:1].lower()
    if first in tuple(_HISSING):
        return _with_attack(tone, 0.35 * _burst(0.07, 4000, 10_000, 40))
    if first in tuple(_PLOSIVE):
        return _with_attack(tone, 0.4 * _burst(0.02, 1000, 5000, 200))
    return tone


LEADS: Mapping[str, Voice] = {
    "piano": piano,
    "guitar": guitar,
    "synth": synth,
    "bells": bells,
    "flute": flute,
    "strings": strings,
    "organ": organ,
    "vocals": vocals,
}


def _noise(name: str, length: int) -> Signal:
    return Draws(0, name).noise(length)


def _burst(length_s: float, low_hz: float, high_hz: float, decay_per_s: float) -> Signal:
    """Noise in a band that begins at once and dies away."""
    length = round(length_s * SAMPLE_RATE)
    noise = filtered(_noise(f"burst {low_hz:.0f}", length), low_hz, high_hz)
    return noise * np.exp(-decay_per_s * np.arange(length) / SAMPLE_RATE)


def _with_attack(tone: Signal, attack: Signal) -> Signal:
    length = min(len(tone), len(attack))
    tone[:length] += attack[:length]
    return tone
