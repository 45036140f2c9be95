"""The tempo of clicks and drum patterns is that which they were made with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthesised import RATE, hits, mono_noise, nothing, sine, song

from acestep_batch.measure.frames import BANDS_PER_S, band_powers, mono
from acestep_batch.measure.rhythm import Tempo, tempo


def of(channel: np.ndarray) -> Tempo:
    return tempo(band_powers(channel, RATE), BANDS_PER_S)


def pattern(bpm: float, seconds: float) -> np.ndarray:
    """A kick on every beat, a snare on every other, a quiet hat on every half."""
    beat_s = 60 / bpm
    beats, halves = np.arange(0, seconds, beat_s), np.arange(0, seconds, beat_s / 2)
    return hits(beats, seconds, pitched=True) + 0.6 * hits(beats[1::2], seconds) + 0.1 * hits(halves, seconds, seed=2)


@pytest.mark.parametrize("bpm", range(60, 201, 7))
def test_clicks(bpm: int) -> None:
    found = of(hits(np.arange(0.05, 12, 60 / bpm), 12))
    assert found.bpm == pytest.approx(bpm, rel=0.004)
    assert found.confidence > 0.9


@pytest.mark.parametrize("bpm", [72, 90, 105, 120, 133, 150, 170])
def test_drum_patterns(bpm: int) -> None:
    """Of a fast beat the snare, on every other, may be taken for the beat."""
    found = of(pattern(bpm, 15))
    assert any(found.bpm == pytest.approx(each, rel=0.004) for each in ([bpm, bpm / 2] if bpm > 140 else [bpm]))
    assert found.confidence > 0.5


def test_a_tempo_that_drifts_by_a_few_percent_reads_its_middle() -> None:
    times_s = np.cumsum(60 / np.linspace(118, 122, 60))
    assert of(hits(times_s, times_s[-1])).bpm == pytest.approx(120, rel=0.015)


def test_noise_has_no_confidence_and_clicks_in_noise_keep_their_tempo() -> None:
    assert of(mono_noise(20)).confidence < 0.2
    found = of(hits(np.arange(0.05, 12, 0.6), 12) + 0.03 * mono_noise(12))
    assert found.bpm == pytest.approx(100, rel=0.01)


def test_silence_a_tone_and_less_than_3_s_have_no_tempo() -> None:
    for channel in (nothing(5)[:, 0], sine(440, 5, -20), pattern(120, 2.9), nothing(0)[:, 0]):
        assert of(channel) == Tempo(None, None)


@settings(max_examples=8, deadline=None)
@given(gain_db=st.floats(-40, 20))
def test_gain_changes_nothing(gain_db: float) -> None:
    channel = mono(song(6, 2))
    before, after = of(channel), of(channel * np.float32(10 ** (gain_db / 20)))
    assert after.bpm == pytest.approx(before.bpm, rel=1e-3)
    assert after.confidence == pytest.approx(before.confidence, abs=1e-3)
