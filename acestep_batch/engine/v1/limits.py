"""What settings mean in frames and steps, and which of them cannot be rendered; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

NATIVE_SAMPLE_RATE = 44100
SAMPLES_PER_FRAME = 4096
"""512 samples for each spectrogram column, 8 columns for each latent frame."""
PROMPT_TOKENS = 256
"""Tokens of a prompt that the text encoder reads; the rest is cut off."""
LYRIC_LANGUAGES = ("ar", "cs", "de", "en", "es", "fr", "hi", "hu", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "zh")
"""The languages that the lyric encoder has a token for; lines in any other one are written as English."""


class StepSettings(Protocol):
    """The settings read here; a ``SongRequest`` has them, and so may a song that is not complete yet."""

    @property
    def audio_duration(self) -> float: ...
    @property
    def infer_step(self) -> int: ...
    @property
    def oss_steps(self) -> Sequence[int]: ...
    @property
    def scheduler_type(self) -> str: ...
    @property
    def guidance_scale(self) -> float: ...
    @property
    def guidance_interval(self) -> float: ...
    @property
    def guidance_interval_decay(self) -> float: ...


def latent_frames(duration_s: float) -> int:
    """Whole latent frames in ``duration_s`` seconds; one frame lasts 0.0929 s."""
    return int(duration_s * NATIVE_SAMPLE_RATE / SAMPLES_PER_FRAME)


def solver_steps(settings: StepSettings) -> int:
    """Steps of the solver: one for each entry of ``oss_steps`` where given, else ``infer_step``."""
    return len(settings.oss_steps) or settings.infer_step


def guided_steps(settings: StepSettings) -> range:
    """The model calls, counted from 0, at which guidance is on: the middle ``guidance_interval`` of the steps.

    Empty where guidance is off, that is at a ``guidance_scale`` of exactly 0 or 1. Heun makes two calls a step, but the
    reference implementation (ace-step/ACE-Step at d612523) counts the interval in steps, so for Heun it ends early.
    """
    if settings.guidance_scale in (0.0, 1.0):
        return range(0)
    steps, interval = solver_steps(settings), settings.guidance_interval
    return range(int(steps * ((1 - interval) / 2)), int(steps * (interval / 2 + 0.5)))


def crash_reason(settings: StepSettings) -> str | None:
    """Why these settings cannot be rendered, or None where they can.

    These are the settings on which the reference implementation itself fails, so that no result is defined.
    """
    if latent_frames(settings.audio_duration) < 1:
        return f"audio_duration {settings.audio_duration} s is shorter than one latent frame (0.0929 s)"
    if settings.scheduler_type == "heun" and settings.oss_steps:
        return "oss_steps cannot be combined with scheduler_type heun; use euler or pingpong"
    if settings.guidance_interval_decay > 0 and len(guided_steps(settings)) == 1:
        return (
            "guidance_interval_decay needs at least two guided steps, and"
            f" guidance_interval {settings.guidance_interval} of {solver_steps(settings)} steps leaves one"
        )
    return None
