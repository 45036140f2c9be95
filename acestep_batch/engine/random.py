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
    first_draws: int = 1,
    like_encoded: bool = False,
) -> Iterator[Tensor]:
    """Yield the standard normal draws of one song without end, float32 tensors of ``shape`` on ``device``.

    The ``first_draws`` are the initial noise (an edit has several); what a solver adds continues the same generator.
    The defaults make a song the same on every machine. Drawing on the compute device, the first draws in the compute
    dtype, instead repeats what the reference implementation (ace-step/ACE-Step at d612523, one song per batch) draws
    there.

    ``like_encoded`` says that the song starts from encoded audio. In the reference its latents then lie in memory
    channels last, and a solver draws into the same layout, which torch fills with other numbers.
    """
    generator = torch.Generator(device).manual_seed(seed)
    for _ in range(first_draws):
        yield torch.randn(shape, generator=generator, device=device, dtype=first_dtype).float()
    while True:
        if like_encoded:
            drawn = torch.empty((1, *shape), device=device, memory_format=torch.channels_last)
            yield drawn.normal_(generator=generator)[0].contiguous()
        else:
            yield torch.randn(shape, generator=generator, device=device)
