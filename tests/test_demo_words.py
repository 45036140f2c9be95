"""What is said of prompts that the embedded demo model does not understand, and of no other model's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import opened_run, preflighted

from acestep_batch.demo_words import DemoWords, PromptWords, demo_words, words_table
from acestep_batch.engine import embedded_identity

WORDS = DemoWords(
    {
        "lead": {"piano": ("piano", "grand piano"), "synth": ("synth", "e-piano")},
        "genre": {"hip hop": ("hip hop", "boom bap")},
        "tonic": {"A#": ("Bb", "A#")},
        "mode": {"minor": ("minor",)},
        "metre": {"three beats": ("waltz", "3/4")},
    },
    (92, 129),
)


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as it is with trained weights of these words."""
    content = {"phrases": WORDS.phrases, "tempi_bpm": WORDS.tempi_bpm}
    (tmp_path / embedded_identity.WORDS_FILE).write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / embedded_identity.FACTS_FILE).write_text("[]", encoding="utf-8")
    monkeypatch.setattr(embedded_identity, "TRAINED", tmp_path)


@pytest.mark.parametrize(
    ("prompt", "rules", "named"),
    [
        ("", [], ""),
        ("Grand Piano, hip-hop, A# minor, 3/4, 92 bpm", [], ""),
        ("ｐｉａｎｏ, 129BPM", [], ""),
        ("warm piano, 808 bass, 愛", ["unknown-words"], "warm, 808, bass, 愛: "),
        ("piano, 93 bpm", ["untrained-tempo"], "93 bpm: "),
        ("kazoo, piano, 200 bpm, kazoo", ["unknown-words", "untrained-tempo"], "kazoo: "),
        ("piano 92", ["unknown-words"], "92: "),
        ("a b c d e f g h i j", ["unknown-words"], "b, c, d, f, g, h, i, j: "),
        ("k b c d e f g h i j", ["unknown-words"], "k, b, c, d, f, g, h, i, ...: "),
    ],
)
def test_words_and_tempi_outside_the_list_are_named(prompt: str, rules: list[str], named: str) -> None:
    found = PromptWords(WORDS).advise(prompt)
    assert [each.rule for each in found] == rules
    assert all((each.key, each.note) == ("prompt", False) for each in found)
    assert "".join(each.message for each in found[:1]).startswith(named)


@pytest.mark.parametrize(
    "text", ["1" * 200_000, "x" * 200_000, "1" * 200_000 + " bpm", "1" + " " * 200_000, "1 " * 100_000]
)
def test_a_prompt_of_any_length_is_read_once_and_told_in_a_line(text: str) -> None:
    assert all(len(each.message) < 400 for each in PromptWords(WORDS).advise(text))


@pytest.mark.usefixtures("packaged")
def test_the_packaged_words_are_those_of_the_embedded_model_alone() -> None:
    assert demo_words("embedded") == WORDS
    assert demo_words("v1") is None
    assert demo_words("embedded_v15") is None


def test_the_untrained_model_knows_no_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_identity, "TRAINED", tmp_path)
    assert demo_words("embedded") is None


@pytest.mark.usefixtures("packaged")
def test_a_run_of_it_warns_and_one_of_another_model_does_not() -> None:
    def advice_on(model: str, *words: str) -> str:
        with opened_run(f"model={model}", "hw=cpu", "generation.prompt='kazoo, piano, 93 bpm'", *words) as run:
            found = preflighted(run)
            return " ".join((*found.advice, *map(str, found.row_problems)))

    assert "kazoo: the embedded demo model does not know" in advice_on("embedded")
    assert "93 bpm: the embedded demo model was trained on 92, 129 bpm" in advice_on("embedded")
    assert "kazoo" in advice_on("embedded", "lint=error")
    assert "kazoo" not in advice_on("embedded", "lint=off")
    assert "demo model" not in advice_on("v1")


def test_the_table_has_every_phrase() -> None:
    table = words_table(WORDS)
    for values in WORDS.phrases.values():
        for said in values.values():
            assert all(f"`{phrase}`" in table for phrase in said)
    assert "`92 bpm`, `129 bpm`" in table
