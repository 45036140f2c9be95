"""Stage 6: packaged weights are the embedded model, in every place that names it; without them it is the drawn one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_stage_generate import song, trained  # noqa: F401 - a fixture

from acestep_batch.demo_words import demo_words
from acestep_batch.engine import embedded_identity, embedded_sizes
from acestep_batch.engine.embedded import load_drawn_engine, load_embedded_engine
from acestep_batch.engine.load import model_facts, model_files
from training import package
from training.evaluate.gates import Score
from training.evaluate.seeds import Seeds
from training.evaluate.table import Scores, read_scores, write_scores
from training.layout import write_layout
from training.made import Made, layout_hashes
from training.prompts import understood
from training.sizes import TRANSFORMER_CONFIG

SCORES = Scores(
    (
        Score("lead", 0.9, 0.71, 0.12, 96, 0.65),
        Score("bpm", 1.0, 0.31, 0.18, 96, 0.6),
        Score("genre", 0.75, 0.5, 0.13, 96, None),
    ),
    Seeds(1.25, 1.9, True),
)


def made_of(checkpoints: Path, layout: Path) -> Made:
    write_layout(checkpoints, layout)
    return Made(layout_hashes(layout), "fast", (), 3, 96)


@pytest.fixture
def packaged(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """The package as it is with trained weights."""
    scores, folder = tmp_path / "scores.json", tmp_path / "trained"
    write_scores(replace(SCORES, made=made_of(trained, tmp_path / "layout")), scores)
    package.main(["--scores", str(scores), "--checkpoints", str(trained), "--into", str(folder)])
    monkeypatch.setattr(embedded_identity, "TRAINED", folder)
    return folder


def test_every_file_is_recorded_with_its_hash(packaged: Path) -> None:
    facts = json.loads((packaged / embedded_identity.FACTS_FILE).read_text(encoding="utf-8"))
    files = {file.relative_to(packaged).as_posix() for file in packaged.rglob("*") if file.is_file()}
    beside = {package.CARD, package.SCORES_FILE, embedded_identity.FACTS_FILE, embedded_identity.WORDS_FILE}
    assert {each["path"] for each in facts} == files - beside
    for each in facts:
        content = (packaged / each["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (each["size"], each["sha256"])


def test_the_card_says_what_was_measured(packaged: Path) -> None:
    text = (packaged / package.CARD).read_text(encoding="utf-8")
    assert "| lead, of 8 | 0.65 | 0.71 | 0.12 | 0.90 | 96 | passed |" in text
    assert "| tempo within 6 % | 0.60 | 0.31 | 0.18 | 1.00 | 96 | not reached |" in text
    assert "| genre, of 8 | none | 0.50 | 0.13 | 0.75 | 96 |  |" in text
    assert "Claimed, because the gate was passed: lead, of 8. " in text
    assert "another seed gives a song 1.25 nat" in text
    for said in ("Apache-2.0", " 1 steps of flow matching", "seed 0", "not ACE-Step"):
        assert said in text
    assert "Songs of 11.9 s of 96 prompts of dataset seed 3, preset `fast`." in text
    assert replace(read_scores(packaged / package.SCORES_FILE), made=None) == SCORES


def test_scores_of_other_weights_are_refused(packaged: Path, trained: Path, tmp_path: Path) -> None:  # noqa: F811
    before = {file: file.read_bytes() for file in packaged.rglob("*") if file.is_file()}
    made = made_of(trained, tmp_path / "again")
    for other in (None, replace(made, weights={**made.weights, "umt5-base/tokenizer.json": "0" * 64})):
        with pytest.raises(ValueError, match="not of these weights"):
            package.package(trained, replace(SCORES, made=other), packaged, "few")
    assert {file: file.read_bytes() for file in packaged.rglob("*") if file.is_file()} == before


def test_every_packaged_phrase_is_understood(packaged: Path) -> None:
    words = demo_words("embedded")
    assert words is not None
    said = {phrase for values in words.phrases.values() for each in values.values() for phrase in each}
    keys = {f"{tonic} {mode}" for tonic in words.phrases["tonic"] for mode in words.phrases["mode"]}
    parts = {phrase for aspect in ("tonic", "mode") for each in words.phrases[aspect].values() for phrase in each}
    phrases = [*(said - parts), *keys, *(f"{bpm} bpm" for bpm in words.tempi_bpm)]
    assert all(len(understood(phrase)) == 1 for phrase in phrases)
    assert words.tempi_bpm == (72, 92, 108, 129, 161)


def test_packaged_weights_are_the_embedded_model(packaged: Path) -> None:
    engine = load_embedded_engine("cpu", torch.float32, compile_transformer=False)
    assert engine.label == embedded_identity.embedded_label() == "embedded demo model"
    recorded = model_facts(None, None, None)["files"]
    assert engine.describe()["files"] == recorded
    assert model_files(None, None) == {each["path"]: each["sha256"] for each in recorded}
    assert all(embedded_identity.is_embedded_file(each["path"]) for each in recorded)
    assert embedded_identity.prompt_tokenizer_path().is_relative_to(packaged)
    assert embedded_sizes.embedded_sizes().transformer.inner_dim == TRANSFORMER_CONFIG["inner_dim"]
    (made,) = engine.render([song()], 44100)
    (drawn,) = load_drawn_engine("cpu", torch.float32, False).render([song()], 44100)
    assert not np.array_equal(made.audio, drawn.audio)


def test_without_them_it_is_the_drawn_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_identity, "TRAINED", tmp_path)
    engine = load_embedded_engine("cpu", torch.float32, compile_transformer=False)
    assert engine.label == embedded_identity.embedded_label() == "embedded, untrained"
    assert embedded_identity.embedded_files() == [embedded_identity.EMBEDDED_WEIGHTS]
    assert embedded_identity.is_embedded_file(embedded_identity.EMBEDDED_WEIGHTS["path"])
    assert not embedded_identity.is_embedded_file("umt5-base/tokenizer.json")
