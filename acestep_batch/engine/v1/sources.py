"""The songs that tasks start from, as latents; what encodes audio is loaded when the first one comes as audio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.tasks import AudioSource, LatentSource, Source, SourceTask
from acestep_batch.engine.v1.music_encoder import MusicEncoder


class Sources:
    """Encodes sources, each by itself, so that no latent depends on the songs beside it."""

    def __init__(self, load_encoder: Callable[[], MusicEncoder] | None) -> None:
        """Without ``load_encoder``, sources must be latents."""
        self._load_encoder = load_encoder
        self.encoder: MusicEncoder | None = None
        """None until audio has been encoded."""

    def to(self, target: str | torch.device | torch.dtype) -> Self:
        """Move the encoder to a device, or cast it, if it is loaded."""
        if self.encoder is not None:
            self.encoder.to(target)
        return self

    def latents(self, requests: Sequence[SongRequest], dtype: torch.dtype) -> list[Tensor | None]:
        """The latents [8, 16, F] of every request's source, None where it has none; an encoder is loaded in ``dtype``.

        Raises ValueError for a source that is not made yet, and for audio where nothing encodes it.
        """
        encoded: dict[int, Tensor] = {}
        for source in _sources(requests):
            if isinstance(source, AudioSource) and id(source) not in encoded:
                samples = torch.from_numpy(np.asarray(source.samples, dtype=np.float32))[None]
                encoded[id(source)] = self._ready(dtype).encode(samples, source.sample_rate)[0]
        return [encoded[id(source)] if id(source) in encoded else _given(source) for source in _sources(requests)]

    def _ready(self, dtype: torch.dtype) -> MusicEncoder:
        if self.encoder is None:
            if self._load_encoder is None:
                raise ValueError("this engine was loaded without what encodes audio; give the source as latents")
            with torch.inference_mode(False):  # weights made within it cannot be moved and cast later
                self.encoder = self._load_encoder().to(dtype)
        return self.encoder


def have_audio(requests: Sequence[SongRequest]) -> bool:
    """Whether a source has to be encoded."""
    return any(isinstance(source, AudioSource) for source in _sources(requests))


def _sources(requests: Sequence[SongRequest]) -> list[Source | None]:
    return [request.task.source if isinstance(request.task, SourceTask) else None for request in requests]


def _given(source: Source | None) -> Tensor | None:
    match source:
        case None:
            return None
        case LatentSource(latents=latents):
            return torch.from_numpy(np.asarray(latents, dtype=np.float32))
        case _:
            raise ValueError("the source of a task is not made yet: only its length is known")
