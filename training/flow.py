"""What the transformer is taught: flow matching from noise to latents, in the convention of v1's schedules and solvers.

At noise level sigma a song is ``(1 - sigma) * data + sigma * noise``; its velocity is ``noise - data``, and the
timestep that the model is told 1000 times sigma. Pure functions; no model.
"""

from __future__ import annotations

import torch
from torch import Tensor

from acestep_batch.engine.v1.schedules import SHIFT


def noise_levels(count: int, generator: torch.Generator, mean: float = 0.0) -> Tensor:
    """``count`` levels in (0, 1): logit-normal (Esser et al., 2024) around ``mean``, shifted as v1's schedules are."""
    sigmas = (torch.randn(count, generator=generator) + mean).sigmoid()
    return SHIFT * sigmas / (1 + (SHIFT - 1) * sigmas)


def at_level(data: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """Songs ``[B, 8, 16, F]`` at the levels ``[B]``."""
    level = sigmas[:, None, None, None]
    return (1 - level) * data + level * noise


def velocity(data: Tensor, noise: Tensor) -> Tensor:
    """What the model predicts, at any level."""
    return noise - data


def component_weights(variances: Tensor, power: float) -> Tensor:
    """Weights ``[8, 16]`` of a latent frame's numbers in the loss, 1 on average: their share of the log-mel to
    ``power``. 0 treats all alike, 1 counts errors as log-mel does."""
    weights: Tensor = variances.double().pow(power)
    return (weights / weights.mean()).float().view(8, 16)


def onset_weights(data: Tensor, strength: float) -> Tensor:
    """Weights ``[B, 1, 1, F]`` of frames in the loss, 1 on average: more where the latents change more than usual."""
    change = data.diff(dim=-1).square().mean(dim=(1, 2), keepdim=True).sqrt()
    change = torch.cat((change[..., :1], change), dim=-1)
    weights = 1 + strength * change / change.mean(-1, keepdim=True).clamp(min=1e-6)
    return weights / weights.mean(-1, keepdim=True)
