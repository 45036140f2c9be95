"""The two texts that the transformer's conditions are made of: the prompt with its metadata, and the lyrics; no torch.

The formats are the reference implementation's (ace-step/ACE-Step-1.5 at f30aee4).
"""

from __future__ import annotations

from acestep_batch.engine.v15.request import V15Request
from acestep_batch.engine.v15.tasks import instructed_task, instruction


def prompt_text(request: V15Request, task: str) -> str:
    """The prompt of a song under the instruction of ``task``; what is unknown is ``N/A``."""
    tracks = {"extract": (request.track_name,), "lego": (request.track_name,)}.get(task, request.complete_track_classes)
    asked = instruction(task, tuple(filter(None, tracks)) if task in {"extract", "lego", "complete"} else ())
    bpm = request.bpm if request.bpm is not None and request.bpm > 0 else "N/A"
    return (
        f"# Instruction\n{asked}\n\n# Caption\n{request.caption}\n\n# Metas\n- bpm: {bpm}\n"
        f"- timesignature: {request.timesignature.strip() or 'N/A'}\n- keyscale: {request.keyscale.strip() or 'N/A'}\n"
        f"- duration: {int(request.prompt_duration_s)} seconds\n<|endoftext|>\n"
    )


def lyric_text(request: V15Request) -> str:
    """The lyrics under their language."""
    return f"# Languages\n{request.vocal_language}\n\n# Lyric\n{request.sung_lyrics}<|endoftext|>"


def task_of_prompt(request: V15Request) -> str:
    """The task whose instruction the song's prompt has."""
    return instructed_task(request.task, request.audio_codes is not None)
