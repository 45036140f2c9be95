"""A real engine of thirty lines: each song is a sine wave whose pitch is its seed; some prompts go wrong on purpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from acestep_batch.engine.base import RenderedSong


class SineEngine:
    """Renders sines. ``explode`` in a prompt raises, ``silence`` and ``nan`` make audio that is no song."""

    label = "sine"

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def micro_batch_key(self, request) -> tuple[Any, ...]:
        return (request.audio_duration, request.infer_step)

    def render(self, requests, sample_rate, on_step=None) -> list[RenderedSong]:
        self.batches.append([request.seed for request in requests])
        if any("explode" in request.prompt for request in requests):
            raise RuntimeError("the prompt\nexploded")
        if any("interrupt" in request.prompt for request in requests):
            raise KeyboardInterrupt
        for step in range(requests[0].infer_step):
            if on_step is not None:
                on_step(step + 1, requests[0].infer_step)
        return [self._song(request, sample_rate) for request in requests]

    def _song(self, request, sample_rate: int) -> RenderedSong:
        time_s = np.arange(int(request.audio_duration * sample_rate), dtype=np.float32) / sample_rate
        wave = 0.5 * np.sin(2 * np.pi * (200 + request.seed % 800) * time_s)
        level = 0.0 if "silence" in request.prompt else np.nan if "nan" in request.prompt else 1.0
        audio = np.stack([wave, wave]).astype(np.float32) * np.float32(level)
        return RenderedSong(audio, sample_rate, 1, request.infer_step, {"text": 0.0, "diffusion": 0.0, "decode": 0.0})

    def describe(self) -> dict[str, Any]:
        return {"device": "cpu", "dtype": "float32", "compiled": False, "files": []}

    def peak_memory_bytes(self) -> int | None:
        return None
