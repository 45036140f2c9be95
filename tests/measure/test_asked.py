"""Asked and heard tempo and key are compared as musicians would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.measure.asked import KeyMatch, key_match, tempo_error_percent
from acestep_batch.measure.tonality import MODES, TONICS

KEYS = [f"{tonic} {mode}" for tonic in TONICS for mode in MODES]


@pytest.mark.parametrize(
    ("asked", "heard", "percent"),
    [(120, 120, 0), (120, 123, 2.5), (120, 60, 0), (120, 243.6, 1.5), (90, 30, 0), (90, 275.4, 2), (120, 96, -20)],
)
def test_tempo_errors(asked: float, heard: float, percent: float) -> None:
    assert tempo_error_percent(asked, heard) == pytest.approx(percent)


@given(asked=st.floats(30, 300), heard=st.floats(30, 300))
def test_the_nearest_octave_counts(asked: float, heard: float) -> None:
    error = tempo_error_percent(asked, heard)
    assert abs(error) <= abs(100 * (heard / asked - 1)) + 1e-9
    assert tempo_error_percent(asked, asked) == 0


def test_what_is_missing_is_not_compared() -> None:
    assert tempo_error_percent(None, 120) is tempo_error_percent(120, None) is None
    assert key_match(None, "C major") is key_match("C major", None) is key_match("atonal", "C major") is None


@pytest.mark.parametrize(
    ("asked", "heard", "match"),
    [
        ("C major", "G major", KeyMatch.FIFTH),
        ("C major", "F major", KeyMatch.FIFTH),
        ("C major", "A minor", KeyMatch.RELATIVE),
        ("A minor", "C major", KeyMatch.RELATIVE),
        ("C major", "C minor", KeyMatch.PARALLEL),
        ("C major", "F# major", KeyMatch.OTHER),
        ("C major", "E minor", KeyMatch.OTHER),
        ("Bb minor", "A# minor", KeyMatch.SAME),
        ("f♯m", "F# minor", KeyMatch.SAME),
        ("Cb", "B major", KeyMatch.SAME),
        ("D Maj", "D major", KeyMatch.SAME),
    ],
)
def test_related_keys(asked: str, heard: str, match: KeyMatch) -> None:
    assert key_match(asked, heard) is match


@given(first=st.sampled_from(KEYS), second=st.sampled_from(KEYS))
def test_relations_hold_both_ways_and_every_key_is_itself(first: str, second: str) -> None:
    assert key_match(first, second) == key_match(second, first)
    assert (key_match(first, second) is KeyMatch.SAME) == (first == second)


@pytest.mark.parametrize("asked", KEYS)
def test_every_key_has_so_many_relations(asked: str) -> None:
    found = [key_match(asked, heard) for heard in KEYS]
    assert {match: found.count(match) for match in KeyMatch} == {
        KeyMatch.SAME: 1, KeyMatch.FIFTH: 2, KeyMatch.RELATIVE: 1, KeyMatch.PARALLEL: 1, KeyMatch.OTHER: 19,
    }  # fmt: skip
