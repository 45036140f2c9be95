"""Silences are as long as they were made."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthesised import RATE, both, noise, nothing, sine

from acestep_batch.measure.reading import BLOCK_FRAMES
from acestep_batch.measure.silence import silence


def test_head_tail_and_the_longest_gap() -> None:
    tone = both(sine(440, 1, -20, np.pi / 2))
    samples = np.concatenate([nothing(1.5), tone, nothing(0.25), tone, nothing(3), tone, nothing(0.5)])
    found = silence(samples, RATE)
    assert found.head_s == 1.5
    assert found.longest_gap_s == pytest.approx(3, abs=0.001)
    assert found.tail_s == pytest.approx(0.5, abs=0.001)


def test_one_sounding_channel_is_sound() -> None:
    samples = np.stack([np.zeros(RATE), noise(1)[:, 0]], axis=1).astype(np.float32)
    found = silence(samples, RATE)
    assert max(found.head_s, found.tail_s, found.longest_gap_s) < 0.001


def test_the_gate_is_at_60_db() -> None:
    assert silence(both(sine(440, 1, -60.1)), RATE).longest_gap_s is None
    assert silence(both(sine(440, 1, -59.9)), RATE).longest_gap_s is not None


def test_silence_is_head_and_tail_and_has_no_gap() -> None:
    found = silence(nothing(2.5), RATE)
    assert (found.head_s, found.tail_s, found.longest_gap_s) == (2.5, 2.5, None)


@settings(max_examples=30, deadline=None)
@given(at=st.lists(st.integers(0, 2 * BLOCK_FRAMES + 99), min_size=1, max_size=6, unique=True))
def test_single_samples_far_apart_are_what_a_plain_search_finds(at: list[int]) -> None:
    length = 2 * BLOCK_FRAMES + 100
    samples = np.zeros((length, 1), np.float32)
    samples[at] = 0.5
    at = sorted(at)
    found = silence(samples, 1)
    assert (found.head_s, found.tail_s) == (at[0], length - 1 - at[-1])
    assert found.longest_gap_s == max([b - a - 1 for a, b in pairwise(at)], default=0)
