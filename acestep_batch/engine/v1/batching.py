"""Which songs may be denoised together, and which evaluations of the model each of them takes; no torch."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Any

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.tasks import AudioToAudio, Edit
from acestep_batch.engine.v1.limits import (
    averaged_steps,
    denoised_frames,
    first_call,
    guided_steps,
    keeps_source,
    solver_calls,
    solver_steps,
    song_frames,
)


class Branch(Enum):
    """One evaluation of the model for a song; guidance combines several."""

    COND = "cond"
    TEXT_ONLY = "text_only"
    UNCOND = "uncond"
    EMPTY = "empty"
    """Neither text nor lyrics, as long as the text: what guides an edit."""
    TARGET = "target"
    """Of an edit: its target's text and lyrics."""
    TARGET_EMPTY = "target_empty"
    """``EMPTY``, as long as the target's text."""


def has_double_condition(request: SongRequest) -> bool:
    """Whether text and lyrics have scales of their own, which then replace ``guidance_scale`` and ``cfg_type``."""
    return request.guidance_scale_text > 1.0 and request.guidance_scale_lyric > 1.0


def branches(request: SongRequest) -> tuple[Branch, ...]:
    """The branches that guided calls evaluate; all other calls evaluate the first alone.

    Of an edit, those of a step in its first phase: the target's, then the source's. Its second phase has the target's.
    """
    if isinstance(request.task, Edit):
        if not guided_steps(request):
            return (Branch.TARGET, Branch.COND)
        return (Branch.TARGET, Branch.TARGET_EMPTY, Branch.COND, Branch.EMPTY)
    if not guided_steps(request):
        return (Branch.COND,)
    if has_double_condition(request):
        return (Branch.COND, Branch.TEXT_ONLY, Branch.UNCOND)
    return (Branch.COND, Branch.UNCOND)


def edited(request: SongRequest) -> SongRequest:
    """The song that an edit leads to, as far as its texts go; any other request as it is."""
    task = request.task
    if not isinstance(task, Edit):
        return request
    return replace(
        request,
        prompt=task.edit_target_prompt,
        lyrics=task.edit_target_lyrics,
        lyrics_language=task.edit_target_language,
    )


def sampling_key(request: SongRequest) -> tuple[Any, ...]:
    """What songs must share to be denoised together: length, solver, steps, adapters, and which branches run when.

    Seeds, texts, scales, ``omega_scale``, sources and the ERG switches may differ from song to song, and so may what is
    mixed with what before the first step: songs and retakes of them go together, repaints and extensions do.
    """
    frames = (denoised_frames(request), song_frames(request))
    return *frames, request.adapters, *_course(request)


def _course(request: SongRequest) -> tuple[Any, ...]:
    """Which model calls at which noise levels are made of a song, and what its velocities are used for."""
    task, solver, guided = request.task, str(request.scheduler_type), guided_steps(request)
    if isinstance(task, Edit):
        phases = (first_call(request), averaged_steps(request, task).stop, task.edit_n_avg)
        return "edit", solver == "pingpong", solver_steps(request), *phases, bool(guided)
    kind = "double" if has_double_condition(request) else str(request.cfg_type)
    guidance = (guided.start, guided.stop, kind) if guided else ()
    if isinstance(task, AudioToAudio):
        return "from source", solver, solver_steps(request), task.ref_audio_strength, guidance
    start = first_call(request) if keeps_source(request) else None
    return "from noise", solver, request.infer_step, tuple(request.oss_steps), start, guidance


def model_calls(request: SongRequest) -> int:
    """How often the model is evaluated for one song, each branch counted; independent of batching."""
    first, n_branches = first_call(request), len(branches(request))
    if isinstance(task := request.task, Edit):
        averaged = averaged_steps(request, task)
        alone = solver_steps(request) - max(averaged.stop, first)
        return len(averaged) * task.edit_n_avg * n_branches + alone * n_branches // 2
    calls = range(first, solver_calls(request))
    return len(calls) + (n_branches - 1) * sum(call in calls for call in guided_steps(request))
