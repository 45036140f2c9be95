"""Peaks between samples, clipped runs, offset and crest factor of signals that have them by construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthesised import RATE, both, noise, nothing, sine

from acestep_batch.measure.peaks import CLIPPED_RUN, levels
from acestep_batch.measure.reading import BLOCK_FRAMES


def faded(channel: np.ndarray) -> np.ndarray:
    """With both ends faded over 10 ms: a sine that begins at once overshoots, as any meter will show."""
    ramp = np.minimum(np.arange(len(channel)) / 480, 1)
    return both((channel * ramp * ramp[::-1]).astype(np.float32))


@pytest.mark.parametrize(
    ("divisor", "degrees", "dbfs"), [(4, 0, -6), (4, 45, -6), (6, 60, -6), (8, 67.5, -6), (4, 45, 3)]
)
def test_true_peak_of_ebu_tech_3341(divisor: int, degrees: float, dbfs: float) -> None:
    """Cases 15 to 19, whose tolerance is +0.2 and -0.4 dB."""
    channel = sine(RATE / divisor, 1, dbfs, np.radians(degrees))
    assert levels(faded(channel)).true_peak_dbtp == pytest.approx(dbfs, abs=0.1)


def test_a_peak_between_samples_is_3_db_above_the_samples() -> None:
    found = levels(faded(sine(RATE / 4, 1, phase=np.pi / 4)))
    assert found.sample_peak_dbfs == pytest.approx(-3.01, abs=0.01)
    assert found.true_peak_dbtp == pytest.approx(0, abs=0.1)


def test_the_true_peak_is_found_where_blocks_of_reading_meet() -> None:
    quiet = np.zeros((2 * BLOCK_FRAMES, 1), np.float32)
    peaks = set()
    for start in (1000, BLOCK_FRAMES - 1, BLOCK_FRAMES, BLOCK_FRAMES + 1):
        samples = quiet.copy()
        samples[start : start + 2] = 0.5  # the curve through two equal samples is highest between them
        peaks.add(levels(samples).true_peak_dbtp)
    assert max(peaks) - min(peaks) < 1e-5
    assert min(peaks) > levels(samples).sample_peak_dbfs + 1


def test_crest_factor_of_sine_and_square() -> None:
    wave = sine(100, 1)
    assert levels(both(wave)).crest_factor_db == pytest.approx(3.01, abs=0.01)
    assert levels(both(np.sign(wave + np.float32(1e-9)))).crest_factor_db == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("offset", [0.125, -0.125])
def test_the_offset_is_that_of_the_worse_channel(offset: float) -> None:
    samples = both(sine(100, 1, -20))
    samples[:, 1] += np.float32(offset)
    assert levels(samples).dc_offset == pytest.approx(offset, abs=1e-6)


@pytest.mark.parametrize("full", [1.0, -1.0, 32767 / 32768, -32767 / 32768, 1.7])
def test_runs_at_full_scale_are_counted_in_each_channel(full: float) -> None:
    samples = np.zeros((1000, 2), np.float32)
    for start, length in [(0, 3), (10, 2), (20, 1), (30, 40), (997, 3)]:
        samples[start : start + length, 0] = full
    samples[50:53, 1] = full
    assert levels(samples).clipped_runs == 4


def test_a_run_has_one_sign_and_a_full_scale_sine_has_none() -> None:
    turns = np.array([[1], [1], [-1], [-1], [1], [1]], np.float32)
    assert levels(turns).clipped_runs == 0
    assert levels(both(sine(997, 1))).clipped_runs == 0
    clipped = np.clip(1.5 * sine(100, 1), -1, 1)
    assert levels(both(clipped)).clipped_runs == 2 * 2 * 100


def test_silence_has_no_levels() -> None:
    found = levels(nothing(0.01))
    assert (found.true_peak_dbtp, found.sample_peak_dbfs, found.crest_factor_db) == (None, None, None)
    assert (found.clipped_runs, found.dc_offset) == (0, 0)


@settings(max_examples=15, deadline=None)
@given(gain_db=st.floats(-30, 30), start=st.integers(0, 400))
def test_gain_moves_peaks_alone_and_the_true_peak_is_never_below(gain_db: float, start: int) -> None:
    samples = noise(0.01)[start:]
    before, after = levels(samples), levels(samples * np.float32(10 ** (gain_db / 20)))
    assert after.true_peak_dbtp >= after.sample_peak_dbfs
    for name in ("true_peak_dbtp", "sample_peak_dbfs"):
        assert getattr(after, name) == pytest.approx(getattr(before, name) + gain_db, abs=1e-3)
    assert after.crest_factor_db == pytest.approx(before.crest_factor_db, abs=1e-3)


@settings(max_examples=50, deadline=None)
@given(flags=st.lists(st.booleans(), min_size=1, max_size=60))
def test_runs_are_those_of_a_plain_count(flags: list[bool]) -> None:
    samples = np.array(flags, np.float32)[:, None]
    runs = "".join("x" if flag else " " for flag in flags).split()
    assert levels(samples).clipped_runs == sum(len(run) >= CLIPPED_RUN for run in runs)
