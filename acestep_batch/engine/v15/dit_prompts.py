"""The two texts that condition the diffusion transformer, word for word; no tokenizer, no torch."""

from __future__ import annotations

import re

from acestep_batch.engine.v15.durations import whole_seconds
from acestep_batch.engine.v15.plan_text import END_OF_TEXT

NOT_GIVEN = "N/A"
LENGTH_IF_NOT_GIVEN = "30 seconds"
_CAPTION_IN_PROMPT = re.compile(r"# Caption\n(.*?)\n\n# Metas", re.DOTALL)


def meta_text(bpm: float | str | None, timesignature: str, keyscale: str, duration_s: float | None) -> str:
    """The list of metadata; a value that is missing, or no tempo at all, reads ``N/A``, a missing length 30 seconds."""
    seconds = LENGTH_IF_NOT_GIVEN if duration_s is None else f"{whole_seconds(duration_s)} seconds"
    return (
        f"- bpm: {bpm or NOT_GIVEN}\n"
        f"- timesignature: {timesignature.strip() or NOT_GIVEN}\n"
        f"- keyscale: {keyscale.strip() or NOT_GIVEN}\n"
        f"- duration: {seconds}\n"
    )


def text_prompt(instruction: str, caption: str, metas: str) -> str:
    """The prompt that goes through the whole text encoder; ``metas`` is ``meta_text``'s list."""
    return f"# Instruction\n{with_colon(instruction)}\n\n# Caption\n{caption}\n\n# Metas\n{metas}{END_OF_TEXT}\n"


def lyrics_prompt(lyrics: str, language: str) -> str:
    """The prompt that goes through the text encoder's embedding table only."""
    return f"# Languages\n{language}\n\n# Lyric\n{lyrics}{END_OF_TEXT}"


def with_colon(instruction: str) -> str:
    """Every instruction ends with a colon."""
    return instruction if instruction.endswith(":") else f"{instruction}:"


def caption_of(text: str) -> str:
    """The caption inside a whole text prompt; any other text is a caption itself."""
    match = _CAPTION_IN_PROMPT.search(text)
    return match[1] if match else text
