"""The embedded planner and checkpoints in the published layout: the same bits everywhere, and what does not load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from planner_songs import song
from safetensors.torch import load_file, save_file
from torch import Tensor

from acestep_batch.engine.drawn_weights import identity
from acestep_batch.engine.v15.embedded_planner import embedded_model, load_embedded_planner
from acestep_batch.engine.v15.embedded_planner_identity import EMBEDDED_PLANNER_WEIGHTS, LABEL
from acestep_batch.engine.v15.embedded_planner_text import build_planner_tokenizer, planner_tokenizer_path
from acestep_batch.engine.v15.planner_loading import load_planner
from acestep_batch.engine.v15.vocabulary import Vocabulary
from acestep_batch.problems import Refused

TEXT = "# Caption\nlatin trap, 808 #1\n\n# Lyric\nla señal 日本 \N{GRINNING FACE}\n<|audio_code_7|><think>\nbpm: 93\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The embedded planner as a published checkpoint."""
    vocabulary = Vocabulary.from_file(planner_tokenizer_path())
    embedded_model(vocabulary).save_pretrained(tmp_path)
    shutil.copy(planner_tokenizer_path(), tmp_path / "tokenizer.json")
    return tmp_path


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def test_the_tokenizer_file_is_what_its_builder_builds() -> None:
    stored = json.loads(planner_tokenizer_path().read_text(encoding="utf-8"))
    assert stored == json.loads(build_planner_tokenizer().to_str())


def test_the_tokenizer_loses_nothing() -> None:
    vocabulary = Vocabulary.from_file(planner_tokenizer_path())
    assert vocabulary.decode(vocabulary.encode(TEXT)) == TEXT


def test_the_weights_are_the_same_on_every_machine() -> None:
    model = embedded_model(Vocabulary.from_file(planner_tokenizer_path()))
    weights = {"acestep-5Hz-lm": dict(model.named_parameters())}
    assert identity(LABEL, weights) == EMBEDDED_PLANNER_WEIGHTS


def test_a_published_folder_plans_what_the_embedded_planner_does(folder: Path) -> None:
    loaded = load_planner(folder, "cpu", torch.float32)
    request = song(use_cot_caption=False, duration_s=3.0)  # its captions are shorter than a published planner's
    assert loaded.plan([request]) == load_embedded_planner().plan([request])


def test_parameters_may_lack_their_prefix(folder: Path) -> None:
    request = song(duration_s=2.0, use_cot_metas=False)
    expected = load_planner(folder, "cpu", torch.float32).plan([request])
    change_weights(folder, lambda weights: {name.removeprefix("model."): each for name, each in weights.items()})
    assert load_planner(folder, "cpu", torch.float32).plan([request]) == expected


def test_weights_that_do_not_fit_are_refused_and_named(folder: Path) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    change_weights(folder, lambda weights: {each: weights[each] for each in weights if each != name})
    with pytest.raises(Refused, match=f"do not fit Qwen3ForCausalLM: {name} is missing"):
        load_planner(folder, "cpu", torch.float32)


def test_a_surplus_weight_is_refused(folder: Path) -> None:
    change_weights(folder, lambda weights: weights | {"model.extra.weight": torch.zeros(2)})
    with pytest.raises(Refused, match=r"model\.extra\.weight is unexpected"):
        load_planner(folder, "cpu", torch.float32)


def test_a_weight_of_another_shape_is_refused(folder: Path) -> None:
    change_weights(folder, lambda weights: weights | {"model.norm.weight": torch.ones(31)})
    with pytest.raises(Refused, match=r"model\.norm\.weight has another shape"):
        load_planner(folder, "cpu", torch.float32)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(Refused, match=f"{name}: is missing" if name != "model.safetensors" else "holds no weights"):
        load_planner(folder, "cpu", torch.float32)


@pytest.mark.parametrize("content", ['{"model_type": "llama"}', "{}", "[]", "{", "[" * 100_000])
def test_another_model_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(Refused, match=r"config\.json: (describes a model|does not say)"):
        load_planner(folder, "cpu", torch.float32)


def test_pickled_weights_are_not_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(Refused, match="holds no weights"):
        load_planner(folder, "cpu", torch.float32)


def test_a_tokenizer_larger_than_its_model_is_refused(folder: Path) -> None:
    tokenizer = build_planner_tokenizer()
    tokenizer.add_tokens(["another"])
    tokenizer.save(str(folder / "tokenizer.json"))
    with pytest.raises(Refused, match="the model only"):
        load_planner(folder, "cpu", torch.float32)
