"""The v1 engine: text, then latents, then audio, for a batch of songs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from acestep_batch.engine.base import (
    ENGINE_VERSION,
    Decoding,
    DenoisedSong,
    RenderedSong,
    SongRequest,
    StepCallback,
)
from acestep_batch.engine.made_on import made_on
from acestep_batch.engine.tasks import Adapter
from acestep_batch.engine.v1.adapters import Adapters
from acestep_batch.engine.v1.autoencoder import MusicDecoder
from acestep_batch.engine.v1.batching import branches, model_calls, sampling_key
from acestep_batch.engine.v1.conditioning import Conditioner, LyricTokenizer
from acestep_batch.engine.v1.music_encoder import MusicEncoder
from acestep_batch.engine.v1.refusals import crash_reason
from acestep_batch.engine.v1.sampling import denoise
from acestep_batch.engine.v1.sources import Sources, have_audio
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
        revision: str | None = None,
        commit: str | None = None,
        lyric_libraries: Mapping[str, str] | None = None,
        strict: bool = False,
        load_encoder: Callable[[], MusicEncoder] | None = None,
    ) -> None:
        """Take components that are on one device, in one dtype, in evaluation mode.

        ``files``, ``revision`` and ``commit`` say where the weights came from, ``lyric_libraries`` which versions made
        the lyrics' tokens: for the record. ``strict`` keeps to kernels that give the same bits every time.
        ``load_encoder`` is called when the first source comes as audio; without it, sources are latents.
        """
        self.label = label
        self._transformer = transformer
        self._decoder = decoder
        self._sources = Sources(load_encoder)
        self._text_encoder = text_encoder
        self._conditioner = Conditioner(transformer, text_encoder, lyric_tokenizer)
        self._adapters = Adapters(transformer)
        self._device, self._dtype = transformer.device, transformer.dtype
        self._offloading = False
        self._compiled = compile_transformer
        self._source: dict[str, Any] = {"revision": revision, "commit": commit, "files": list(files)}
        self._source["lyric_libraries"] = dict(lyric_libraries or {})
        self._made_on = made_on(self._device, self.threads)
        self.strict = strict
        on_cuda = transformer.device.type == "cuda"
        # Two threads on one CPU only share its cores, and cuBLAS repeats its bits on one stream alone.
        self.decodes_beside_denoising = on_cuda and not strict
        self._decode_stream = torch.cuda.Stream(transformer.device) if self.decodes_beside_denoising else None
        if compile_transformer:
            # The blocks share one compilation, for any length: the first song waits seconds, not minutes.
            transformer.compile_repeated_blocks(dynamic=True)

    def render(
        self, requests: Sequence[SongRequest], sample_rate: int, on_step: StepCallback | None = None
    ) -> list[RenderedSong]:
        """Denoise and decode; arguments and errors as there."""
        return self.decode(self.denoise(requests, on_step), sample_rate)

    @torch.inference_mode()
    def denoise(self, requests: Sequence[SongRequest], on_step: StepCallback | None = None) -> list[DenoisedSong]:
        """Latents [8, 16, F] of requests that share a ``sampling_key``, in the order given.

        Raises ValueError for requests that do not share it or that no result is defined for, and for a source that is
        not there yet.
        """
        for request in requests:
            if reason := crash_reason(request):
                raise ValueError(reason)
        if len({sampling_key(request) for request in requests}) != 1:
            raise ValueError(f"{len(requests)} requests do not share one micro-batch key")
        seconds: dict[str, float] = {}
        self._adapt(requests[0].adapters)
        sources = self._latents_of_sources(requests, seconds)
        with self._kernels(), self._timed("text", seconds), self._at_work(self._text_encoder):
            self._conditioner.encode_prompts(requests, branches(requests[0]))
        with self._kernels(), self._at_work(self._transformer):
            with self._timed("conditioning", seconds):
                conditioning = self._conditioner.conditioning(requests, branches(requests[0]))
            with self._timed("diffusion", seconds):
                latents = denoise(self._transformer, conditioning, requests, on_step, sources).cpu().numpy()
        seconds["text"] += seconds.pop("conditioning")
        return [
            DenoisedSong(own, model_calls(request), seconds) for request, own in zip(requests, latents, strict=True)
        ]

    def _adapt(self, adapters: tuple[Adapter, ...]) -> None:
        """What the transformer encoded with other adapters is forgotten, also where loading fails half way."""
        forget = True
        try:
            forget = self._adapters.use(adapters)
        finally:
            if forget:
                self._conditioner.forget()

    def _latents_of_sources(self, requests: Sequence[SongRequest], seconds: dict[str, float]) -> list[Tensor | None]:
        if not have_audio(requests):
            return self._sources.latents(requests, self._transformer.dtype)
        with self._kernels(), self._timed("source", seconds), self._at_work(self._sources):
            return self._sources.latents(requests, self._transformer.dtype)

    @torch.inference_mode()
    def decode(
        self, songs: Sequence[DenoisedSong], sample_rate: int, decoding: Decoding = Decoding.PLAIN
    ) -> list[RenderedSong]:
        """Audio of songs of one length, in the order given; ``sample_rate`` in Hz."""
        seconds: dict[str, float] = {}
        with self._kernels(), self._stream(), self._timed("decode", seconds), self._at_work(self._decoder):
            latents = torch.from_numpy(np.stack([song.latents for song in songs])).to(self._device)
            if decoding is Decoding.OVERLAPPED:
                audio = self._decoder.decode_overlapped(latents, sample_rate)
            else:
                audio = self._decoder.decode(latents, sample_rate, small_windows=decoding is Decoding.SMALL_WINDOWS)
        return [
            RenderedSong(
                audio=samples,
                sample_rate=sample_rate,
                frames=song.latents.shape[-1],
                model_calls=song.model_calls,
                stage_seconds={**song.stage_seconds, **seconds},
                notes=song.notes,
            )
            for song, samples in zip(songs, audio, strict=True)
        ]

    def describe(self) -> dict[str, Any]:
        """Device, dtype, whether the transformer is compiled, what else decides the bits, and the weights' source."""
        return {
            "engine_version": ENGINE_VERSION,
            "device": str(self._device),
            "dtype": str(self._dtype).removeprefix("torch."),
            "compiled": self._compiled,
            "strict": self.strict,
            "made_on": dict(self._made_on),
            **self._source,
        }

    @property
    def threads(self) -> int:
        """CPU threads that share the work of a layer."""
        return torch.get_num_threads()

    def peak_memory_bytes(self) -> int | None:
        """Peak CUDA memory since the last call; None on devices that do not count it."""
        if self._device.type != "cuda":
            return None
        peak = torch.cuda.max_memory_allocated(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        return peak

    @contextmanager
    def offloaded(self) -> Iterator[None]:
        """Within it, only the component at work lies on the device, the others in host memory."""
        self._offloading = True
        try:
            self._move("cpu")
            yield
        finally:
            self._offloading = False
            self._move(self._device)

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Within it, everything is computed in float32; afterwards in the engine's own type again.

        Weights of another type come back as they were: float32 holds every value of theirs.
        """
        self._conditioner.forget()
        try:
            self._move(torch.float32)
            yield
        finally:
            self._move(self._dtype)
            self._conditioner.forget()

    def _move(self, to: torch.device | torch.dtype | str) -> None:
        components: tuple[Any, ...] = (self._text_encoder, self._decoder, self._sources)
        for component in components:
            component.to(to)
        nn.Module.to(self._transformer, to)  # diffusers' own prints a line whenever the type changes
        self._return_memory()

    @contextmanager
    def _at_work(self, component: Any) -> Iterator[None]:
        """Text encoder, transformer or decoder on the device, if only for a while."""
        if not self._offloading:
            yield
            return
        component.to(self._device)
        try:
            yield
        finally:
            component.to("cpu")
            self._return_memory()

    def _return_memory(self) -> None:
        """Give what the allocator keeps back to the device."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        elif self._device.type == "mps":
            torch.mps.empty_cache()

    def _kernels(self) -> AbstractContextManager[None]:
        """Of cuDNN's convolutions, where it matters, only those that repeat their bits."""
        if not self.strict or self._device.type != "cuda":
            return nullcontext()
        return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)

    @contextmanager
    def _stream(self) -> Iterator[None]:
        """On CUDA a stream of its own, so that decoding does not queue behind another thread's denoising."""
        if self._decode_stream is None:
            yield
        else:
            with torch.cuda.stream(self._decode_stream):
                yield

    @contextmanager
    def _timed(self, stage: str, seconds: dict[str, float]) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()
        elif self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)
        seconds[stage] = time.perf_counter() - start
