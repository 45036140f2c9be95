"""The words of the verbs: any value passes, anything else is refused at once."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.problems import Refused
from acestep_batch.words import parse_words

KEYS = ("to", "model.path")


@given(st.dictionaries(st.sampled_from(KEYS), st.text(min_size=1)))
def test_any_value_passes_through_unchanged(values: dict[str, str]) -> None:
    assert parse_words("verb", [f"{key}={value}" for key, value in values.items()], KEYS) == values


@given(st.lists(st.text(max_size=12)))
def test_other_words_are_refused_and_never_dropped(words: list[str]) -> None:
    with suppress(Refused):
        values = parse_words("verb", words, KEYS)
        assert [f"{key}={value}" for key, value in values.items()] == words


def test_all_wrong_words_are_told_at_once_with_the_nearest_right_one() -> None:
    with pytest.raises(Refused) as refusal:
        parse_words("verb", ["model.pth=x", "to", "to=", "to=a", "to=b"], KEYS)
    messages = [problem.message for problem in refusal.value.problems]
    assert len(messages) == 4
    assert "did you mean model.path?" in messages[0]
    assert "twice" in messages[3]
