"""Brightness, bandwidth and noisiness of sines and noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt
from synthesised import RATE, noise, nothing, sine, song

from acestep_batch.measure.frames import mono, spectra
from acestep_batch.measure.spectrum import spectrum


def test_a_full_scale_sine_has_a_power_of_one_in_its_bin() -> None:
    (block,) = spectra(sine(RATE * 64 / 2048, 0.1), 2048, 1024)
    assert block[:, 64] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
def test_a_sine_has_its_frequency_for_a_centre_and_no_flatness(rate: int) -> None:
    found = spectrum(sine(1000, 1, -20, rate=rate), rate)
    assert found.centroid_hz == pytest.approx(1000, abs=5)
    assert found.rolloff_hz == pytest.approx(1000, abs=50)
    assert found.flatness < 0.01


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_white_noise_is_flat(rate: int) -> None:
    """Centre at a quarter of the rate, 95 % of the power below 95 % of the band, exp(-Euler's constant) flat."""
    found = spectrum(noise(3, 1, rate=rate)[:, 0], rate)
    assert found.centroid_hz == pytest.approx(rate / 4, rel=0.01)
    assert found.rolloff_hz == pytest.approx(0.95 * rate / 2, rel=0.01)
    assert found.flatness == pytest.approx(math.exp(-0.5772), abs=0.01)


def test_a_ceiling_at_16_khz_shows_in_the_rolloff_and_not_in_the_flatness() -> None:
    white = noise(3, 1)[:, 0]
    limited = sosfilt(butter(10, 16_000, fs=RATE, output="sos"), white).astype(np.float32)
    found = spectrum(limited, RATE)
    assert 14_500 < found.rolloff_hz < 16_000
    assert found.flatness == pytest.approx(spectrum(white, RATE).flatness, abs=0.03)


def test_silence_between_sounds_says_nothing() -> None:
    tone = sine(1000, 1, -20)
    paused = np.concatenate([tone, nothing(2)[:, 0], tone])
    assert spectrum(paused, RATE).centroid_hz == pytest.approx(spectrum(tone, RATE).centroid_hz, rel=0.02)


def test_silence_an_offset_and_less_than_a_frame_have_no_spectrum() -> None:
    for channel in (nothing(1)[:, 0], noise(0.02)[:, 0], nothing(0)[:, 0]):
        found = spectrum(channel, RATE)
        assert (found.centroid_hz, found.rolloff_hz, found.flatness) == (None, None, None)


@settings(max_examples=10, deadline=None)
@given(gain_db=st.floats(-60, 30))
def test_gain_changes_nothing(gain_db: float) -> None:
    channel = mono(song(2, 5))
    before, after = spectrum(channel, RATE), spectrum(channel * np.float32(10 ** (gain_db / 20)), RATE)
    assert after.centroid_hz == pytest.approx(before.centroid_hz, rel=1e-3)
    assert after.rolloff_hz == pytest.approx(before.rolloff_hz, abs=RATE / 2048)
    assert after.flatness == pytest.approx(before.flatness, rel=1e-2)
