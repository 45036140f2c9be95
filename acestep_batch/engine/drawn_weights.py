"""Weights that are drawn in code: untrained, and the same bits on every machine."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def drawn_weights(component: str, model: nn.Module, gains: Mapping[str, float]) -> dict[str, Tensor]:
    """Weights for the parameters of ``model``, which may lie on the meta device; float32 on the CPU.

    ``gains`` are those of layers that are not of unit gain, by the start of their names, ``component`` included.
    """
    drawn = {}
    for name, value in model.named_parameters():
        full_name = f"{component}.{name}"
        gain = next((gain for layer, gain in gains.items() if full_name.startswith(layer)), 1.0)
        drawn[name] = _draw(full_name, tuple(value.shape), gain)
    return drawn


def _draw(name: str, shape: tuple[int, ...], gain: float) -> Tensor:
    """One parameter, from its own stream, so that it depends on its name and shape alone.

    Biases are 0, norms 1, matrices and filters keep the power of their input. The draws are uniform: NumPy has frozen
    that stream (NEP 19), and unlike the normal one it needs no logarithm, whose last bit differs between machines.
    """
    if name.endswith("bias"):
        return torch.zeros(shape)
    if name.endswith("weight_g"):
        return torch.full(shape, gain)
    if len(shape) == 1:
        return torch.ones(shape)
    uniform = np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape)
    width = math.sqrt(12 / math.prod(shape[1:]))  # of a uniform distribution with variance 1 / fan-in
    return torch.from_numpy(((uniform - 0.5) * width).astype(np.float32))


def identity(label: str, weights: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Any]:
    """The weights as one entry of a record's file list: size in bytes and sha256 over names and values."""
    digest, size = hashlib.sha256(), 0
    for component, tensors in sorted(weights.items()):
        for name, tensor in sorted(tensors.items()):
            content = tensor.numpy().astype("<f4").tobytes()
            digest.update(f"{component}.{name}".encode() + content)
            size += len(content)
    return {"path": label, "size": size, "sha256": digest.hexdigest()}
