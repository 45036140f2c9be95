"""What settings and tasks mean in frames and steps; no torch. Which of them cannot be rendered: see ``refusals``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from acestep_batch.engine.tasks import (
    AudioSource,
    AudioToAudio,
    AwaitedSource,
    Edit,
    Extend,
    LatentSource,
    Repaint,
    Retake,
    Source,
    Task,
)

NATIVE_SAMPLE_RATE = 44100
SAMPLES_PER_FRAME = 4096
"""512 samples for each spectrogram column, 8 columns for each latent frame."""
LATENT_CHANNELS, LATENT_HEIGHT = 8, 16
"""Of latents [8, 16, F]."""
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
    @property
    def task(self) -> Task | None: ...


def latent_frames(duration_s: float) -> int:
    """Whole latent frames in ``duration_s`` seconds, cut towards zero; one frame lasts 0.0929 s."""
    return int(duration_s * NATIVE_SAMPLE_RATE / SAMPLES_PER_FRAME)


LONGEST_FRAMES = latent_frames(240.0)
"""As many as the model was made for. Of a longer ``Extend`` only so many are before the model, the rest is kept."""

_GUIDANCE = ("guidance_interval", "guidance_interval_decay", "min_guidance_scale", "guidance_scale_text")
_ERG = ("use_erg_tag", "use_erg_lyric", "use_erg_diffusion")
UNUSED_SETTINGS: Mapping[type[Task], frozenset[str]] = {
    Retake: frozenset(),
    Repaint: frozenset({"audio_duration", "omega_scale"}),
    Extend: frozenset({"audio_duration", "omega_scale"}),
    AudioToAudio: frozenset({"audio_duration"}),
    Edit: frozenset(
        {"audio_duration", "seed", "cfg_type", "omega_scale", "oss_steps", "guidance_scale_lyric", *_GUIDANCE, *_ERG}
    ),
}
"""Settings that a task does not look at (``seed`` is ``actual_seeds`` in the schema).

Others it looks at differently: repaint and extend take Euler's steps whatever the ``scheduler_type``, and of Heun's
schedule half of the calls then make no step; edit knows Euler's steps and pingpong's; audio2audio takes no more from
``oss_steps`` than how many steps their largest is.
"""


def source_frames(source: Source) -> int:
    """Latent frames of a source; 0 where there is no audio in it."""
    match source:
        case AwaitedSource():
            return source.frames
        case LatentSource():
            return int(source.latents.shape[-1])
        case AudioSource():
            native = -(-source.samples.shape[-1] * NATIVE_SAMPLE_RATE // source.sample_rate)
            return -(-native // SAMPLES_PER_FRAME)


def trims(task: Extend) -> tuple[int, int]:
    """Frames of the source that its left and its right end keep to themselves, because the model takes no more at once.

    What is farthest from the new frames goes first.
    """
    frames = task.left_frames + source_frames(task.source) + task.right_frames
    surplus = max(0, frames - LONGEST_FRAMES)
    return (0, surplus) if task.left_frames else (surplus, 0)


def song_frames(settings: StepSettings) -> int:
    """Latent frames of the song that comes out."""
    match settings.task:
        case None | Retake():
            return latent_frames(settings.audio_duration)
        case Extend() as task:
            return task.left_frames + source_frames(task.source) + task.right_frames
        case task:
            return source_frames(task.source)


def denoised_frames(settings: StepSettings) -> int:
    """Latent frames that the model sees: those of the song, or of an extended one as many as it takes at once."""
    if isinstance(settings.task, Extend):
        return song_frames(settings) - sum(trims(settings.task))
    return song_frames(settings)


def keeps_source(settings: StepSettings) -> bool:
    """Whether some frames stay as the source has them, the others being painted between or beside them.

    A repaint of all frames keeps nothing: it is a retake of the source's length, as in the reference.
    """
    match settings.task:
        case Extend():
            return True
        case Repaint() as task:
            return task.end_frame - task.start_frame != source_frames(task.source)
        case _:
            return False


def solver_steps(settings: StepSettings) -> int:
    """Steps of the solver: one for each entry of ``oss_steps`` where given, else ``infer_step``.

    Of ``AudioToAudio`` the share that its strength leaves, of as many as the largest entry where ``oss_steps`` are
    given. ``Edit`` knows no ``oss_steps``.
    """
    match settings.task:
        case Edit():
            return settings.infer_step
        case AudioToAudio(ref_audio_strength=strength):
            return int((1 - strength) * (max(settings.oss_steps, default=0) or settings.infer_step))
        case _:
            return len(settings.oss_steps) or settings.infer_step


def solver_calls(settings: StepSettings) -> int:
    """Times that the whole schedule has: Heun's method looks twice at all but the last."""
    steps = solver_steps(settings)
    heun = settings.scheduler_type == "heun" and not isinstance(settings.task, Edit)
    return max(2 * steps - 1, 0) if heun else steps


def first_call(settings: StepSettings) -> int:
    """Where in the schedule a task begins; the model is not called before."""
    match settings.task:
        case Edit(edit_n_min=share):
            return int(settings.infer_step * share)
        case Repaint(retake_variance=variance) | Extend(retake_variance=variance) if keeps_source(settings):
            return int(solver_steps(settings) * (1 - variance))
        case _:
            return 0


def averaged_steps(settings: StepSettings, task: Edit) -> range:
    """The first phase of an edit: the steps that average over noises. All later ones sample the target by itself."""
    return range(first_call(settings), int(settings.infer_step * task.edit_n_max))


def guided_steps(settings: StepSettings) -> range:
    """The model calls, counted from 0, at which guidance is on: the middle ``guidance_interval`` of the steps.

    Empty where guidance is off, that is at a ``guidance_scale`` of exactly 0 or 1. Heun makes two calls a step, but the
    reference implementation (ace-step/ACE-Step at d612523) counts the interval in steps, so for Heun it ends early.
    ``Edit`` is guided all the way.
    """
    if settings.guidance_scale in (0.0, 1.0):
        return range(0)
    steps, interval = solver_steps(settings), settings.guidance_interval
    if isinstance(settings.task, Edit):
        return range(steps)
    return range(int(steps * ((1 - interval) / 2)), int(steps * (interval / 2 + 0.5)))
