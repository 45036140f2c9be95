"""Whether a device computes in a type that was asked for, tried on the kinds of sums that the networks make."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from acestep_batch.problems import one_line, refuse

_FARTHEST = 0.05
"""Of the largest value: several times what rounding to 8 bits, as bfloat16 does, costs these sums."""


def check_dtype(setting: str, device: str) -> None:
    """Raise Refused where ``device`` cannot compute in the type ``setting``, or computes something else.

    ``auto`` needs no trial: it stands for what each kind of device is known to do. Apple's GPUs know bfloat16 only from
    some version of macOS on, and some cards of NVIDIA have no sums in it at all.
    """
    if setting == "auto":
        return
    key, remedy = f"model.dtype={setting}", "model.dtype=auto, or model.dtype=float32"
    try:
        found = _sums(device, getattr(torch, setting))
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise refuse(
            f"model.dtype={setting}", f"{device} does not compute in it ({one_line(error)})", remedy
        ) from error
    expected = _sums("cpu", torch.float32)
    away = (found - expected).abs().max() / expected.abs().max()
    if not away < _FARTHEST:  # NaN is none
        raise refuse(key, f"{device} computes something else in it: {away:.2g} away from float32", remedy)


def _sums(device: str, dtype: torch.dtype) -> Tensor:
    """[3, 64, 64] float32 on the CPU: a product with attention's softmax, a convolution, and a norm."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(64, 64, generator=generator) for _ in range(2))
    kernel = torch.randn(64, 64, 3, generator=generator)
    x, weight, kernel = (each.to(device, dtype) for each in (x, weight, kernel))
    attention = F.softmax(x @ weight / 8, dim=-1) @ x
    convolved = F.conv1d(x[None], kernel, padding=1)[0] / 8
    normed = F.silu(F.layer_norm(x, [64], weight[0], weight[1]))
    return torch.stack([attention, convolved, normed]).float().cpu()
