"""A gained copy is as loud as asked, or as its peaks allow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthesised import RATE, song

from acestep_batch.measure.gain import gain_db
from acestep_batch.measure.loudness import loudness
from acestep_batch.measure.peaks import levels

LEVELS = st.floats(-60, 6)


def test_the_gain_is_the_difference_unless_the_peak_passes_the_ceiling() -> None:
    assert gain_db(-20, -10, -14, -1) == 6
    assert gain_db(-20, -3, -14, -1) == 2
    assert gain_db(-8, 0.5, -14, -1) == -6
    assert gain_db(-14, 0.5, -14, -1) == -1.5


def test_silence_gets_no_gain() -> None:
    assert gain_db(None, -70, -14, -1) is None
    assert gain_db(None, None, -14, -1) is None


@given(loud=LEVELS, peak=LEVELS, target=LEVELS, ceiling=LEVELS)
def test_neither_limit_is_passed_and_one_is_met(loud: float, peak: float, target: float, ceiling: float) -> None:
    gain = gain_db(loud, peak, target, ceiling)
    assert loud + gain <= target + 1e-9
    assert peak + gain <= ceiling + 1e-9
    assert gain in (target - loud, ceiling - peak)


def test_a_gained_song_measures_as_asked() -> None:
    samples = song(4, 8)
    gain = gain_db(loudness(samples, RATE).integrated_lufs, levels(samples).true_peak_dbtp, -30, -1)
    gained = samples * np.float32(10 ** (gain / 20))
    assert loudness(gained, RATE).integrated_lufs == pytest.approx(-30, abs=1e-3)
    held = samples * np.float32(10 ** (gain_db(-14, levels(samples).true_peak_dbtp, 0, -1) / 20))
    assert levels(held).true_peak_dbtp == pytest.approx(-1, abs=1e-3)
