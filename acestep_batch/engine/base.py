"""What a run and an engine say to each other: requests, results and the Engine protocol; no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

StepCallback = Callable[[int, int], None]
"""Called after every denoising step with (steps done, steps in all); may raise to cancel."""


@dataclass(frozen=True, slots=True)
class SongRequest:
    """One song as the engine sees it; every value is resolved and inside its hard range.

    The names, units and meanings are the control guide's. No defaults here: every default has one home, the schema.
    """

    prompt: str
    lyrics: str
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


@dataclass(frozen=True, slots=True)
class RenderedSong:
    """The audio of one request, before any file is written."""

    audio: np.ndarray
    """[2, N] float32, at ``sample_rate`` Hz; not clipped."""
    sample_rate: int
    frames: int
    """Latent frames; one frame is 4096 samples at 44.1 kHz."""
    model_calls: int
    """Model evaluations of this song, each guided branch counted by itself."""
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall seconds of the micro-batch by stage (``text``, ``diffusion``, ``decode``), device synchronised."""
    notes: tuple[str, ...] = ()
    """What was done differently from what was asked, in words."""


class Engine(Protocol):
    """A loaded model. Rendering is a pure function of the request: nothing carries over between songs."""

    label: str
    """How records and tables name the model, such as ``embedded, untrained``."""

    def micro_batch_key(self, request: SongRequest) -> tuple[Any, ...]:
        """Requests with equal keys may be rendered in one call."""
        ...

    def render(
        self, requests: Sequence[SongRequest], sample_rate: int, on_step: StepCallback | None = None
    ) -> list[RenderedSong]:
        """Render requests that share a micro-batch key, in the order given.

        ``sample_rate`` is 44100 (native) or any other rate in Hz (resampled).
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Facts for the record: device, dtype, compiled or not, component files with size and sha256."""
        ...

    def peak_memory_bytes(self) -> int | None:
        """Peak device memory since the last call, or None where the device does not count it."""
        ...
