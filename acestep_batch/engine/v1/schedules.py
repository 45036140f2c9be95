"""Noise schedules for flow matching as tables; no model, no random draws.

A table lists the noise level sigma before every model call, then the level after the last: [calls + 1], float32, from
1 (noise) down to 0 (data). The matching timestep of a call is 1000 times its sigma.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.tasks import AudioToAudio, Edit
from acestep_batch.engine.v1.limits import solver_steps

TRAIN_TIMESTEPS = 1000
SHIFT = 3.0


def schedule(request: SongRequest) -> Tensor:
    """The table of a request, whole: where a task begins in it says ``limits.first_call``."""
    if isinstance(request.task, Edit):
        return uniform_steps(request.infer_step)
    if isinstance(request.task, AudioToAudio):
        table = uniform_steps(solver_steps(request), 1 - request.task.ref_audio_strength)
    elif request.oss_steps:
        return chosen_steps(request.oss_steps)
    else:
        table = uniform_steps(request.infer_step)
    return for_heun(table) if request.scheduler_type == "heun" else table


def uniform_steps(steps: int, sigma_max: float = 1.0) -> Tensor:
    """``steps`` levels from the shifted ``sigma_max`` (0..1) down, even before the second shift.

    The reference implementation (ace-step/ACE-Step at d612523) shifts twice, once for the ends and once for the levels
    between them; the models are used with just that. Of a single step only the upper end remains.
    """
    high, low = (end * TRAIN_TIMESTEPS for end in _ends(sigma_max))
    return _table(_shift(np.linspace(high, low, steps) / TRAIN_TIMESTEPS))


def chosen_steps(oss_steps: Sequence[int]) -> Tensor:
    """The levels of ``oss_steps`` (counted from 1) out of as many uniform steps as the largest entry.

    The reference implementation shifts the chosen levels a third time.
    """
    timesteps = (uniform_steps(max(oss_steps)) * TRAIN_TIMESTEPS).numpy()
    chosen = timesteps[[step - 1 for step in oss_steps]]
    return _table(_shift(chosen / np.float32(TRAIN_TIMESTEPS)))


def for_heun(table: Tensor) -> Tensor:
    """Repeat the inner levels: [n + 1] to [2n], for a predictor and a corrector at each step but the last.

    Of no step nothing is repeated: [1] to [1].
    """
    if len(table) == 1:
        return table
    return torch.cat((table[:1], table[1:-1].repeat_interleave(2), table[-1:]))


def timesteps(table: Tensor) -> Tensor:
    """The timestep 0..1000 of every model call, [calls]."""
    return table[:-1] * TRAIN_TIMESTEPS


def mixing_level(sigma_max: float) -> float:
    """How much noise ``AudioToAudio`` mixes into its source, 0..1: ``sigma_max``, shifted once.

    The reference implementation shifts the level of the first call twice, so the mixture has less noise than the model
    is told: with strength 0.5, 0.75 of it at a level of 0.9.
    """
    return _ends(sigma_max)[0]


def _ends(sigma_max: float) -> tuple[float, float]:
    """The highest and the lowest level, shifted once, in float32."""
    ends = _shift(np.array([sigma_max * TRAIN_TIMESTEPS, 1.0], dtype=np.float32) / np.float32(TRAIN_TIMESTEPS))
    return float(ends[0]), float(ends[1])


def _shift(sigmas: np.ndarray) -> np.ndarray:
    return SHIFT * sigmas / (1 + (SHIFT - 1) * sigmas)


def _table(sigmas: np.ndarray) -> Tensor:
    return torch.from_numpy(np.append(sigmas.astype(np.float32), np.float32(0)))
