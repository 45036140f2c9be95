"""The random draws of one song, which depend on its seed and length alone: never on batch, order or device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def song_noise(
    seed: int,
    shape: tuple[int, ...],
    device: str = "cpu",
    first_dtype: torch.dtype = torch.float32,
    later_dtype: torch.dtype = torch.float32,
) -> Iterator[Tensor]:
    """Yield the standard normal draws of one song without end, float32 tensors of ``shape`` on ``device``.

    The first is the initial noise; what a solver adds continues the same generator. The defaults make a song the same
    on every machine. Drawing on the compute device, the first draw (of an edit, every draw) in the compute dtype,
    instead repeats what the reference implementation (ace-step/ACE-Step at d612523, one song per batch) draws there.
    """
    generator = torch.Generator(device).manual_seed(seed)
    yield torch.randn(shape, generator=generator, device=device, dtype=first_dtype).float()
    while True:
        yield torch.randn(shape, generator=generator, device=device, dtype=later_dtype).float()
