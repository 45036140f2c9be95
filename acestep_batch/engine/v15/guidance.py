"""Guidance of 1.5: how conditional and unconditional velocities become one; no model, no random draws.

Velocities are [B, F, C] float32; scales are [B, 1, 1] or one number. Every song is treated by itself.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance
from torch import Tensor

APG_MOMENTUM = -0.75
APG_NORM_LIMIT = 2.5
ADG_LARGEST_ANGLE = 3.14 / 6
_ADG_EXTRA_SCALE = 1e-3
_ADG_SMALL_SINE = 1e-3
_ADG_COSINE_LIMIT = 1 - 1e-6


def apg(cond: Tensor, uncond: Tensor, scale: Tensor | float, momentum: Tensor | float) -> tuple[Tensor, Tensor]:
    """Adaptive projected guidance (arXiv:2410.02416); returns the velocity and the new momentum (0 at first).

    The difference of the branches, with the negative momentum of earlier calls, is limited in norm over time for each
    channel; only its part orthogonal to ``cond`` is used. diffusers computes it.
    """
    buffer: Any = MomentumBuffer(APG_MOMENTUM)
    buffer.running_average = momentum
    guided = normalized_guidance(
        cond,
        uncond,
        guidance_scale=scale - 1,  # type: ignore[arg-type]  # a factor of the update, for each song its own
        momentum_buffer=buffer,
        eta=0.0,
        norm_threshold=APG_NORM_LIMIT,
        use_original_formulation=True,
        norm_dim=1,
    )
    return guided, buffer.running_average


def adg(x: Tensor, cond: Tensor, uncond: Tensor, t: float, scale: Tensor | float) -> Tensor:
    """Angle-based dynamic guidance, as the reference implementation computes it (ace-step/ACE-Step-1.5 at f30aee4).

    The data that both velocities point at from ``x`` at timestep ``t`` is compared frame by frame: the conditional one
    is turned away from the other by their angle times the scale less one, at most 30 degrees. The reference fails for
    more than one song; here each song is guided as alone.
    """
    x64, cond64, uncond64 = (_float64(each) for each in (x, cond, uncond))
    weight = (torch.as_tensor(scale).to(x64) - 1).clamp(min=0) + _ADG_EXTRA_SCALE
    data, other = x64 - t * cond64, x64 - t * uncond64
    cosine = torch.nn.functional.cosine_similarity(data, other, dim=-1, eps=1e-6)[..., None]  # [B, F, 1]
    angle = cosine.clamp(-_ADG_COSINE_LIMIT, _ADG_COSINE_LIMIT).acos()
    turned = (angle * weight).clamp(-ADG_LARGEST_ANGLE, ADG_LARGEST_ANGLE)
    difference = data - other
    along = (difference * other).sum(-1, keepdim=True) / (other.square().sum(-1, keepdim=True) + 1e-8)
    across = difference - along * other
    sine = angle.sin()
    stretch = torch.where(sine > _ADG_SMALL_SINE, turned.sin() / sine, weight)
    return ((x64 - (data * turned.cos() + across * stretch)) / t).to(x)


def _float64(values: Tensor) -> Tensor:
    """In double precision, on the CPU where the device has none: small angles are all rounding in single precision."""
    return values.cpu().double() if values.device.type == "mps" else values.double()
