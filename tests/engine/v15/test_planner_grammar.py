"""The grammar: whatever is drawn, the answer parses to values in range, in the tokens that a tokenizer would write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from acestep_batch.engine.v15.embedded_planner_text import CODES, planner_tokenizer_path
from acestep_batch.engine.v15.grammar import Cursor, Grammar, accepts
from acestep_batch.engine.v15.metadata import WRITTEN, Metadata, checked, read_codes, read_fields
from acestep_batch.engine.v15.vocabulary import Vocabulary
from acestep_batch.problems import Refused

GRAMMAR = Grammar(Vocabulary.from_file(planner_tokenizer_path()), caption_tokens=40)
WORDS = GRAMMAR.vocabulary
NAMES = st.sets(st.sampled_from(WRITTEN), min_size=1).map(lambda names: [name for name in WRITTEN if name in names])
SEEDS = st.integers(0, 2**32 - 1)
CAPTION = ["caption"]


def drawn(cursor: Cursor, seed: int) -> list[int]:
    """An answer in which every allowed token is equally likely."""
    rng, tokens = np.random.default_rng(seed), []
    while not cursor.is_over:
        tokens.append(int(rng.choice(cursor.allowed)))
        cursor = cursor.push(tokens[-1])
    return tokens


@given(NAMES, SEEDS, st.integers(1, 700))
def test_any_answer_parses_to_values_in_range(names: list[str], seed: int, longest_s: int) -> None:
    tokens = drawn(GRAMMAR.thought(names, Metadata(), longest_s), seed)
    song, notes = checked(read_fields(WORDS.decode(tokens)))
    assert list(song.known()) == names
    assert notes == ()
    assert song.duration is None or song.duration <= max(10, longest_s)


@given(SEEDS, st.sampled_from([Metadata(bpm=120), Metadata(duration=3, keyscale="B♭ major"), Metadata(language="yue")]))
def test_what_is_given_stands_there_as_it_is(seed: int, given_values: Metadata) -> None:
    tokens = drawn(GRAMMAR.thought(WRITTEN, given_values, 600), seed)
    fields = read_fields(WORDS.decode(tokens))
    assert given_values.known().items() <= fields.items()


@given(SEEDS)
def test_lines_are_in_the_tokens_that_the_tokenizer_writes(seed: int) -> None:
    names = [name for name in WRITTEN if name != "caption"]
    tokens = drawn(GRAMMAR.thought(names, Metadata(), 600), seed)
    assert WORDS.encode(WORDS.decode(tokens)) == tokens


@given(SEEDS, st.integers(0, 60))
def test_there_are_exactly_as_many_codes_as_wanted(seed: int, wanted: int) -> None:
    tokens = drawn(GRAMMAR.codes(wanted, wanted), seed)
    assert len(tokens) == len(read_codes(WORDS.decode(tokens))) == wanted


@given(SEEDS)
def test_codes_of_an_open_length_end_by_themselves_or_at_the_limit(seed: int) -> None:
    tokens = drawn(GRAMMAR.codes(None, 80), seed)
    codes = read_codes(WORDS.decode(tokens))
    assert 1 <= len(codes) <= 80
    assert len(codes) == 80 or tokens[-1] == WORDS.end_of_turn


@pytest.mark.parametrize(
    ("caption", "is_allowed"),
    [
        (" dark piano.\n", True),
        (" dark\n  piano\n", True),
        (" dark\n  piano,\n  slow.\n", True),
        (" 日本のシティポップ\n", True),
        (" 'He said: \"go\"'\n", True),
        ("dark\n", False),
        ("\n", False),
        ("  \n", False),
        (" !?\n", False),
        (" dark\n\n", False),
        (" dark\npiano\n", False),
        (" dark `piano`\n", False),
        (" dark</think>\n", False),
        (" dark\tpiano\n", False),
        (" dark<|audio_code_1|>\n", False),
    ],
)
def test_a_caption_is_text_on_indented_lines(caption: str, is_allowed: bool) -> None:
    tokens = WORDS.encode(f"<think>\ncaption:{caption}</think>")
    assert accepts(GRAMMAR.thought(CAPTION, Metadata(), 600), tokens) == is_allowed


@pytest.mark.parametrize("limit", [2, 3, 10])
def test_a_caption_ends_at_its_limit(limit: int) -> None:
    grammar = Grammar(WORDS, caption_tokens=limit)
    prefix = len(WORDS.encode("<think>\ncaption:")) + len(WORDS.encode("</think>"))
    lengths = {len(drawn(grammar.thought(CAPTION, Metadata(), 600), seed)) - prefix for seed in range(40)}
    assert max(lengths) == limit


def test_a_language_is_found_and_not_drawn() -> None:
    cursor = GRAMMAR.thought(["language"], Metadata(), 600)
    greedy = []
    for token in WORDS.encode("<think>\nlanguage: es\n</think>"):
        greedy.append(cursor.greedy)
        cursor = cursor.push(token)
    assert greedy == [False, False, False, True, True, True, False]


def test_a_token_that_is_not_allowed_is_an_error_even_after_the_end() -> None:
    cursor = GRAMMAR.thought(["bpm"], Metadata(bpm=90), 600)
    with pytest.raises(ValueError, match="not allowed"):
        cursor.push(WORDS.end_of_turn)
    assert not accepts(cursor, WORDS.encode("<think>\nbpm: 90\n"))
    assert not accepts(cursor, WORDS.encode("<think>\nbpm: 90\n</think>\n"))
    assert not accepts(cursor, WORDS.encode("<think>\nbpm: 91\n</think>"))


def test_without_constraints_anything_goes_until_an_end() -> None:
    ends = (WORDS.end_of_thinking, WORDS.end_of_turn)
    free = WORDS.encode("bpm: fast `?`")
    assert accepts(GRAMMAR.anything(100, ends), [*free, WORDS.end_of_thinking])
    assert accepts(GRAMMAR.anything(len(free), ends), free)
    assert not accepts(GRAMMAR.anything(100, ends), [*free, WORDS.end_of_turn, *free])


def test_the_vocabulary_knows_its_codes() -> None:
    assert WORDS.decode([WORDS.codes[0], WORDS.codes[-1]]) == f"<|audio_code_0|><|audio_code_{CODES - 1}|>"
    assert len(WORDS.codes) == CODES


def _refused_vocabulary(change: str, into: str, folder: Path) -> None:
    content = json.loads(planner_tokenizer_path().read_text(encoding="utf-8"))
    for token in content["added_tokens"]:
        if token["content"] == change:
            token["content"] = into
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    Vocabulary.from_file(file)


@pytest.mark.parametrize("missing", ["<think>", "<|im_end|>", "<|audio_code_0|>"])
def test_a_tokenizer_without_the_planners_tokens_is_refused(missing: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"tokenizer.json: not a planner's tokenizer: it has no"):
        _refused_vocabulary(missing, "<other>", tmp_path)


def test_codes_that_do_not_follow_each_other_are_refused(tmp_path: Path) -> None:
    content = Tokenizer.from_file(str(planner_tokenizer_path()))
    content.add_tokens(["between", f"<|audio_code_{CODES}|>"])
    with pytest.raises(Refused, match=f"audio_code_{CODES}.* is token"):
        Vocabulary(content, "tokenizer.json")


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    for file in (tmp_path / "tokenizer.json", tmp_path / "missing.json"):
        with pytest.raises(Refused, match="cannot be read as a tokenizer"):
            Vocabulary.from_file(file)
