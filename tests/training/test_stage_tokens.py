"""The prompt tokenizer: words and numbers, one token each, after the gathering tokens."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from acestep_batch.engine.v1.text import PAD_ID
from training.sizes import TEXT_ENCODER_CONFIG
from training.tokens import END, FIRST_WORD_ID, GATHERING, PAD, UNKNOWN, UNKNOWN_ID, build_tokenizer

PROMPTS = ["lo-fi, electric piano, F# minor, 92 bpm", "Lo-Fi, piano, f# Minor, 129 BPM", "piano, kazoo"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return build_tokenizer(PROMPTS)


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [
        ("", []),
        ("Lo-Fi,  PIANO\n", ["lo", "-", "fi", ",", "piano"]),
        ("F# minor, 104 bpm", ["f", "#", "minor", ",", "104", "bpm"]),
        ("kazoo, 999 bpm, 愛", [UNKNOWN, ",", UNKNOWN, "bpm", ",", UNKNOWN]),
    ],
)
def test_a_word_is_a_token_and_a_rare_one_is_unknown(tokenizer: Tokenizer, prompt: str, tokens: list[str]) -> None:
    assert tokenizer.encode(prompt).tokens == [*GATHERING, *tokens, END]


def test_ids_are_what_the_encoder_and_the_recipe_expect(tokenizer: Tokenizer) -> None:
    assert tokenizer.token_to_id(PAD) == PAD_ID == TEXT_ENCODER_CONFIG["pad_token_id"]
    assert tokenizer.token_to_id(END) == TEXT_ENCODER_CONFIG["eos_token_id"]
    assert tokenizer.token_to_id(UNKNOWN) == UNKNOWN_ID
    assert tokenizer.token_to_id("40") == FIRST_WORD_ID


def test_the_file_is_the_same_every_time() -> None:
    assert build_tokenizer(PROMPTS).to_str() == build_tokenizer(reversed(PROMPTS)).to_str()
