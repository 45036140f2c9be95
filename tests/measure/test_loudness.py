"""Loudness reads what the EBU's test signals ask for, as far as they are sines, and agrees with pyloudnorm."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthesised import RATE, both, noise, nothing, sine, song

from acestep_batch.measure.loudness import loudness


def levels(*parts: tuple[float, float]):
    """A 1 kHz stereo sine of (dBFS, seconds) after each other."""
    return both(np.concatenate([sine(1000, seconds, dbfs) for dbfs, seconds in parts]))


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_a_997_hz_stereo_sine_reads_its_level(rate: int) -> None:
    assert loudness(both(sine(997, 5, -23, rate=rate)), rate).integrated_lufs == pytest.approx(-23, abs=0.05)


@pytest.mark.parametrize(
    ("case", "parts", "lufs"),
    [
        (1, [(-23, 20)], -23),
        (2, [(-33, 20)], -33),
        (3, [(-36, 10), (-23, 60), (-36, 10)], -23),
        (4, [(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),
        (5, [(-26, 20), (-20, 20.1), (-26, 20)], -23),
    ],
)
def test_integrated_loudness_of_ebu_tech_3341(case: int, parts: list[tuple[float, float]], lufs: float) -> None:
    assert loudness(levels(*parts), RATE).integrated_lufs == pytest.approx(lufs, abs=0.1)


@pytest.mark.parametrize(
    ("case", "parts", "lu"),
    [
        (1, [(-20, 20), (-30, 20)], 10),
        (2, [(-20, 20), (-15, 20)], 5),
        (3, [(-40, 20), (-20, 20)], 20),
        (4, [(-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)], 15),
    ],
)
def test_loudness_range_of_ebu_tech_3342(case: int, parts: list[tuple[float, float]], lu: float) -> None:
    assert loudness(levels(*parts), RATE).range_lu == pytest.approx(lu, abs=0.2)  # the document allows 1


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_integrated_loudness_is_pyloudnorms(rate: int) -> None:
    """pyloudnorm filters the whole at once: blocks of reading leave no trace."""
    samples = song(12, 3)[: 10 * rate] * np.linspace(0.1, 1, 10 * rate, dtype=np.float32)[:, None]
    expected = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(samples)
    assert loudness(samples, rate).integrated_lufs == pytest.approx(expected, abs=1e-4)


def test_one_channel_alone_is_3_lu_below_two_that_are_alike() -> None:
    channel = sine(997, 3, -23)
    alone = np.stack([channel, np.zeros_like(channel)], axis=1)
    for samples in (channel[:, None], alone):
        assert loudness(samples, RATE).integrated_lufs == pytest.approx(-26.01, abs=0.02)


@pytest.mark.parametrize("seconds", [0, 0.1, 0.39])
def test_less_than_a_block_has_no_loudness(seconds: float) -> None:
    assert loudness(noise(seconds), RATE).integrated_lufs is None


def test_less_than_3_s_has_no_range() -> None:
    short = loudness(noise(2.9), RATE)
    assert short.integrated_lufs is not None
    assert short.range_lu is None


def test_silence_has_neither() -> None:
    for samples in (nothing(4), both(sine(997, 4, -75))):
        found = loudness(samples, RATE)
        assert (found.integrated_lufs, found.range_lu) == (None, None)


@settings(max_examples=15, deadline=None)
@given(gain_db=st.floats(-20, 20))
def test_gain_moves_loudness_by_itself_and_leaves_the_range(gain_db: float) -> None:
    samples = noise(4) * np.linspace(0.3, 1, 4 * RATE, dtype=np.float32)[:, None]
    before, after = loudness(samples, RATE), loudness(samples * np.float32(10 ** (gain_db / 20)), RATE)
    assert after.integrated_lufs == pytest.approx(before.integrated_lufs + gain_db, abs=1e-4)
    assert after.range_lu == pytest.approx(before.range_lu, abs=1e-4)
