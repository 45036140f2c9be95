"""The v1 engine: text, then latents, then audio, for a batch of songs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from acestep_batch.engine.base import RenderedSong, SongRequest, StepCallback
from acestep_batch.engine.v1.autoencoder import MusicDecoder
from acestep_batch.engine.v1.conditioning import Conditioner, LyricTokenizer
from acestep_batch.engine.v1.limits import crash_reason
from acestep_batch.engine.v1.sampling import branches, denoise, model_calls, sampling_key
from acestep_batch.engine.v1.text import TextEncoder
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel


class V1Engine:
    """Renders songs with loaded ACE-Step v1 components (``acestep_batch.engine.base.Engine``)."""

    def __init__(
        self,
        transformer: ACEStepTransformer2DModel,
        text_encoder: TextEncoder,
        lyric_tokenizer: LyricTokenizer,
        decoder: MusicDecoder,
        label: str,
        compile_transformer: bool = False,
        files: Sequence[dict[str, Any]] = (),
    ) -> None:
        """Take components that are on one device, in one dtype, in evaluation mode.

        ``files`` describes where the weights came from, for the record.
        """
        self.label = label
        self._transformer = transformer
        self._decoder = decoder
        self._conditioner = Conditioner(transformer, text_encoder, lyric_tokenizer)
        self._compiled = compile_transformer
        self._files = list(files)
        if compile_transformer:
            # The blocks share one compilation, for any length: the first song waits seconds, not minutes.
            transformer.compile_repeated_blocks(dynamic=True)

    def micro_batch_key(self, request: SongRequest) -> tuple[Any, ...]:
        """Requests with equal keys may be rendered in one call."""
        return sampling_key(request)

    @torch.inference_mode()
    def render(
        self, requests: Sequence[SongRequest], sample_rate: int, on_step: StepCallback | None = None
    ) -> list[RenderedSong]:
        """Render requests that share a micro-batch key, in the order given; ``sample_rate`` in Hz.

        Raises ValueError for requests that do not share a key or that no result is defined for.
        """
        for request in requests:
            if reason := crash_reason(request):
                raise ValueError(reason)
        if len({self.micro_batch_key(request) for request in requests}) != 1:
            raise ValueError(f"{len(requests)} requests do not share one micro-batch key")

        seconds: dict[str, float] = {}
        with self._timed("text", seconds):
            conditioning = self._conditioner.conditioning(requests, branches(requests[0]))
        with self._timed("diffusion", seconds):
            latents = denoise(self._transformer, conditioning, requests, on_step)
        with self._timed("decode", seconds):
            audio = self._decoder.decode(latents, sample_rate)

        return [
            RenderedSong(
                audio=samples,
                sample_rate=sample_rate,
                frames=latents.shape[-1],
                model_calls=model_calls(request),
                stage_seconds=seconds,
            )
            for request, samples in zip(requests, audio, strict=True)
        ]

    def describe(self) -> dict[str, Any]:
        """Device, dtype, whether the transformer is compiled, and the component files."""
        return {
            "device": str(self._transformer.device),
            "dtype": str(self._transformer.dtype).removeprefix("torch."),
            "compiled": self._compiled,
            "files": self._files,
        }

    def peak_memory_bytes(self) -> int | None:
        """Peak CUDA memory since the last call; None on devices that do not count it."""
        device = self._transformer.device
        if device.type != "cuda":
            return None
        peak = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        return peak

    @contextmanager
    def _timed(self, stage: str, seconds: dict[str, float]) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self._transformer.device.type != "cpu":
            torch.accelerator.synchronize(self._transformer.device)
        seconds[stage] = time.perf_counter() - start
