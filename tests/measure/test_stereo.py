"""Correlation and width of channels that are alike, inverted, unrelated or missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthesised import both, noise, nothing

from acestep_batch.measure.stereo import stereo


def found(samples: np.ndarray) -> tuple[float | None, float | None]:
    measured = stereo(samples)
    return measured.correlation, measured.width


def test_alike_inverted_and_unrelated_channels() -> None:
    channel = noise(2)[:, 0]
    assert found(both(channel)) == pytest.approx((1, 0), abs=1e-6)
    assert found(np.stack([channel, -channel], axis=1)) == pytest.approx((-1, 1), abs=1e-6)
    assert found(noise(2)) == pytest.approx((0, 0.5), abs=0.01)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_common_part_shows_as_its_share(share: float) -> None:
    """Independent noises in both channels and a third in common: the correlation is the share of its power."""
    own, common = noise(4), noise(4, 1, seed=2)
    correlation, width = found(np.sqrt(1 - share) * own + np.sqrt(share) * common)
    assert correlation == pytest.approx(share, abs=0.02)
    assert width == pytest.approx((1 - share) / 2, abs=0.01)


def test_one_channel_and_none() -> None:
    channel = noise(1)[:, 0]
    assert found(channel[:, None]) == (None, None)
    assert found(np.stack([channel, np.zeros_like(channel)], axis=1)) == (None, pytest.approx(0.5))
    assert found(nothing(1)) == (None, None)


def test_an_offset_is_no_part_of_it() -> None:
    samples = noise(2)
    assert found(samples + np.float32([0.3, -0.2])) == pytest.approx(found(samples), abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.01, 10), seed=st.integers(0, 99))
def test_gain_swapped_channels_and_reversed_time_change_nothing(gain: float, seed: int) -> None:
    samples = noise(0.1, seed=seed) + noise(0.1, 1, seed=seed + 100)
    for other in (samples * np.float32(gain), samples[:, ::-1], samples[::-1]):
        assert found(other) == pytest.approx(found(samples), abs=1e-5)
