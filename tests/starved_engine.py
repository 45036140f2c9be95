"""The sine engine on a device with too little memory, by rules that a test sets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

import torch
from sine_engine import SineEngine

from acestep_batch.engine.base import Decoding


class StarvedEngine(SineEngine):
    """Raises torch's out-of-memory error where ``fits`` says no, and counts the songs of every call.

    ``fits`` takes the stage (``denoise`` or ``decode``), the number of songs, whether the components are offloaded, and
    how it is to decode.
    """

    def __init__(self, fits: Callable[[str, int, bool, Decoding], bool]) -> None:
        super().__init__()
        self.fits = fits
        self.is_offloaded = False
        self.precision = "bfloat16"
        self.calls: list[tuple[str, int]] = []

    def _take(self, stage: str, songs: int, decoding: Decoding = Decoding.PLAIN) -> None:
        self.calls.append((stage, songs))
        if not self.fits(stage, songs, self.is_offloaded, decoding):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    def denoise(self, requests, on_step=None):
        self._take("denoise", len(requests))
        return super().denoise(requests, on_step)

    def decode(self, songs, sample_rate, decoding=Decoding.PLAIN):
        self._take("decode", len(songs), decoding)
        return super().decode(songs, sample_rate, decoding)

    @contextmanager
    def offloaded(self):
        self.is_offloaded = True
        yield
        self.is_offloaded = False

    @contextmanager
    def in_float32(self):
        self.precision = "float32"
        yield
        self.precision = "bfloat16"
