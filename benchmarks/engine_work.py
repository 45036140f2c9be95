"""Seconds and floating-point operations, taken and counted, for the engine's benchmark."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import NamedTuple, TypeVar, cast

import torch
from torch import nn

from acestep_batch.engine.v1.transformer import TIME_WIDTH, ACEStepTransformer2DModel

Result = TypeVar("Result")

PRODUCT_SIZE_CPU, PRODUCT_SIZE_GPU = 2048, 8192


class Seconds(NamedTuple):
    """What one piece of work took."""

    wall: float
    cpu: float
    """Processor seconds of all threads, which other work on the machine changes less than the wall."""


def timed(work: Callable[[], Result], device: str) -> tuple[Result, Seconds]:
    """Do ``work`` once, the device synchronised before and after."""
    synchronise(device)
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    synchronise(device)
    return result, Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def fastest(works: Iterable[Callable[[], object]], runs: int, device: str) -> list[Seconds]:
    """The least wall and processor seconds of each work, taken in turns, so that all see the same machine.

    A run of each that does not count comes first.
    """
    works = list(works)
    taken = [[timed(work, device)[1] for work in works] for _ in range(runs + 1)][1:]
    return [Seconds(min(s.wall for s in column), min(s.cpu for s in column)) for column in zip(*taken, strict=True)]


def synchronise(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device != "cpu":
        torch.accelerator.synchronize(device)


def large_product(device: str, dtype: torch.dtype) -> tuple[Callable[[], object], int]:
    """A square matrix product that shows what the device can do at best, and its floating-point operations."""
    size = PRODUCT_SIZE_CPU if device == "cpu" else PRODUCT_SIZE_GPU
    a, b = (torch.ones(size, size, device=device, dtype=dtype) for _ in range(2))
    return lambda: torch.mm(a, b), 2 * size**3


def call_flops(transformer: ACEStepTransformer2DModel, batch: int, frames: int, tokens: int) -> int:
    """Floating-point operations of the matrix products and convolutions of one call, conditioning given.

    A multiplication and an addition count as two; ``tokens`` is the number of vectors attended to.
    """
    config = SimpleNamespace(**transformer.config)
    width, head_width = config.inner_dim, config.attention_head_dim
    pixels = config.patch_size[0] * config.in_channels
    patch_hidden = cast(nn.Conv2d, transformer.proj_in.early_conv_layers[0]).out_channels
    hidden = int(width * config.mlp_ratio)

    attention = 4 * width * width + 2 * width * head_width + width  # projections, state and its use, weight
    cross_attention = 2 * width * width + 2 * tokens * width
    feed_forward = width * 2 * hidden + 3 * 2 * hidden + hidden * width
    per_frame: int = config.num_layers * (attention + cross_attention + feed_forward)
    per_frame += pixels * patch_hidden + patch_hidden * width + width * config.patch_size[0] * config.out_channels
    per_call = TIME_WIDTH * width + width * width + 6 * width * width
    total: int = 2 * (batch * frames * per_frame + per_call)
    return total
