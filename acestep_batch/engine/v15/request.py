"""What the 1.5 engine is asked for: one song, resolved, with its sources; no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from acestep_batch.engine.tasks import Adapter, AwaitedSource, LatentSource

SAMPLE_RATE = 48_000
SAMPLES_PER_FRAME = 1_920
FRAMES_PER_SECOND = SAMPLE_RATE / SAMPLES_PER_FRAME
"""Latent frames: 25 a second."""
FRAMES_PER_CODE = 5
"""Audio codes come 5 a second, so one stands for 5 latent frames."""
LATENT_CHANNELS = 64
"""Of published models' latents [64, F]."""


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Audio that a song starts from; equal only to itself."""

    samples: np.ndarray = field(repr=False)
    """[1 or 2, N] float32; one channel counts as both."""
    sample_rate: int = SAMPLE_RATE
    """In Hz; the engine resamples any other."""

    @property
    def frames(self) -> int:
        """Whole latent frames; samples after the last one are not used."""
        return whole_frames(self.samples.shape[-1], self.sample_rate)


Sound = Waveform | LatentSource | AwaitedSource
"""What a song starts from: audio, the latents [C, F] that an engine left, or what is not made yet."""


@dataclass(frozen=True, slots=True)
class V15Request:
    """One song as the engine sees it; every value is resolved and inside its hard range.

    The names are those of the model's own parameters (``spec`` of ACE-Step 1.5). No defaults here: every default has
    one home, the schema. What can be wrong about the values together, and what a checkpoint ignores, is told by
    ``limits``.
    """

    caption: str
    lyrics: str
    instrumental: bool
    """Sung by nobody: the lyrics are replaced by ``[Instrumental]``."""
    vocal_language: str
    bpm: float | None
    keyscale: str
    timesignature: str
    """These three are empty (None) where nothing is said about them."""
    duration_s: float
    """Length of the song, and what its prompt says; a source or codes have a length of their own."""
    seed: int
    infer_step: int
    guidance_scale: float
    use_adg: bool
    cfg_interval_start: float
    cfg_interval_end: float
    """Guidance is on at timesteps from start to end, both 0 to 1, where 1 is noise."""
    shift: float
    infer_method: str
    """``ode`` or ``sde``."""
    timesteps: tuple[float, ...]
    """Falling from 1; empty for the table of the checkpoint."""
    task: str
    track_name: str
    """Of ``extract`` and ``lego``; may be empty."""
    complete_track_classes: tuple[str, ...]
    """Of ``complete``; may be empty."""
    src_audio: Sound | None
    reference_audio: Waveform | AwaitedSource | None
    """Whose timbre to take."""
    repainting_start: float
    repainting_end: float
    """Seconds of the source that ``repaint`` and ``lego`` generate; an end below 0 is the source's end."""
    audio_cover_strength: float
    """0 to 1: the share of the steps that see the source or the codes, before the rest goes on without."""
    audio_codes: tuple[int, ...] | None
    """The song's plan, 5 codes a second, each 0 to 63999."""
    adapters: tuple[Adapter, ...] = ()
    """LoRAs, all at once; nothing asks for none but their absence."""

    @property
    def frames(self) -> int:
        """Latent frames of the song: of its codes, else of its source, else of its duration."""
        if self.audio_codes is not None:
            return FRAMES_PER_CODE * len(self.audio_codes)
        if self.src_audio is not None:
            return sound_frames(self.src_audio)
        return latent_frames(self.duration_s)

    @property
    def sung_lyrics(self) -> str:
        """The lyrics as the model reads them."""
        return "[Instrumental]" if self.instrumental else self.lyrics

    @property
    def prompt_duration_s(self) -> float:
        """The length that the prompt names: of the source where there is one."""
        return self.duration_s if self.src_audio is None else self.frames / FRAMES_PER_SECOND


def sound_frames(sound: Sound) -> int:
    """Latent frames of a source; 0 of one whose length is not known yet."""
    return int(sound.latents.shape[-1]) if isinstance(sound, LatentSource) else sound.frames


def whole_frames(samples: int, sample_rate: int) -> int:
    """Whole latent frames in ``samples`` at ``sample_rate`` Hz, which are resampled first."""
    return -(-samples * SAMPLE_RATE // sample_rate) // SAMPLES_PER_FRAME


def latent_frames(duration_s: float) -> int:
    """Latent frames that hold ``duration_s`` seconds; a part of a frame, beyond rounding, is one more."""
    return math.ceil(round(duration_s * FRAMES_PER_SECOND, 6))
