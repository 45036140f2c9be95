"""Where tasks on an existing song begin, and how what they keep is kept; no model, no random draws of its own.

Latents are those of one song, [8, 16, F], unless said otherwise. The formulas are those of the reference implementation
(ace-step/ACE-Step at d612523).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from acestep_batch.engine.tasks import Extend, Repaint
from acestep_batch.engine.v1.limits import trims
from acestep_batch.engine.v1.solvers import Velocity


@dataclass(frozen=True, slots=True)
class Canvas:
    """A song of which a part is to be painted."""

    data: Tensor
    """What is there; zeros where nothing is."""
    noise: Tensor
    """What the parts begin from."""
    painted: Tensor
    """[F], True where the song is to be painted."""


def turned(noise: Tensor, other: Tensor, variance: float) -> Tensor:
    """``noise`` turned towards ``other`` by ``variance`` (0..1) of a right angle, so that its power stays as it is."""
    angle = variance * math.pi / 2
    return math.cos(angle) * noise + math.sin(angle) * other


def repaint_canvas(task: Repaint, source: Tensor, noise: Tensor, other: Tensor) -> Canvas:
    """Noise turned towards ``other`` within the frames to be painted; all arguments have the source's frames."""
    frame = torch.arange(source.shape[-1], device=source.device)
    painted = (frame >= task.start_frame) & (frame < task.end_frame)
    return Canvas(source, torch.where(painted, turned(noise, other, task.retake_variance), noise), painted)


def extend_canvas(task: Extend, source: Tensor, noise: Tensor, other: Tensor) -> Canvas:
    """The source, as much of it as ``trims`` leaves, between new frames that begin from ``other``.

    ``noise`` has the source's frames, ``other`` at least as many as each of the new parts.
    """
    left, right = task.left_frames, task.right_frames
    data = F.pad(_middle(source, *trims(task)), (left, right))
    noise = torch.cat((other[..., :left], _middle(noise, *trims(task)), other[..., other.shape[-1] - right :]), dim=-1)
    frame = torch.arange(data.shape[-1], device=source.device)
    return Canvas(data, noise, (frame < left) | (frame >= data.shape[-1] - right))


def whole(task: Extend, source: Tensor, extended: Tensor) -> Tensor:
    """``extended`` with the ends of the source that ``trims`` held back."""
    left, right = trims(task)
    return torch.cat((source[..., :left], extended, source[..., source.shape[-1] - right :]), dim=-1)


def _middle(x: Tensor, left: int, right: int) -> Tensor:
    return x[..., left : x.shape[-1] - right]


def paint(velocity: Velocity, data: Tensor, noise: Tensor, painted: Tensor, sigmas: Tensor, first_call: int) -> Tensor:
    """Euler's method from call ``first_call`` on; after every step what is not ``painted`` [B, 1, 1, F] is put back.

    ``data`` and ``noise`` are [B, 8, 16, F]; put back at each level of noise, at the last exactly as it was.
    """

    def at(sigma: float) -> Tensor:
        return (1 - sigma) * data + sigma * noise

    levels = sigmas.tolist()
    x = at(levels[first_call])
    for call, (sigma, sigma_next) in enumerate(pairwise(levels[first_call:]), first_call):
        x = torch.where(painted, x + (sigma_next - sigma) * velocity(x, call), at(sigma_next))
    return x
