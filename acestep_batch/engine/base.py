"""What a run and an engine say to each other: requests, results and the Engine protocol; no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from typing import Any, Protocol

import numpy as np

from acestep_batch.engine.tasks import Adapter, Task

ENGINE_VERSION = 1
"""Counts the changes after which the same request makes another sound."""

StepCallback = Callable[[int, int], None]
"""Called after every denoising step with (steps done, steps in all); may raise to cancel."""


@dataclass(frozen=True, slots=True)
class SongRequest:
    """One song as the engine sees it; every value is resolved and inside its hard range.

    The names, units and meanings are the control guide's. No defaults here: every default has one home, the schema.
    What is no setting of the schema has one that asks for nothing.
    """

    prompt: str
    lyrics: str
    lyrics_language: str | None
    seed: int
    audio_duration: float
    infer_step: int
    guidance_scale: float
    cfg_type: str
    scheduler_type: str
    omega_scale: float
    guidance_interval: float
    guidance_interval_decay: float
    min_guidance_scale: float
    use_erg_tag: bool
    use_erg_lyric: bool
    use_erg_diffusion: bool
    oss_steps: tuple[int, ...]
    guidance_scale_text: float
    guidance_scale_lyric: float
    rng: str
    overlapped_decode: bool
    task: Task | None = None
    """What to do with a song that exists; None makes a new one."""
    adapters: tuple[Adapter, ...] = ()
    """All at once."""


SETTINGS = tuple(each.name for each in fields(SongRequest) if each.default is MISSING)
"""The fields of a request that the schema names."""


class Decoding(StrEnum):
    """How latents become audio."""

    PLAIN = "plain"
    SMALL_WINDOWS = "small windows"
    """Takes less memory; equal to ``PLAIN`` within 1e-4."""
    OVERLAPPED = "overlapped"
    """Takes least memory. Windows are blended: near their seams it sounds different from ``PLAIN``."""


@dataclass(frozen=True, slots=True)
class DenoisedSong:
    """One request half way: its latents, which are all that the decoder needs."""

    latents: np.ndarray
    """float32, not scaled for the decoder; [8, 16, F] of v1, [64, F] of 1.5."""
    model_calls: int
    """Model evaluations of this song, each guided branch counted by itself."""
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall seconds of the micro-batch by stage (``text``, ``diffusion``; ``source`` where audio was encoded), device
    synchronised."""
    notes: tuple[str, ...] = ()
    """What was done differently from what was asked, in words."""
    planned: Mapping[str, Any] | None = None
    """Of a song that was planned (1.5): its ``plan``, and the ``planner`` that made it, None where a record had it."""


@dataclass(frozen=True, slots=True)
class RenderedSong:
    """The audio of one request, before any file is written."""

    audio: np.ndarray
    """[2, N] float32, at ``sample_rate`` Hz; not clipped."""
    sample_rate: int
    frames: int
    """Latent frames; one is 4096 samples at 44.1 kHz of v1, 1920 at 48 kHz of 1.5."""
    model_calls: int
    """As in ``DenoisedSong``."""
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    """As in ``DenoisedSong``, and ``decode``."""
    notes: tuple[str, ...] = ()
    """As in ``DenoisedSong``."""
    planned: Mapping[str, Any] | None = None
    """As in ``DenoisedSong``."""


class Engine(Protocol):
    """A loaded model. What it makes is a pure function of the request: nothing carries over between songs."""

    label: str
    """How records and tables name the model, such as ``embedded, untrained``."""
    decodes_beside_denoising: bool
    """Whether ``decode`` may run in another thread while ``denoise`` runs, and gains by it."""

    def denoise(self, requests: Sequence[Any], on_step: StepCallback | None = None) -> list[DenoisedSong]:
        """Latents of requests that share a micro-batch key (``engine.load.micro_batch_key``), in the order given.

        They are ``SongRequest`` for v1 and ``V15Song`` for 1.5.

        Raises:
            ValueError: a request that no result is defined for (``v1.refusals.crash_reason`` names it beforehand), a
                source that is not made yet, or requests that do not share the key.
            Refused: an adapter's file that does not fit the model.
        """
        ...

    def decode(
        self, songs: Sequence[DenoisedSong], sample_rate: int, decoding: Decoding = Decoding.PLAIN
    ) -> list[RenderedSong]:
        """Audio of songs of one length, in the order given.

        ``sample_rate`` is 44100 (native) or any other rate in Hz (resampled).
        """
        ...

    def offloaded(self) -> AbstractContextManager[None]:
        """Within it, only the component at work lies on the device, the others in host memory."""
        ...

    def in_float32(self) -> AbstractContextManager[None]:
        """Within it, everything is computed in float32; afterwards in the engine's own type again."""
        ...

    def describe(self) -> dict[str, Any]:
        """Facts for the record: device, dtype, compiled or not, component files with size and sha256.

        Also what else may move the last bits (``made_on``: torch, processors, threads), and what another version of
        makes another song (``engine_version``, ``lyric_libraries``).
        """
        ...

    def peak_memory_bytes(self) -> int | None:
        """Peak device memory since the last call, or None where the device does not count it."""
        ...
