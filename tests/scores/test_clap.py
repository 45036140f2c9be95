"""The CLAP score, with a tiny model of random weights: the cosine that the model's own forward pass gives."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from synthesised import RATE, song
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor, RobertaTokenizer

from acestep_batch.scores import clap
from acestep_batch.scores.base import ScoredSong
from acestep_batch.scores.clap import ClapScore

TEXT = {
    "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    "max_position_embeddings": 80, "projection_dim": 8,
}  # fmt: skip
AUDIO = {
    "depths": [1, 1], "num_attention_heads": [1, 2], "patch_embeds_hidden_size": 8, "hidden_size": 16,
    "num_mel_bins": 16, "num_hidden_layers": 2, "spec_size": 64, "window_size": 2, "projection_dim": 8,
}  # fmt: skip
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("clap")
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(1)
        model = ClapModel(ClapConfig(text_config=TEXT, audio_config=AUDIO, projection_dim=8))
    vocabulary = [*SPECIAL, *"abcdefghijklmnopqrstuvwxyzĠ,"]
    tokenizer = RobertaTokenizer({token: index for index, token in enumerate(vocabulary)}, [])
    model.save_pretrained(found)
    extractor = ClapFeatureExtractor(feature_size=16, max_length_s=1, truncation="rand_trunc")
    ClapProcessor(extractor, tokenizer).save_pretrained(found)
    return found


@pytest.fixture(scope="module")
def score(folder: Path) -> ClapScore:
    return clap.load(folder, "cpu")


def value(score: ClapScore, samples, prompt: str) -> float | None:
    return score.score(ScoredSong(samples, RATE, prompt, ""))["clap_score"]


def test_one_window_scores_what_the_models_own_forward_pass_gives(score: ClapScore, folder: Path) -> None:
    samples = song(1, 1)
    model, processor = ClapModel.from_pretrained(folder).eval(), ClapProcessor.from_pretrained(folder)
    audio = processor.feature_extractor(samples.mean(axis=1), sampling_rate=RATE, return_tensors="pt")
    text = processor.tokenizer(["a lazy dog"], return_tensors="pt")
    with torch.inference_mode():
        out = model(**audio, **text)
    assert value(score, samples, "a lazy dog") == pytest.approx(float(out.audio_embeds @ out.text_embeds.T), abs=1e-5)


def test_long_songs_are_scored_whole_and_always_alike(score: ClapScore) -> None:
    samples = song(12, 2)
    found = value(score, samples, "piano")
    assert -1 <= found <= 1
    assert value(score, samples, "piano") == found
    assert value(score, samples[: 11 * RATE], "piano") != found
    assert value(score, samples, "drums, guitar") != found


def test_loading_leaves_torchs_device_contexts_as_they_were(folder: Path) -> None:
    """Engines are built in one, and a score may be loaded before them."""
    torch.utils._device._device_constructors.cache_clear()  # as if no context had been used yet
    clap.load(folder, "cpu")
    with torch.device("meta"):
        assert torch.linspace(0, 1, 3).device.type == "meta"


def test_no_prompt_no_score(score: ClapScore) -> None:
    assert value(score, song(1, 1), " ") is None


class Code:
    """Runs when a careless reader unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("it_ran",)


def test_weights_of_another_format_are_read_and_code_in_them_is_not_run(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published CLAP models have no safetensors."""
    monkeypatch.chdir(tmp_path)
    for path in folder.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, tmp_path / "pytorch_model.bin")
    samples = song(1, 1)
    found = value(clap.load(tmp_path, "cpu"), samples, "dog")
    assert found == pytest.approx(value(clap.load(folder, "cpu"), samples, "dog"), abs=1e-5)
    torch.save(weights | {"logit_scale_a": Code()}, tmp_path / "pytorch_model.bin")
    with pytest.raises((OSError, ValueError, pickle.UnpicklingError)):
        clap.load(tmp_path, "cpu")
    assert not (tmp_path / "it_ran").exists()
