"""The 1.5 engine: texts and sources, then latents, then audio, for a batch of songs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from acestep_batch.engine.base import ENGINE_VERSION, Decoding, DenoisedSong, RenderedSong, StepCallback
from acestep_batch.engine.made_on import made_on
from acestep_batch.engine.v1.resample import resample
from acestep_batch.engine.v15.adapters import Adapters
from acestep_batch.engine.v15.autoencoder import decode
from acestep_batch.engine.v15.batching import model_calls, sampling_key
from acestep_batch.engine.v15.components import Components
from acestep_batch.engine.v15.conditioning import Condition, Conditioner, Texts
from acestep_batch.engine.v15.diffusion import denoise
from acestep_batch.engine.v15.limits import errors, notes
from acestep_batch.engine.v15.request import SAMPLE_RATE, V15Request, Waveform


@dataclass(frozen=True, slots=True)
class _Song:
    """A request on its way: where it stood, and what the transformer is shown."""

    place: int
    request: V15Request
    views: tuple[Condition, Condition]


class V15Engine:
    """Renders songs with loaded ACE-Step 1.5 components; the Engine protocol, for ``V15Request``."""

    decodes_beside_denoising = False

    def __init__(
        self,
        components: Components,
        label: str,
        compile_transformer: bool = False,
        files: Sequence[dict[str, Any]] = (),
        revision: str | None = None,
        commit: str | None = None,
        strict: bool = False,
    ) -> None:
        """Take components that are on one device, in evaluation mode.

        ``files``, ``revision`` and ``commit`` say where the weights came from, for the record. ``strict`` keeps to
        kernels that give the same bits every time.
        """
        self.label = label
        self.variant = components.variant
        self.strict = strict
        self._parts = components
        self._conditioner = Conditioner(components)
        self._adapters = Adapters(components.transformer)
        self._device = components.transformer.device
        self._dtypes = [(part, _dtype_of(part)) for part in components.modules()]
        self._offloading = False
        self._compiled = compile_transformer
        self._source: dict[str, Any] = {"revision": revision, "commit": commit, "files": list(files)}
        self._made_on = made_on(self._device, self.threads)
        if compile_transformer:
            for layer in components.transformer.layers:  # they share one compilation, for any length
                layer.compile(dynamic=True)

    def render(
        self, requests: Sequence[V15Request], sample_rate: int, on_step: StepCallback | None = None
    ) -> list[RenderedSong]:
        """Denoise and decode; arguments and errors as there."""
        return self.decode(self.denoise(requests, on_step), sample_rate)

    @torch.inference_mode()
    def denoise(self, requests: Sequence[V15Request], on_step: StepCallback | None = None) -> list[DenoisedSong]:
        """Latents [C, F] of requests that share a ``sampling_key``, in the order given.

        Songs that attend to different numbers of vectors go one group after the other. Raises ValueError for requests
        that do not share the key or that cannot be rendered as asked, and Refused for a LoRA that does not fit.
        """
        for request in requests:
            if wrong := errors(request, self.variant):
                raise ValueError("; ".join(wrong))
        if len({sampling_key(request, self.variant) for request in requests}) != 1:
            raise ValueError(f"{len(requests)} requests do not share one micro-batch key")
        seconds: dict[str, float] = {}
        self._adapters.use(requests[0].adapters)
        with self._kernels():
            with self._timed("text", seconds):
                songs = self._encoded(requests)
            with self._timed("diffusion", seconds), self._at_work(self._parts.transformer):
                latents = self._latents(songs, on_step)
        return [
            DenoisedSong(
                latents[place].T.contiguous().cpu().numpy(),
                model_calls(request, self.variant),
                seconds,
                (*notes(request, self.variant), *self._conditioner.unread(request)),
            )
            for place, request in enumerate(requests)
        ]

    def _encoded(self, requests: Sequence[V15Request]) -> list[_Song]:
        """All that the transformer is shown, component by component, so that each has to come to work once."""
        parts = self._parts
        with self._at_work(parts.text_encoder.model):
            texts: list[Texts] = [self._conditioner.texts(request) for request in requests]
        with self._at_work(parts.vae) if any(_sounds(each) for each in requests) else nullcontext():
            heard = [self._conditioner.heard(request) for request in requests]
        with self._at_work(parts.condition_encoder, parts.audio_tokenizer, parts.detokenizer):
            return [
                _Song(place, request, self._conditioner.conditions(request, own, *sources))
                for place, (request, own, sources) in enumerate(zip(requests, texts, heard, strict=True))
            ]

    def _latents(self, songs: Sequence[_Song], on_step: StepCallback | None) -> dict[int, Tensor]:
        """Latents [F, C] by place."""
        groups: dict[tuple[int, ...], list[_Song]] = defaultdict(list)
        for song in songs:
            groups[tuple(view.states.shape[1] for view in song.views)].append(song)
        latents: dict[int, Tensor] = {}
        for done, group in enumerate(groups.values()):
            denoised = denoise(
                self._parts.transformer,
                self.variant,
                [song.views for song in group],
                self._parts.condition_encoder.null_condition_emb.to(self._device),
                [song.request for song in group],
                None if on_step is None else _counted(on_step, done, len(groups)),
            )
            latents |= {song.place: own for song, own in zip(group, denoised, strict=True)}
        return latents

    @torch.inference_mode()
    def decode(
        self, songs: Sequence[DenoisedSong], sample_rate: int, decoding: Decoding = Decoding.PLAIN
    ) -> list[RenderedSong]:
        """Audio of songs, one by one, in the order given; 48,000 Hz is native, any other rate in Hz is resampled."""
        seconds: dict[str, float] = {}
        audio = []
        with self._kernels(), self._timed("decode", seconds), self._at_work(self._parts.vae):
            for song in songs:
                samples = decode(self._parts.vae, torch.from_numpy(song.latents), decoding)
                audio.append(resample(samples, SAMPLE_RATE, sample_rate).cpu().numpy())
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
        """Device, types, variant, whether the transformer is compiled, what else decides the bits, and the source."""
        parts = self._parts
        return {
            "engine_version": ENGINE_VERSION,
            "variant": str(self.variant),
            "device": str(self._device),
            "dtype": _dtype_name(parts.transformer),
            "text_encoder_dtype": _dtype_name(parts.text_encoder.model),
            "vae_dtype": _dtype_name(parts.vae),
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
            self._parts.to("cpu")
            self._return_memory()
            yield
        finally:
            self._offloading = False
            self._parts.to(self._device)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._device

    @contextmanager
    def parked(self) -> Iterator[None]:
        """Within it, all components lie in host memory and leave the device to others; nothing can be rendered."""
        try:
            self._parts.to("cpu")
            self._return_memory()
            yield
        finally:
            if not self._offloading:
                self._parts.to(self._device)

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Within it, everything is computed in float32; afterwards in each component's own type again.

        Weights of another type come back as they were: float32 holds every value of theirs.
        """
        try:
            for part, _ in self._dtypes:
                _cast(part, torch.float32)
            yield
        finally:
            for part, dtype in self._dtypes:
                _cast(part, dtype)
            self._return_memory()

    @contextmanager
    def _at_work(self, *parts: nn.Module | None) -> Iterator[None]:
        """Components on the device, if only for a while."""
        if not self._offloading:
            yield
            return
        present = [part for part in parts if part is not None]
        try:
            for part in present:
                nn.Module.to(part, self._device)
            yield
        finally:
            for part in present:
                nn.Module.to(part, "cpu")
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
    def _timed(self, stage: str, seconds: dict[str, float]) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)
        seconds[stage] = time.perf_counter() - start


def _sounds(request: V15Request) -> bool:
    """Whether something has to be encoded."""
    return isinstance(request.src_audio, Waveform) or request.reference_audio is not None


def _counted(on_step: StepCallback, groups_done: int, groups: int) -> StepCallback:
    """Steps of one group as steps of all groups."""
    return lambda done, steps: on_step(groups_done * steps + done, groups * steps)


def _dtype_of(part: nn.Module) -> torch.dtype:
    return next(part.parameters()).dtype


def _dtype_name(part: nn.Module) -> str:
    return str(_dtype_of(part)).removeprefix("torch.")


def _cast(part: nn.Module, dtype: torch.dtype) -> None:
    """Parameters and saved buffers; what is computed from the sizes stays in float32."""
    for value in part.state_dict(keep_vars=True).values():
        if value.is_floating_point():
            value.data = value.data.to(dtype)
