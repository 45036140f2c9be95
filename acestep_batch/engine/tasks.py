"""What an engine may be asked for beside a new song: tasks on a song that exists, and adapters; no torch.

The names, units and meanings are the control guide's; seconds have become latent frames (``v1.limits.latent_frames``).
Which values are refused is the engine's to say (``v1.limits.crash_reason``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class AudioSource:
    """A song as audio; the engine encodes it, in whole latent frames, the last one filled up with silence."""

    samples: np.ndarray
    """[1 or 2, N] in about -1..1; one channel counts as both."""
    sample_rate: int
    """Any, in Hz."""


@dataclass(frozen=True, slots=True, eq=False)
class LatentSource:
    """A song as an engine left it (``DenoisedSong.latents``); it is used as it is."""

    latents: np.ndarray
    """[8, 16, F] of v1, [C, F] of 1.5."""


@dataclass(frozen=True, slots=True)
class AwaitedSource:
    """A song that is not made yet, of which the length is known: enough for a plan, and refused by ``denoise``."""

    frames: int
    """0 where a planner is to decide on the length."""


Source = AudioSource | LatentSource | AwaitedSource


@dataclass(frozen=True, slots=True, eq=False)
class Referenced:
    """What a song of 1.5 is made from that takes the timbre of a reference."""

    source: Source | None
    """What its task starts from, where that is a song."""
    reference: Source


Beginning = Source | Referenced


@dataclass(frozen=True, slots=True)
class Retake:
    """The song again, its initial noise turned towards other noise."""

    name: ClassVar[str] = "retake"
    retake_seed: int
    retake_variance: float
    """0 (the same song) to 1 (the song of the other noise)."""


@dataclass(frozen=True, slots=True)
class Repaint:
    """The frames from ``start_frame`` up to ``end_frame`` anew, the others kept bit for bit."""

    name: ClassVar[str] = "repaint"
    source: Source
    start_frame: int
    end_frame: int
    retake_seed: int
    retake_variance: float
    """Above 0, to 1: the share of the steps that is taken, and how far the noise is turned."""


@dataclass(frozen=True, slots=True)
class Extend:
    """New frames before and after the source, which is kept bit for bit; variance as in ``Repaint``."""

    name: ClassVar[str] = "extend"
    source: Source
    left_frames: int
    right_frames: int
    retake_seed: int
    retake_variance: float


@dataclass(frozen=True, slots=True)
class AudioToAudio:
    """A new song that starts from the source with noise instead of from noise alone."""

    name: ClassVar[str] = "audio2audio"
    source: Source
    ref_audio_strength: float
    """0 (noise alone) to 1 (the source as it is); the song takes the other share of the steps."""


@dataclass(frozen=True, slots=True)
class Edit:
    """The source, which the request's prompt and lyrics describe, led towards other ones (FlowEdit)."""

    name: ClassVar[str] = "edit"
    source: Source
    retake_seed: int
    """Of all its noise; the song's own seed is not used."""
    edit_target_prompt: str
    edit_target_lyrics: str
    edit_target_language: str | None
    """Of the target's lyrics, as ``SongRequest.lyrics_language`` is of the source's."""
    edit_n_min: float
    """0 to 1: the share of the steps that is left out at first."""
    edit_n_max: float
    """0 to 1, not below ``edit_n_min``: after that share the target is sampled by itself."""
    edit_n_avg: int
    """At least 1: noises that each step up to ``edit_n_max`` averages over."""


SourceTask = Repaint | Extend | AudioToAudio | Edit
Task = Retake | SourceTask


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA at a weight."""

    path: Path
    """A folder with ``pytorch_lora_weights.safetensors``, or such a file."""
    weight: float
    """The factor on what it adds; 1 is as trained."""
    sha256: str | None = None
    """Of the file, where known: another one under the same path is another adapter."""
