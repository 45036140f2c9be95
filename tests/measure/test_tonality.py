"""Cadences and scales are in the key that they were made in, all 24 of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthesised import RATE, hits, mono_noise, note, nothing, sine

from acestep_batch.measure.tonality import MODES, TONICS, Key, chroma, key

CADENCES = {
    "major": [(0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)],
    "minor": [(0, 3, 7), (5, 8, 12), (7, 11, 14), (0, 3, 7)],
}
SCALES = {"major": [0, 2, 4, 5, 7, 9, 11, 12], "minor": [0, 2, 3, 5, 7, 8, 11, 12]}


def cadence(tonic: float, mode: str) -> np.ndarray:
    """Tonic, subdominant, dominant, tonic above that note, a second in all."""
    chords = [sum(note(48 + tonic + step, 0.6) for step in chord) for chord in CADENCES[mode]]
    return np.concatenate(chords)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tonic", range(12))
def test_cadences(tonic: int, mode: str) -> None:
    found = key(cadence(tonic, mode), RATE)
    assert found.name == f"{TONICS[tonic]} {mode}"
    assert found.confidence > 0.6


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tonic", range(12))
def test_scales(tonic: int, mode: str) -> None:
    scale = SCALES[mode] + SCALES[mode][::-1]
    found = key(np.concatenate([note(60 + tonic + step, 0.2) for step in scale]), RATE)
    assert found.name == f"{TONICS[tonic]} {mode}"


@pytest.mark.parametrize("cents", [-40, -20, 20, 40])
def test_instruments_that_are_out_of_tune_together_keep_their_key(cents: int) -> None:
    assert key(cadence(9 + cents / 100, "minor"), RATE).name == "A minor"


def test_drums_beside_it_do_not_hide_it() -> None:
    played = cadence(4, "minor")
    drums = hits(np.arange(0, len(played) / RATE, 0.3), len(played) / RATE)
    assert key(played + 0.2 * drums, RATE).name == "E minor"


def test_the_chroma_of_a_tone_is_its_pitch_class() -> None:
    found = chroma(sine(440, 3, -20), RATE)
    assert found.argmax() == TONICS.index("A")
    assert found.max() > 0.95


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000])
def test_other_sample_rates(rate: int) -> None:
    chord = sum(sine(hertz, 3, -20, rate=rate) for hertz in (293.66, 349.23, 440))
    assert key(chord, rate).name == "D minor"


def test_noise_has_no_confidence() -> None:
    assert key(mono_noise(20), RATE).confidence < 0.3


def test_silence_and_too_little_have_no_key() -> None:
    for channel in (nothing(3)[:, 0], cadence(0, "major")[:RATE], nothing(0)[:, 0]):
        assert key(channel, RATE) == Key(None, None)


@settings(max_examples=8, deadline=None)
@given(gain_db=st.floats(-50, 20))
def test_gain_changes_nothing(gain_db: float) -> None:
    played = cadence(3, "major")
    before, after = key(played, RATE), key(played * np.float32(10 ** (gain_db / 20)), RATE)
    assert after.name == before.name
    assert after.confidence == pytest.approx(before.confidence, abs=1e-3)
