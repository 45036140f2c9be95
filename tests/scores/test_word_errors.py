"""Word error rates are those of a hand count, in scripts with blanks and without."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.scores.words import distance, error_rate, words

WORDS = st.lists(st.sampled_from("abc"), max_size=8)


@pytest.mark.parametrize(
    ("lyrics", "heard", "rate"),
    [
        ("the cat sat on the mat", "the cat sat on the mat", 0),
        ("the cat sat on the mat", "The cat, sat - on the MAT!", 0),
        ("the cat sat on the mat", "the cat sit on mat", 2 / 6),
        ("la la la", "", 1),
        ("la", "la la la", 2),
        ("[verse]\nhello (oh yeah)\n[inst]", "hello", 0),
        ("don’t go", "don't go", 0),
        ("你好，世界", "你好世間", 1 / 4),
        ("さくら sakura", "さくら sakura", 0),
        ("안녕 세상", "안녕 새상", 1 / 2),
        ("[inst]", "some words", None),
        ("", "", None),
    ],
)
def test_known_rates(lyrics: str, heard: str, rate: float | None) -> None:
    assert error_rate(lyrics, heard) == (None if rate is None else pytest.approx(rate))


def test_accents_count_and_their_encoding_does_not() -> None:
    assert words("caf\u00e9") == words("cafe\u0301") != words("cafe")


@given(one=WORDS, other=WORDS, third=WORDS)
def test_the_distance_is_a_metric(one: list[str], other: list[str], third: list[str]) -> None:
    assert (distance(one, other) == 0) == (one == other)
    assert distance(one, other) == distance(other, one)
    assert distance(one, third) <= distance(one, other) + distance(other, third)
    assert abs(len(one) - len(other)) <= distance(one, other) <= max(len(one), len(other))


@given(one=WORDS, at=st.integers(0, 8))
def test_one_word_more_costs_one(one: list[str], at: int) -> None:
    assert distance(one, [*one[:at], "d", *one[at:]]) == 1
