"""The two texts of one song for the transformer's conditions, by the formats of ``dit_prompts``; no torch."""

from __future__ import annotations

from acestep_batch.engine.v15.constants import COMPLETE, EXTRACT, LEGO, task_instruction
from acestep_batch.engine.v15.dit_prompts import lyrics_prompt, meta_text, text_prompt
from acestep_batch.engine.v15.request import V15Request
from acestep_batch.engine.v15.tasks import instructed_task


def prompt_text(request: V15Request, task: str) -> str:
    """The prompt of a song under the instruction of ``task``; what is unknown is ``N/A``."""
    tracks = {EXTRACT: (request.track_name,), LEGO: (request.track_name,), COMPLETE: request.complete_track_classes}
    instruction = task_instruction(task, tuple(filter(None, tracks.get(task, ()))))
    bpm = request.bpm if request.bpm is not None and request.bpm > 0 else None
    metas = meta_text(bpm, request.timesignature, request.keyscale, request.prompt_duration_s)
    return text_prompt(instruction, request.caption, metas)


def lyric_text(request: V15Request) -> str:
    """The lyrics under their language."""
    return lyrics_prompt(request.sung_lyrics, request.vocal_language)


def task_of_prompt(request: V15Request) -> str:
    """The task whose instruction the song's prompt has."""
    return instructed_task(request.task, request.audio_codes is not None)
