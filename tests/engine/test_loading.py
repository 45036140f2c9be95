"""Checkpoint folders: what fits loads, what does not is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from acestep_batch.engine.v1.loading import load_engine, load_text_encoder, load_transformer
from acestep_batch.problems import Refused

Weights = dict[str, Tensor]


def changed(source: Path, target: Path, weights: str, change: Callable[[Weights], object]) -> Path:
    """A copy of a component folder whose weights went through ``change``."""
    folder = shutil.copytree(source, target)
    tensors = load_file(folder / weights)
    change(tensors)
    save_file(tensors, folder / weights)
    return folder


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda weights: weights.pop("lyric_proj.bias"), "lyric_proj.bias is missing"),
        (lambda weights: weights.update(extra=torch.ones(1)), "extra is unexpected"),
        (lambda weights: weights.update({"lyric_proj.bias": torch.ones(3)}), r"lyric_proj.bias has shape \[3\]"),
    ],
    ids=["missing", "unexpected", "shape"],
)
def test_weights_that_do_not_fit_are_named(
    checkpoint: Path, tmp_path: Path, change: Callable[[Weights], object], complaint: str
) -> None:
    weights = "diffusion_pytorch_model.safetensors"
    folder = changed(checkpoint / "ace_step_transformer", tmp_path / "copy", weights, change)
    with pytest.raises(Refused, match=complaint):
        load_transformer(folder, torch.float32, "cpu")


def test_the_transformer_is_ready_for_inference_in_the_dtype_asked_for(checkpoint: Path) -> None:
    model = load_transformer(checkpoint / "ace_step_transformer", torch.bfloat16, "cpu")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert not any(parameter.requires_grad or parameter.is_meta for parameter in model.parameters())
    assert not model.training
    assert not any("projectors" in name or "add_q_proj" in name for name in model.state_dict())


def test_the_published_config_has_no_lyric_encoder_sizes(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint / "ace_step_transformer", tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    sizes = {key: value for key, value in config.items() if not key.startswith("lyric_encoder_") or "vocab" in key}
    (folder / "config.json").write_text(json.dumps(sizes), encoding="utf-8")
    # The published sizes then apply, which these tiny weights do not have.
    with pytest.raises(Refused, match=r"lyric_encoder.embed.out.0.weight has shape \[32, 32\], not \[1024, 32\]"):
        load_transformer(folder, torch.float32, "cpu")


@torch.inference_mode()
def test_the_tied_embedding_may_stand_in_the_file_or_not(checkpoint: Path, tmp_path: Path) -> None:
    def untie(weights: Weights) -> None:
        weights["encoder.embed_tokens.weight"] = weights["shared.weight"].clone()

    folder = changed(checkpoint / "umt5-base", tmp_path / "copy", "model.safetensors", untie)
    one, other = (load_text_encoder(path, torch.float32, "cpu") for path in (checkpoint / "umt5-base", folder))
    assert torch.equal(one.encode(["jazz"])[0], other.encode(["jazz"])[0])


@pytest.mark.parametrize("component", ["music_dcae_f8c8", "music_vocoder"])
def test_decoder_weights_that_do_not_fit_are_refused(checkpoint: Path, tmp_path: Path, component: str) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "checkpoint")
    shutil.rmtree(folder / component)
    weights = "diffusion_pytorch_model.safetensors"
    changed(checkpoint / component, folder / component, weights, lambda tensors: tensors.popitem())
    with pytest.raises(Refused, match=f"(?s){component}.*Missing key"):
        load_engine(folder, lambda lyrics, language: [1], "cpu", torch.float32, False, "tiny", [])
