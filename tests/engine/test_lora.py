"""Published LoRA files load into the transformer by name, do what they say, and leave no trace.

A published folder holds ``pytorch_lora_weights.safetensors`` with ``<module>.lora_A.weight`` [r, in] and
``<module>.lora_B.weight`` [out, r] of linear layers (Hu et al., arXiv:2106.09685). How strong it is stands in the
header, where newer writers put it: alpha / sqrt(r) with ``use_rslora`` (arXiv:2312.03732), alpha / r without. A file
without that is meant at 1.
"""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pytest
import torch
from lora_maker import FILE, RANK, TARGETS, targeted, write_file
from peft import LoraConfig
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel

ALPHA = 6
NAME = "singer"


@pytest.fixture
def plain(transformer: ACEStepTransformer2DModel) -> ACEStepTransformer2DModel:
    return copy.deepcopy(transformer)


def write_after_training(folder: Path, transformer: ACEStepTransformer2DModel, use_rslora: bool) -> Path:
    """A file as training with peft and diffusers writes it."""
    trained = copy.deepcopy(transformer)
    settings = LoraConfig(r=RANK, lora_alpha=ALPHA, use_rslora=use_rslora, target_modules=list(TARGETS))
    trained.add_adapter(settings, NAME)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in trained.named_parameters():
            if ".lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=draws) / 8)
    trained.save_lora_adapter(folder, NAME)
    return folder


def load(transformer: ACEStepTransformer2DModel, folder: Path) -> None:
    transformer.load_lora_adapter(folder, weight_name=FILE, use_safetensors=True, adapter_name=NAME, prefix=None)


def read_file(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / FILE)


def merged_by_hand(transformer: ACEStepTransformer2DModel, folder: Path, strength: float) -> ACEStepTransformer2DModel:
    merged, tensors = copy.deepcopy(transformer), read_file(folder)
    for name, layer in targeted(merged).items():
        product = tensors[f"{name}.lora_B.weight"] @ tensors[f"{name}.lora_A.weight"]
        layer.weight = nn.Parameter(layer.weight + strength * product, requires_grad=False)
    return merged


@torch.inference_mode()
def velocity(transformer: ACEStepTransformer2DModel) -> Tensor:
    """One call, its lyrics encoded and its conditioning computed anew."""
    draws = torch.Generator().manual_seed(0)
    lyrics = transformer.encode_lyrics(torch.arange(5)[None])
    speaker = torch.zeros(1, transformer.speaker_embedder.in_features)
    text = torch.randn(1, 4, transformer.genre_embedder.in_features, generator=draws)
    conditioning = transformer.condition(transformer.join(speaker, text, lyrics), None, torch.ones(1))
    latents = torch.randn(1, 8, 16, 12, generator=draws)
    predicted: Tensor = transformer(latents, transformer.embed_times(torch.tensor([500.0]), 12), conditioning)
    return predicted


def test_every_tensor_of_a_file_lands_under_its_name(tmp_path: Path, plain: ACEStepTransformer2DModel) -> None:
    folder = write_file(tmp_path, plain)
    load(plain, folder)
    loaded = {
        name.replace(f".{NAME}.weight", ".weight"): tensor
        for name, tensor in plain.state_dict().items()
        if ".lora_" in name
    }
    stored = read_file(folder)
    assert loaded.keys() == stored.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in stored.items())
    encoder_layers, blocks = len(plain.lyric_encoder.encoders), len(plain.transformer_blocks)
    assert len(stored) == 2 * (3 * encoder_layers + 2 * 4 * blocks)


@pytest.mark.parametrize(
    ("use_rslora", "strength"),
    [(None, 1.0), (False, ALPHA / RANK), (True, ALPHA / math.sqrt(RANK))],
    ids=["silent", "alpha / r", "rslora"],
)
def test_an_adapter_adds_the_product_of_its_factors(
    tmp_path: Path, plain: ACEStepTransformer2DModel, use_rslora: bool | None, strength: float
) -> None:
    original = copy.deepcopy(plain)
    if use_rslora is None:
        folder = write_file(tmp_path, plain)
    else:
        folder = write_after_training(tmp_path, plain, use_rslora)
        with safe_open(folder / FILE, "pt") as file:
            assert json.loads(file.metadata()["lora_adapter_metadata"])["use_rslora"] is use_rslora
    load(plain, folder)
    for weight in (1.0, 0.25):
        plain.set_adapters(NAME, weight)
        expected = velocity(merged_by_hand(original, folder, strength * weight))
        torch.testing.assert_close(velocity(plain), expected, rtol=0, atol=1e-5 * expected.abs().max().item())
        assert (expected - velocity(original)).abs().max() > 1e-2


def test_unloading_restores_every_bit(tmp_path: Path, plain: ACEStepTransformer2DModel) -> None:
    names, before = list(plain.state_dict()), velocity(plain)
    load(plain, write_file(tmp_path, plain))
    assert not torch.equal(velocity(plain), before)
    plain.unload_lora()
    assert list(plain.state_dict()) == names
    assert torch.equal(velocity(plain), before)
