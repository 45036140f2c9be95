"""Makes small LoRAs in the published form."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

FILE = "pytorch_lora_weights.safetensors"
TARGETS = ("linear_q", "linear_k", "linear_v", "to_q", "to_k", "to_v", "to_out.0")
RANK = 3


def targeted(transformer: nn.Module) -> dict[str, nn.Linear]:
    """The layers that published files adapt, by name."""
    return {
        name: module
        for name, module in transformer.named_modules()
        if isinstance(module, nn.Linear) and name.endswith(tuple(f".{target}" for target in TARGETS))
    }


def write_file(folder: Path, transformer: nn.Module, seed: int = 0) -> Path:
    """A file without a word on its strength, for a transformer without adapters; its folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    draws = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, layer in targeted(transformer).items():
        tensors[f"{name}.lora_A.weight"] = torch.randn(RANK, layer.in_features, generator=draws) / 8
        tensors[f"{name}.lora_B.weight"] = torch.randn(layer.out_features, RANK, generator=draws) / 8
    save_file(tensors, folder / FILE)
    return folder


OFFICIAL = ((".to_q.", ".q_proj."), (".to_k.", ".k_proj."), (".to_v.", ".v_proj."), (".to_out.0.", ".o_proj."))


def write_peft(folder: Path, published: Path, **settings: object) -> Path:
    """The LoRA of another folder as the trainer of 1.5 leaves it, with peft's settings; its folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, tensor in load_file(published / FILE).items():
        for ours, theirs in OFFICIAL:
            name = name.replace(ours, theirs)
        tensors[f"base_model.model.{name}"] = tensor
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": RANK, **settings}))
    return folder
