"""Which songs may be denoised together, and which evaluations of the model each of them takes; no torch."""

from __future__ import annotations

from enum import Enum
from typing import Any

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.limits import guided_steps, latent_frames, solver_steps


class Branch(Enum):
    """One evaluation of the model for a song; guidance combines several."""

    COND = "cond"
    TEXT_ONLY = "text_only"
    UNCOND = "uncond"


def has_double_condition(request: SongRequest) -> bool:
    """Whether text and lyrics have scales of their own, which then replace ``guidance_scale`` and ``cfg_type``."""
    return request.guidance_scale_text > 1.0 and request.guidance_scale_lyric > 1.0


def branches(request: SongRequest) -> tuple[Branch, ...]:
    """The branches that guided calls evaluate; all other calls evaluate the first alone."""
    if not guided_steps(request):
        return (Branch.COND,)
    if has_double_condition(request):
        return (Branch.COND, Branch.TEXT_ONLY, Branch.UNCOND)
    return (Branch.COND, Branch.UNCOND)


def sampling_key(request: SongRequest) -> tuple[Any, ...]:
    """What songs must share to be denoised together: length, solver, steps, and which branches run when.

    Seeds, texts, scales, ``omega_scale`` and the ERG switches may differ from song to song.
    """
    frames = latent_frames(request.audio_duration)
    guided = guided_steps(request)
    kind = "double" if has_double_condition(request) else str(request.cfg_type)
    guidance = (guided.start, guided.stop, kind) if guided else ()
    return frames, str(request.scheduler_type), request.infer_step, tuple(request.oss_steps), guidance


def model_calls(request: SongRequest) -> int:
    """How often the model is evaluated for one song, each branch counted; independent of batching."""
    steps = solver_steps(request)
    calls = 2 * steps - 1 if request.scheduler_type == "heun" else steps
    return calls + (len(branches(request)) - 1) * len(guided_steps(request))
