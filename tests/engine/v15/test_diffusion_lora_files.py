"""LoRAs for 1.5 judged by their headers and settings: what fits passes, what does not is named in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
from lora_maker import FILE, RANK, write_file, write_peft
from safetensors.torch import load_file, save_file
from torch import nn

from acestep_batch.engine.v15.embedded_configs import CONFIGS
from acestep_batch.engine.v15.key_map import TRANSFORMER
from acestep_batch.engine.v15.lora_files import adaptable_layers, lora_problems, own_name

EMBEDDED = CONFIGS[TRANSFORMER]
XL = {"hidden_size": 2560, "encoder_hidden_size": 2048, "num_attention_heads": 32, "intermediate_size": 9728}


def model(config: dict[str, Any]) -> nn.Module:
    with torch.device("meta"):
        made: nn.Module = AceStepTransformer1DModel.from_config(config)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_file(tmp_path / "lora", model(dict(EMBEDDED)))


def said(path: Path) -> str:
    return "\n".join(str(problem) for problem in lora_problems(path, EMBEDDED))


@pytest.mark.parametrize("config", [{}, XL, dict(EMBEDDED)], ids=["published", "XL", "embedded"])
def test_layers_that_take_a_lora_are_the_models_linear_ones(config: dict[str, Any]) -> None:
    linear = {
        name: (module.in_features, module.out_features)
        for name, module in model(config).named_modules()
        if isinstance(module, nn.Linear)
    }
    assert adaptable_layers(config) == linear


@pytest.mark.parametrize("layer", ["layers.1.cross_attn.to_out.0", "layers.0.mlp.up_proj", "time_embed_r.time_proj"])
@pytest.mark.parametrize("prefix", ["", "transformer.", "base_model.model.", "base_model.model.decoder."])
def test_every_way_to_write_a_name_is_one_layer(prefix: str, layer: str) -> None:
    for written in (layer, layer.replace("to_out.0", "o_proj")):
        assert own_name(f"{prefix}{written}.lora_A.weight") == f"{layer}.lora_A.weight"


def test_a_file_for_v1_or_for_another_size_does_not_fit(folder: Path) -> None:
    assert "not [r, 2048] and [2048, r]" in "\n".join(map(str, lora_problems(folder, {"num_hidden_layers": 2})))
    save_file({"transformer_blocks.0.attn.to_q.lora_A.weight": torch.zeros(3, 32)}, folder / FILE)
    assert "transformer_blocks.0.attn.to_q: no layer of this model that takes a LoRA" in said(folder)


def test_two_weights_of_one_name_are_not_chosen_from(folder: Path) -> None:
    tensors = load_file(folder / FILE)
    name = "layers.0.self_attn.to_q.lora_A.weight"
    save_file({**tensors, f"transformer.{name}": tensors[name].clone()}, folder / FILE)
    assert "holds two weights of one name" in said(folder)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lora_alpha": RANK, "use_dora": True}, "use_dora is True: only plain LoRAs are known"),
        ({"lora_alpha": RANK, "peft_type": "LOKR"}, "peft_type is LOKR"),
        ({"lora_alpha": RANK, "alpha_pattern": {"to_q": 3}}, "alpha_pattern is {'to_q': 3}"),
        ({"lora_alpha": "strong"}, "lora_alpha is strong, not a number"),
        ({}, "lora_alpha is None, not a number: nothing says how strong it is"),
    ],
)
def test_settings_that_would_make_another_sound_are_refused(
    folder: Path, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    assert words in said(write_peft(tmp_path / "peft", folder, **settings))


def test_settings_that_are_missing_or_damaged_are_named(folder: Path, tmp_path: Path) -> None:
    peft = write_peft(tmp_path / "peft", folder, lora_alpha=RANK)
    assert not said(peft)
    for text in ("[]", "{", "\udcff"):
        (peft / "adapter_config.json").write_text(text, encoding="utf-8", errors="surrogateescape")
        assert "adapter_config.json: holds no settings of a LoRA" in said(peft)
    (peft / "adapter_config.json").unlink()
    assert "is missing, and says how strong the LoRA is" in said(peft)
    save_file(load_file(folder / FILE), folder / FILE, {"lora_adapter_metadata": json.dumps({"use_dora": True})})
    assert "use_dora is True" in said(folder)
