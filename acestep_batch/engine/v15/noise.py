"""The random draws of a batch of 1.5 songs: each song has its own stream, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from acestep_batch.engine.random import song_noise


def batch_noise(seeds: Sequence[int], frames: int, channels: int, device: torch.device) -> Iterator[Tensor]:
    """Standard normal draws of all songs side by side, [B, F, C] float32 on ``device``, without end.

    The first is the initial noise, the same as the reference implementation's on a CPU; what ``sde`` adds continues
    each song's stream, where the reference draws from one that all songs share. All are drawn on the CPU, so that a
    seed is the same song everywhere.
    """
    streams = [song_noise(seed, (frames, channels)) for seed in seeds]
    return (torch.stack(draws).to(device) for draws in zip(*streams, strict=True))
