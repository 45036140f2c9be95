"""Which settings and tasks cannot be rendered, in words; no torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

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
    SourceTask,
)
from acestep_batch.engine.v1.limits import (
    LATENT_CHANNELS,
    LATENT_HEIGHT,
    LONGEST_FRAMES,
    NATIVE_SAMPLE_RATE,
    SAMPLES_PER_FRAME,
    StepSettings,
    averaged_steps,
    first_call,
    guided_steps,
    keeps_source,
    latent_frames,
    solver_calls,
    solver_steps,
    source_frames,
)


def crash_reason(settings: StepSettings) -> str | None:
    """Why these settings cannot be rendered, or None where they can.

    These are the settings on which the reference implementation itself fails, so that no result is defined, and tasks
    of which it makes nothing that was asked for: noise, or the source as it was.
    """
    return next(_reasons(settings), None)


def _reasons(settings: StepSettings) -> Iterator[str]:
    task = settings.task
    if isinstance(task, SourceTask):
        yield from _source_reasons(task.source)
    elif latent_frames(settings.audio_duration) < 1:
        yield f"audio_duration {settings.audio_duration} s is shorter than one latent frame (0.0929 s)"
    match task:
        case Retake(retake_variance=variance) if not 0 <= variance <= 1:
            yield f"retake_variance {variance} is not between 0 and 1"
        case Repaint():
            yield from _repaint_reasons(settings, task)
        case Extend():
            yield from _extend_reasons(settings, task)
        case AudioToAudio(ref_audio_strength=strength):
            if not 0 <= strength <= 1:
                yield f"ref_audio_strength {strength} is not between 0 and 1"
            elif strength < 1 and solver_steps(settings) < 1:
                yield (
                    f"ref_audio_strength {strength} leaves none of {settings.infer_step} steps to remove the noise"
                    " that it adds; lower it or raise infer_step"
                )
        case Edit():
            yield from _edit_reasons(settings, task)
            return
    if settings.scheduler_type == "heun" and settings.oss_steps:
        yield "oss_steps cannot be combined with scheduler_type heun; use euler or pingpong"
    if settings.guidance_interval_decay > 0 and len(guided_steps(settings)) == 1:
        yield (
            "guidance_interval_decay needs at least two guided steps, and"
            f" guidance_interval {settings.guidance_interval} of {solver_steps(settings)} steps leaves one"
        )


def _source_reasons(source: Source) -> Iterator[str]:
    match source:
        case AudioSource(samples=samples, sample_rate=rate):
            if rate < 1:
                yield f"the source has a sample rate of {rate} Hz"
            elif samples.ndim != 2 or samples.shape[0] not in (1, 2):
                yield f"the source has the shape {list(samples.shape)}, not one or two channels of samples"
            elif samples.shape[1] < 1:
                yield "the source has no audio in it"
            elif not np.isfinite(samples).all():
                yield "the source has samples that are no numbers"
        case LatentSource(latents=latents):
            if latents.shape[:-1] != (LATENT_CHANNELS, LATENT_HEIGHT) or latents.shape[-1] < 1:
                yield f"the source has latents of the shape {list(latents.shape)}, not [8, 16, frames]"
            elif not np.isfinite(latents).all():
                yield "the source has latents that are no numbers"
        case AwaitedSource(frames=frames):
            if frames < 1:
                yield "the source has no audio in it"


def _repaint_reasons(settings: StepSettings, task: Repaint) -> Iterator[str]:
    start, end, frames = task.start_frame, task.end_frame, source_frames(task.source)
    if not 0 <= start < end <= frames:
        yield (
            f"repaint from {_seconds(start)} s (frame {start}) to {_seconds(end)} s (frame {end}) does not lie within"
            f" the source, which has {_seconds(frames)} s ({frames} frames)"
        )
    yield from _variance_reasons(settings, task.retake_variance)


def _extend_reasons(settings: StepSettings, task: Extend) -> Iterator[str]:
    left, right, frames = task.left_frames, task.right_frames, source_frames(task.source)
    if left < 0 or right < 0 or left + right < 1:
        yield f"extend adds {left} frames on the left and {right} on the right: no new frame, or fewer than none"
    elif left and right and left + frames + right > LONGEST_FRAMES:
        yield (
            f"extend on both sides makes {_seconds(left + frames + right)} s, and the model takes 240 s at once;"
            " extend one side, then the other"
        )
    elif left + right >= LONGEST_FRAMES:
        yield f"extend adds {_seconds(left + right)} s: of 240 s at once nothing of the source would be left"
    yield from _variance_reasons(settings, task.retake_variance)


def _variance_reasons(settings: StepSettings, variance: float) -> Iterator[str]:
    if not 0 <= variance <= 1:
        yield f"retake_variance {variance} is not between 0 and 1"
    elif variance == 0 or (keeps_source(settings) and first_call(settings) >= solver_calls(settings)):
        yield (
            f"retake_variance {variance} redraws nothing: it leaves none of the {solver_steps(settings)} steps,"
            " and noise in the place of music; raise it"
        )


def _edit_reasons(settings: StepSettings, task: Edit) -> Iterator[str]:
    first, last = task.edit_n_min, task.edit_n_max
    if not 0 <= first <= last <= 1:
        yield f"edit_n_min {first} and edit_n_max {last} are not in order between 0 and 1"
        return
    if task.edit_n_avg < 1:
        yield f"edit_n_avg {task.edit_n_avg} averages over no noise; use 1 or more"
    if first_call(settings) >= solver_steps(settings):
        yield f"edit_n_min {first} of {settings.infer_step} steps leaves none; lower it"
    if settings.scheduler_type == "pingpong" and averaged_steps(settings, task):
        yield (
            "scheduler_type pingpong has no first phase of an edit: it would be computed and lost;"
            " use euler, or set edit_n_max to edit_n_min"
        )


def _seconds(frames: int) -> str:
    return f"{frames * SAMPLES_PER_FRAME / NATIVE_SAMPLE_RATE:.2f}"
