"""Guidance: how the velocities of a song's branches become one velocity; no model, no random draws.

Velocities are [B, 8, 16, F]; scales are [B, 1, 1, 1] or one number; every item is treated by itself. The formulas are
those of the reference implementation (ace-step/ACE-Step at d612523), which differ from the papers in details.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.batching import has_double_condition
from acestep_batch.engine.v1.limits import guided_steps

APG_MOMENTUM = -0.75
APG_NORM_LIMIT = 2.5
CFG_STAR_ZERO_CALLS = 2


@dataclass(frozen=True, slots=True)
class Guidance:
    """What guides a batch: made once for all its model calls, so that none of them waits for numbers to be sent."""

    kind: str
    """A ``cfg_type``, or ``double`` for the double condition."""
    first_call: int
    scales: Tensor
    """[guided calls, B, 1, 1, 1]"""
    text_scale: Tensor
    """[B, 1, 1, 1], as the next."""
    lyric_scale: Tensor


def guidance_of(requests: Sequence[SongRequest], device: torch.device) -> Guidance:
    """The guidance of songs that share its kind and the guided calls, and differ in scales."""
    shared = requests[0]
    guided = guided_steps(shared)
    table = [[guidance_scale_at(request, call) for request in requests] for call in guided]
    return Guidance(
        kind="double" if has_double_condition(shared) else shared.cfg_type,
        first_call=guided.start,
        scales=torch.tensor(table, dtype=torch.float32, device=device).reshape(len(guided), len(requests), 1, 1, 1),
        text_scale=per_song([request.guidance_scale_text for request in requests], device),
        lyric_scale=per_song([request.guidance_scale_lyric for request in requests], device),
    )


def guide(
    guidance: Guidance, velocities: Sequence[Tensor], call: int, momentum: Tensor | float
) -> tuple[Tensor, Tensor | float]:
    """The velocity of the songs at a guided model call, and the momentum for the next one (0 at first).

    ``velocities`` has two entries (conditional, unconditional) or, for the double condition, three (conditional, text
    only, unconditional).
    """
    if guidance.kind == "double":
        cond, text_only, uncond = velocities
        return double_condition(cond, text_only, uncond, guidance.text_scale, guidance.lyric_scale), momentum
    cond, uncond = velocities
    scale = guidance.scales[call - guidance.first_call]
    match guidance.kind:
        case "apg":
            return apg(cond, uncond, scale, momentum)
        case "cfg":
            return cfg(cond, uncond, scale), momentum
        case "cfg_star":
            return cfg_star(cond, uncond, scale, call), momentum
        case unknown:
            raise ValueError(f"cfg_type: {unknown!r} is not one of apg, cfg, cfg_star")


def guidance_scale_at(request: SongRequest, call: int) -> float:
    """The scale at model call ``call``, which must be guided: falls linearly with ``guidance_interval_decay``.

    At a decay of 1 the last guided call has ``min_guidance_scale``.
    """
    if request.guidance_interval_decay <= 0:
        return request.guidance_scale
    guided = guided_steps(request)
    progress = (call - guided.start) / (len(guided) - 1)
    fall = (request.guidance_scale - request.min_guidance_scale) * request.guidance_interval_decay
    return request.guidance_scale - fall * progress


def apg(cond: Tensor, uncond: Tensor, scale: Tensor | float, momentum: Tensor | float) -> tuple[Tensor, Tensor]:
    """Adaptive projected guidance (arXiv:2410.02416); returns the velocity and the new momentum.

    The difference of the branches, with the negative momentum of earlier calls, is limited in norm for each item and
    channel; only its part orthogonal to ``cond`` is used.
    """
    momentum = cond - uncond + APG_MOMENTUM * momentum
    plane = (-1, -2)
    limited = momentum * (APG_NORM_LIMIT / momentum.norm(dim=plane, keepdim=True)).clamp(max=1.0)
    direction = cond / cond.norm(dim=plane, keepdim=True).clamp(min=1e-12)
    orthogonal = limited - (limited * direction).sum(plane, keepdim=True) * direction
    return cond + (scale - 1) * orthogonal, momentum


def cfg(cond: Tensor, uncond: Tensor, scale: Tensor | float) -> Tensor:
    """Classifier-free guidance (arXiv:2207.12598)."""
    return uncond + scale * (cond - uncond)


def cfg_star(cond: Tensor, uncond: Tensor, scale: Tensor | float, call: int) -> Tensor:
    """CFG-Zero* (arXiv:2503.18886): rescales the unconditional branch to fit, and stands still at first.

    ``call`` counts all model calls of the song from 0; the first two give zero, where guidance is on at all.
    """
    if call < CFG_STAR_ZERO_CALLS:
        return torch.zeros_like(cond)
    item = (-1, -2, -3)
    fit = (cond * uncond).sum(item, keepdim=True) / (uncond.square().sum(item, keepdim=True) + 1e-8)
    return cfg(cond, uncond * fit, scale)


def double_condition(
    cond: Tensor, text_only: Tensor, uncond: Tensor, text_scale: Tensor | float, lyric_scale: Tensor | float
) -> Tensor:
    """Guidance with separate scales for text and lyrics: the three branches, with weights that sum to 1."""
    return (1 - text_scale) * uncond + (text_scale - lyric_scale) * text_only + lyric_scale * cond


def per_song(values: Sequence[float], device: torch.device) -> Tensor:
    """One number for each song, float32, shaped [B, 1, 1, 1] to go with velocities."""
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None, None]
