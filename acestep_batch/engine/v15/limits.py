"""What is wrong with a song's settings, and what its checkpoint does differently; in words, without torch.

Nothing is corrected in silence: what cannot be rendered as asked is an error, what the checkpoint leaves out is a note.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from acestep_batch.engine.tasks import AwaitedSource
from acestep_batch.engine.v15.constants import CODEBOOK_SIZE, TRACK_NAMES
from acestep_batch.engine.v15.request import FRAMES_PER_SECOND, V15Request, latent_frames, sound_frames
from acestep_batch.engine.v15.tasks import TASKS, instructed_task, tasks_of
from acestep_batch.engine.v15.timesteps import (
    TURBO_MOST_TIMESTEPS,
    TURBO_STEPS,
    listed_timesteps,
    turbo_shift,
    turbo_timesteps,
)
from acestep_batch.engine.v15.variant import Variant

INFER_METHODS = ("ode", "sde")


def errors(request: V15Request, variant: Variant) -> list[str]:
    """Why the song cannot be rendered as asked with such a checkpoint; empty where it can."""
    return [*_task_errors(request, variant), *_source_errors(request), *_step_errors(request, variant)]


def notes(request: V15Request, variant: Variant) -> list[str]:
    """What the checkpoint ignores or does by its own rule, for the record."""
    return [*_schedule_notes(request, variant), *_guidance_notes(request, variant), *_task_notes(request)]


def guided_calls(request: V15Request, variant: Variant, times: tuple[float, ...]) -> list[bool]:
    """For each timestep, whether guidance is on there."""
    guided = variant.takes_guidance and request.guidance_scale > 1
    return [guided and request.cfg_interval_start <= t <= request.cfg_interval_end for t in times]


def cover_calls(request: V15Request, calls: int) -> int:
    """How many of the first model calls see the source or the codes; the rest goes on as ``text2music``."""
    if not _is_cover(request):
        return calls
    return int(calls * request.audio_cover_strength)


def window_frames(request: V15Request) -> range:
    """The latent frames of a source that ``repaint`` and ``lego`` generate."""
    start = int(request.repainting_start * FRAMES_PER_SECOND)
    if request.repainting_end < 0:
        return range(start, request.frames)
    return range(start, int(request.repainting_end * FRAMES_PER_SECOND))


def _is_cover(request: V15Request) -> bool:
    return instructed_task(request.task, request.audio_codes is not None) == "cover"


def _task_errors(request: V15Request, variant: Variant) -> Iterator[str]:
    if request.task not in TASKS:
        yield f"task {request.task!r} is not one of {', '.join(TASKS)}"
        return
    if request.task not in tasks_of(variant):
        yield f"task {request.task} needs a base checkpoint; this one is {variant}, for {', '.join(tasks_of(variant))}"
    for name in filter(None, (request.track_name, *request.complete_track_classes)):
        if name not in TRACK_NAMES:
            yield f"track {name!r} is not one of {', '.join(TRACK_NAMES)}"
    if TASKS[request.task].takes_window and request.src_audio is not None and (frames := request.frames):
        yield from _window_errors(request, frames)


def _window_errors(request: V15Request, source_frames: int) -> Iterator[str]:
    length_s = source_frames / FRAMES_PER_SECOND
    if not 0 <= request.repainting_start < length_s:
        yield f"repainting_start {request.repainting_start} s is outside the source of {length_s:g} s"
    elif request.repainting_end > length_s:
        yield f"repainting_end {request.repainting_end} s is beyond the source of {length_s:g} s"
    elif not window_frames(request):
        span = f"{request.repainting_start} to {request.repainting_end} s"
        yield f"repainting {span} holds no latent frame ({1 / FRAMES_PER_SECOND:g} s)"


def _source_errors(request: V15Request) -> Iterator[str]:
    codes = request.audio_codes
    task = TASKS.get(request.task)
    if codes is not None:
        if not codes:
            yield "audio_codes is empty"
        wrong = [code for code in codes if not 0 <= code < CODEBOOK_SIZE]
        if wrong:
            yield f"audio_codes: {wrong[0]} is not in 0 to {CODEBOOK_SIZE - 1}"
        if request.src_audio is not None:
            yield "audio_codes and src_audio exclude each other: with both, the source would go unheard"
    elif request.task == "cover" and request.src_audio is None and request.reference_audio is None:
        yield "task cover needs src_audio, reference_audio or audio_codes"
    if task is not None and task.needs_source and request.src_audio is None:
        yield f"task {request.task} needs src_audio"
    if request.src_audio is not None and task is not None and not task.needs_source and request.task != "cover":
        yield f"task {request.task} takes no src_audio; use cover, repaint, extract, lego or complete"
    for name, audio in (("src_audio", request.src_audio), ("reference_audio", request.reference_audio)):
        if audio is not None and not isinstance(audio, AwaitedSource) and sound_frames(audio) < 1:
            yield f"{name} is shorter than one latent frame ({1 / FRAMES_PER_SECOND:g} s)"
    if request.frames < 1 and request.src_audio is None and codes is None:
        yield f"duration {request.duration_s} s is shorter than one latent frame ({1 / FRAMES_PER_SECOND:g} s)"


def _step_errors(request: V15Request, variant: Variant) -> Iterator[str]:
    if request.infer_method not in INFER_METHODS:
        yield f"infer_method {request.infer_method!r} is not one of {', '.join(INFER_METHODS)}"
    if request.infer_step < 1:
        yield f"infer_step {request.infer_step} is below 1"
    if not request.shift > 0:
        yield f"shift {request.shift} is not above 0"
    if not 0 <= request.cfg_interval_start <= request.cfg_interval_end <= 1:
        interval = f"{request.cfg_interval_start} to {request.cfg_interval_end}"
        yield f"cfg_interval {interval} is not an interval of 0 to 1"
    if not 0 <= request.audio_cover_strength <= 1:
        yield f"audio_cover_strength {request.audio_cover_strength} is not in 0 to 1"
    if not request.timesteps:
        return
    chosen = listed_timesteps(request.timesteps)
    if not chosen:
        yield "timesteps has no value above 0"
    elif not all(math.isfinite(t) and 0 < t <= 1 for t in chosen):
        yield "timesteps has a value outside 0 to 1, or a 0 before its end"
    elif any(later >= earlier for earlier, later in pairwise(chosen)):
        yield "timesteps does not fall from each value to the next"
    if variant is Variant.TURBO and len(chosen) > TURBO_MOST_TIMESTEPS:
        yield f"timesteps has {len(chosen)} values; a turbo checkpoint knows {TURBO_MOST_TIMESTEPS}"


def _schedule_notes(request: V15Request, variant: Variant) -> Iterator[str]:
    chosen = listed_timesteps(request.timesteps)
    if chosen and request.infer_step != len(chosen):
        yield f"infer_step {request.infer_step} is ignored: timesteps are given, and are {len(chosen)} steps"
    if variant is not Variant.TURBO:
        return
    if not chosen:
        if request.infer_step != TURBO_STEPS:
            yield f"infer_step {request.infer_step} is ignored: a turbo checkpoint always takes {TURBO_STEPS} steps"
        if (known := turbo_shift(request.shift)) != request.shift:
            yield f"shift {request.shift} is rendered as {known}, the nearest that a turbo checkpoint knows"
    elif (known_times := turbo_timesteps(request.shift, chosen)) != chosen:
        written = ", ".join(f"{t:g}" for t in known_times)
        yield f"timesteps are rendered as {written}, the nearest that a turbo checkpoint knows"


def _guidance_notes(request: V15Request, variant: Variant) -> Iterator[str]:
    if variant.takes_guidance:
        return
    if request.guidance_scale != 1:
        yield f"guidance_scale {request.guidance_scale} is ignored: a turbo checkpoint has guidance in its weights"
    if request.use_adg:
        yield "use_adg is ignored: a turbo checkpoint has guidance in its weights"


def _task_notes(request: V15Request) -> Iterator[str]:
    if request.audio_codes is not None and request.frames != latent_frames(request.duration_s):
        length_s = request.frames / FRAMES_PER_SECOND
        yield f"the song lasts {length_s:g} s, as long as its {len(request.audio_codes)} codes"
    if request.audio_cover_strength != 1 and not _is_cover(request):
        yield f"audio_cover_strength {request.audio_cover_strength} is ignored: there is no cover"
    task = TASKS[request.task]
    if (request.repainting_start, request.repainting_end) != (0, -1) and not task.takes_window:
        yield f"repainting_start and repainting_end are ignored: task {request.task} takes all of it"
    if request.track_name and request.task not in {"extract", "lego"}:
        yield f"track_name {request.track_name} is ignored by task {request.task}"
    if request.complete_track_classes and request.task != "complete":
        yield f"complete_track_classes are ignored by task {request.task}"
