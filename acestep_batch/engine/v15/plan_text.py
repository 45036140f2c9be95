"""The planner's prompts, word for word; no tokenizer, no torch.

The layout is Qwen3's chat template, written out; ``<|im_start|>``, ``<|im_end|>`` and ``<think>`` are single tokens.
A guided phase has two prompts: with the conditions, and without them.
"""

from __future__ import annotations

from acestep_batch.engine.v15.constants import (
    FORMAT_INSTRUCTION,
    GENERATE_INSTRUCTION,
    INSPIRE_INSTRUCTION,
    NO_INPUT,
    UNDERSTAND_INSTRUCTION,
)

TURN, END_OF_TURN, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
THINK, END_OF_THINKING = "<think>", "</think>"
EMPTY_THOUGHT = f"{THINK}\n\n{END_OF_THINKING}"


def thought_prompt(caption: str, lyrics: str) -> str:
    """Before the chain of thought that decides the metadata."""
    return _chat(GENERATE_INSTRUCTION, _song(caption, lyrics))


def thought_prompt_without(lyrics: str, negative_prompt: str) -> str:
    """Its unguided side: the lyrics alone, or with the negative prompt in place of the caption."""
    without_caption = f"# Lyric\n{lyrics}\n"
    return _chat(
        GENERATE_INSTRUCTION, _song(negative_prompt, lyrics) if _means_something(negative_prompt) else without_caption
    )


def codes_prompt(caption: str, lyrics: str, thought: str) -> str:
    """Before the audio codes: ``thought`` is the finished chain of thought, tags included."""
    return _chat(GENERATE_INSTRUCTION, _song(caption, lyrics), thought)


def codes_prompt_without(caption: str, lyrics: str, negative_prompt: str) -> str:
    """Its unguided side: an empty thought; the caption stays, unless a negative prompt takes its place."""
    shown = negative_prompt if _means_something(negative_prompt) else caption
    return _chat(GENERATE_INSTRUCTION, _song(shown, lyrics), EMPTY_THOUGHT)


def understand_prompt(audio_codes: str) -> str:
    """Before a description of audio codes, given as the text of their tokens."""
    return _chat(UNDERSTAND_INSTRUCTION, audio_codes)


def inspiration_prompt(query: str, instrumental: bool) -> str:
    """Before a whole song that is thought up from a few words."""
    return _chat(INSPIRE_INSTRUCTION, f"{query.strip() or NO_INPUT}\n\ninstrumental: {str(instrumental).lower()}")


def format_prompt(caption: str, lyrics: str) -> str:
    """Before a caption and lyrics that say the same in more detail."""
    return _chat(FORMAT_INSTRUCTION, f"# Caption\n{caption}\n\n# Lyric\n{lyrics}")


def code_token(code: int) -> str:
    """The token of an audio code, as text."""
    return f"<|audio_code_{code}|>"


def _song(caption: str, lyrics: str) -> str:
    return f"# Caption\n{caption}\n\n# Lyric\n{lyrics}\n"


def _means_something(negative_prompt: str) -> bool:
    return negative_prompt.strip() not in ("", NO_INPUT)


def _chat(instruction: str, user: str, assistant: str | None = None) -> str:
    # After the thought the template closes the turn, and the codes follow the closed turn, in ComfyUI as well.
    answer = "" if assistant is None else f"{assistant}\n\n{END_OF_TURN}\n"
    return (
        f"{TURN}system\n# Instruction\n{instruction}\n\n{END_OF_TURN}\n"
        f"{TURN}user\n{user}{END_OF_TURN}\n{TURN}assistant\n{answer}"
    )
