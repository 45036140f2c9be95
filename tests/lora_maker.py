"""Makes small LoRAs in the published form."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel

FILE = "pytorch_lora_weights.safetensors"
TARGETS = ("linear_q", "linear_k", "linear_v", "to_q", "to_k", "to_v", "to_out.0")
RANK = 3


def targeted(transformer: ACEStepTransformer2DModel) -> dict[str, nn.Linear]:
    """The layers that published files adapt, by name."""
    return {
        name: module
        for name, module in transformer.named_modules()
        if isinstance(module, nn.Linear) and name.endswith(tuple(f".{target}" for target in TARGETS))
    }


def write_file(folder: Path, transformer: ACEStepTransformer2DModel, seed: int = 0) -> Path:
    """A file without a word on its strength, for a transformer without adapters; its folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    draws = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, layer in targeted(transformer).items():
        tensors[f"{name}.lora_A.weight"] = torch.randn(RANK, layer.in_features, generator=draws) / 8
        tensors[f"{name}.lora_B.weight"] = torch.randn(layer.out_features, RANK, generator=draws) / 8
    save_file(tensors, folder / FILE)
    return folder
