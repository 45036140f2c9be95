"""Stage 6: packaged weights are the embedded model, in every place that names it; without them it is the drawn one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from test_stage_generate import song, trained  # noqa: F401 - a fixture

from acestep_batch.engine import embedded as embedded_module
from acestep_batch.engine import embedded_identity, embedded_sizes
from acestep_batch.engine.embedded import load_drawn_engine, load_embedded_engine
from acestep_batch.engine.load import model_facts, model_files
from training import package
from training.sizes import TRANSFORMER_CONFIG

SCORES = "lead 0.65 0.9 0.7 0.1 96 pass"


@pytest.fixture
def packaged(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """The package as it is with trained weights."""
    scores, folder = tmp_path / "scores.txt", tmp_path / "trained"
    scores.write_text(SCORES, encoding="utf-8")
    package.main(["--scores", str(scores), "--checkpoints", str(trained), "--into", str(folder)])
    for module in (embedded_identity, embedded_sizes, embedded_module):
        monkeypatch.setattr(module, "TRAINED", folder)
    return folder


def test_every_file_is_recorded_with_its_hash(packaged: Path) -> None:
    facts = json.loads((packaged / embedded_identity.FACTS_FILE).read_text(encoding="utf-8"))
    files = {file.relative_to(packaged).as_posix() for file in packaged.rglob("*") if file.is_file()}
    assert {each["path"] for each in facts} == files - {package.CARD, embedded_identity.FACTS_FILE}
    for each in facts:
        content = (packaged / each["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (each["size"], each["sha256"])


def test_the_card_says_what_was_measured(packaged: Path) -> None:
    text = (packaged / package.CARD).read_text(encoding="utf-8")
    assert SCORES in text
    assert "Apache-2.0" in text
    assert "1 steps of flow matching" in text


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
    for module in (embedded_identity, embedded_sizes, embedded_module):
        monkeypatch.setattr(module, "TRAINED", tmp_path)
    engine = load_embedded_engine("cpu", torch.float32, compile_transformer=False)
    assert engine.label == embedded_identity.embedded_label() == "embedded, untrained"
    assert embedded_identity.embedded_files() == [embedded_identity.EMBEDDED_WEIGHTS]
    assert embedded_identity.is_embedded_file(embedded_identity.EMBEDDED_WEIGHTS["path"])
    assert not embedded_identity.is_embedded_file("umt5-base/tokenizer.json")
