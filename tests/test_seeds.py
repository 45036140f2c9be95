"""Seeds follow from names alone: pinned values, takes that differ, drawn lengths in range."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.schema_song import LONGEST_S, SEED_LIMIT, SHORTEST_RANDOM_S
from acestep_batch.seeds import derived_bits, drawn_duration_s, seed_of_id, take_seeds

SEEDS = st.integers(0, SEED_LIMIT)


def test_a_seed_is_the_first_32_bits_of_the_sha256_of_the_id():
    digest = hashlib.sha256(b"meena").hexdigest()
    assert digest.startswith("f9b87cab")
    assert seed_of_id("meena") == 0xF9B87CAB == 4189617323
    assert seed_of_id("1") == 0x6B86B273
    assert seed_of_id("歌") == int(hashlib.sha256("歌".encode()).hexdigest()[:8], 16)


def test_derived_bits_are_pinned_too():
    assert derived_bits(7, "duration") == int(hashlib.sha256(b"7/duration").hexdigest()[:16], 16)


@given(st.text())
def test_any_id_has_a_seed_in_range(row_id):
    assert 0 <= seed_of_id(row_id) <= SEED_LIMIT


@given(SEEDS, st.integers(1, 200))
def test_takes_are_the_first_seed_and_others_that_all_differ(first, takes):
    seeds = take_seeds(first, takes)
    assert seeds[0] == first
    assert len(set(seeds)) == len(seeds) == takes
    assert all(0 <= seed <= SEED_LIMIT for seed in seeds)
    assert take_seeds(first, takes + 1)[:takes] == seeds  # more takes keep the ones there are


def test_the_most_takes_that_are_allowed_are_all_different():
    assert len(set(take_seeds(0, 10_000))) == 10_000
    assert take_seeds(5, 1) == (5,)


@given(SEEDS, st.floats(0.001, 1e6))
def test_a_drawn_length_lies_between_30_s_and_the_lower_of_240_s_and_the_limit(seed, limit_s):
    drawn = drawn_duration_s(seed, limit_s)
    longest = min(LONGEST_S, limit_s)
    assert min(SHORTEST_RANDOM_S, longest) <= drawn <= longest
    assert drawn == drawn_duration_s(seed, limit_s)


def test_drawn_lengths_spread_over_the_whole_range():
    drawn = [drawn_duration_s(seed, 1000.0) for seed in range(1000)]
    assert min(drawn) < 32
    assert max(drawn) > 238
    assert sum(drawn) / len(drawn) == pytest.approx(135, abs=6)
