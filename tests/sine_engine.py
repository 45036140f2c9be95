"""A real engine of fifty lines: each song is a sine wave whose pitch is its seed; some prompts go wrong on purpose."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np

from acestep_batch.engine.base import Decoding, DenoisedSong, RenderedSong


class SineEngine:
    """Renders sines. ``explode`` in a prompt raises, ``silence`` and ``nan`` make audio that is no song.

    The latents of a song are its seed, its seconds and its level.
    """

    label = "sine"
    decodes_beside_denoising = False

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def denoise(self, requests, on_step=None) -> list[DenoisedSong]:
        self.batches.append([request.seed for request in requests])
        if any("explode" in request.prompt for request in requests):
            raise RuntimeError("the prompt\nexploded")
        if any("interrupt" in request.prompt for request in requests):
            raise KeyboardInterrupt
        steps = requests[0].infer_step
        for step in range(steps):
            if on_step is not None:
                on_step(step + 1, steps)
        return [DenoisedSong(self._latents(request), steps, {"text": 0.0, "diffusion": 0.0}) for request in requests]

    def _latents(self, request) -> np.ndarray:
        level = 0.0 if "silence" in request.prompt else np.nan if "nan" in request.prompt else 1.0
        return np.array([request.seed % 800, request.audio_duration, level])

    def decode(self, songs, sample_rate: int, decoding=Decoding.PLAIN) -> list[RenderedSong]:
        return [self._song(song, sample_rate) for song in songs]

    def _song(self, song: DenoisedSong, sample_rate: int) -> RenderedSong:
        pitch, duration_s, level = song.latents
        time_s = np.arange(int(duration_s * sample_rate), dtype=np.float32) / sample_rate
        wave = np.sin(2 * np.pi * (200 + pitch) * time_s) * 0.5 * level
        audio = np.stack([wave, wave]).astype(np.float32)
        return RenderedSong(audio, sample_rate, 1, song.model_calls, {**song.stage_seconds, "decode": 0.0})

    def offloaded(self):
        return nullcontext()

    def in_float32(self):
        return nullcontext()

    def describe(self) -> dict[str, Any]:
        return {"device": "cpu", "dtype": "float32", "compiled": False, "files": []}

    def peak_memory_bytes(self) -> int | None:
        return None
