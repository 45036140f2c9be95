"""The block of the chain of thought: what is written is read again, and what is out of range never gets through."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.engine.v15.constants import BPM, KEYSCALES, LANGUAGES, PLANNED_DURATION_S, TIMESIGNATURES
from acestep_batch.engine.v15.metadata import (
    Metadata,
    canonical,
    checked,
    given_metadata,
    read_codes,
    read_fields,
    thought_text,
)
from acestep_batch.engine.v15.plan_text import EMPTY_THOUGHT, code_token
from acestep_batch.problems import Refused

LETTERS = st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"], exclude_characters="<\N{NO-BREAK SPACE}")
CAPTIONS = st.text(LETTERS).map(lambda text: " ".join(text.split())).filter(lambda text: text[:1].isalnum())
SONGS = st.builds(
    Metadata,
    bpm=st.none() | st.sampled_from(BPM),
    caption=st.none() | CAPTIONS,
    duration=st.none() | st.sampled_from(PLANNED_DURATION_S),
    keyscale=st.none() | st.sampled_from(KEYSCALES),
    language=st.none() | st.sampled_from(LANGUAGES),
    timesignature=st.none() | st.sampled_from(TIMESIGNATURES),
)


@given(SONGS)
def test_what_is_written_is_read_again(song: Metadata) -> None:
    read, notes = checked(read_fields(thought_text(song.known())))
    assert read == song
    assert notes == ()


def test_nothing_known_is_an_empty_thought() -> None:
    assert thought_text(Metadata().known()) == EMPTY_THOUGHT


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error_and_gives_values_in_range(text: str) -> None:
    song, _ = checked(read_fields(f"<think>\n{text}"))
    assert song.bpm is None or song.bpm in BPM
    assert song.duration is None or song.duration in PLANNED_DURATION_S
    for value, allowed in (
        (song.keyscale, KEYSCALES),
        (song.language, LANGUAGES),
        (song.timesignature, TIMESIGNATURES),
    ):
        assert value is None or value in allowed
    assert song.caption is None or song.caption.strip()
    assert all(0 <= code < 64_000 for code in read_codes(text))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("bpm", 29, None),
        ("bpm", 300, 300),
        ("bpm", "120", None),
        ("duration", 601, None),
        ("keyscale", "c# MINOR", "C# minor"),
        ("keyscale", "H major", None),
        ("timesignature", "3/4", "3"),
        ("timesignature", "6/8", "6"),
        ("timesignature", "5/4", None),
        ("language", "'no'", "no"),
        ("language", "Klingon", None),
        ("caption", "'it''s a \"hit\"'", 'it\'s a "hit"'),
        ("caption", "'open", "'open"),
        ("caption", "''", "''"),
        ("caption", "a\N{REPLACEMENT CHARACTER} b", "a b"),
        ("caption", "\N{REPLACEMENT CHARACTER}", None),
    ],
)
def test_values_have_one_spelling(name: str, value: int | str, expected: int | str | None) -> None:
    assert canonical(name, value) == expected


def test_what_is_dropped_is_noted() -> None:
    song, notes = checked({"bpm": 20, "keyscale": "A minor", "language": "xx"})
    assert song == Metadata(keyscale="A minor")
    assert [note.split()[2] for note in notes] == ["bpm", "language"]


def test_a_number_of_any_length_is_no_error() -> None:
    digits = "9" * 5000
    assert read_fields(f"bpm: {digits}") == {"bpm": digits}
    assert read_codes(f"<|audio_code_{digits}|>{code_token(5)}") == (63_999, 5)
    assert digits in thought_text({"caption": digits})


def test_what_a_user_states_is_checked_all_at_once() -> None:
    with pytest.raises(Refused) as refused:
        given_metadata(20, "X major", "7", 700.0, "xx", where="row 3")
    assert [str(problem).split(": ")[1] for problem in refused.value.problems] == [
        "bpm",
        "keyscale",
        "timesignature",
        "language",
        "duration",
    ]
    assert all(problem.where == "row 3" for problem in refused.value.problems)


@pytest.mark.parametrize("empty", ["", "  ", "N/A", "n/a"])
def test_an_empty_value_states_nothing(empty: str) -> None:
    given_values: dict[str, Any] = {"keyscale": empty, "timesignature": empty, "language": empty}
    assert given_metadata(None, duration=None, **given_values) == Metadata()


def test_a_given_length_is_cut_to_whole_seconds_and_may_be_short() -> None:
    assert given_metadata(None, "", "", 3.9, "").duration == 3
