"""What ACE-Step 1.5 names and allows: languages, keys, ranges, tasks and their instructions; no torch.

Source: ace-step/ACE-Step-1.5 at f30aee4 (2026-02-08).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

UNKNOWN_LANGUAGE = "unknown"
LANGUAGES = (
    *("ar", "az", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hr"),
    *("ht", "hu", "id", "is", "it", "ja", "ko", "la", "lt", "ms", "ne", "nl", "no", "pa", "pl", "pt", "ro"),
    *("ru", "sa", "sk", "sr", "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "yue", "zh"),
    UNKNOWN_LANGUAGE,
)
KEYSCALES = tuple(
    f"{note}{accidental} {mode}"
    for note in "ABCDEFG"
    for accidental in ("", "#", "b", "♭", "♯")
    for mode in ("major", "minor")
)
TIMESIGNATURES = ("2", "3", "4", "6")
"""Beats in a bar; 6 stands for 6/8."""
BPM = range(30, 301)
PLANNED_DURATION_S = range(10, 601)
"""Lengths that the planner chooses among."""

TEXT2MUSIC, REPAINT, COVER, EXTRACT, LEGO, COMPLETE = "text2music", "repaint", "cover", "extract", "lego", "complete"
TASKS = (TEXT2MUSIC, REPAINT, COVER, EXTRACT, LEGO, COMPLETE)
TURBO_TASKS = (TEXT2MUSIC, REPAINT, COVER)
"""What turbo and sft checkpoints were trained for; the others need base."""
TRACK_NAMES = (
    *("woodwinds", "brass", "fx", "synth", "strings", "percussion"),
    *("keyboard", "guitar", "bass", "drums", "backing_vocals", "vocals"),
)

_TASK_INSTRUCTIONS: Mapping[str, str] = {
    TEXT2MUSIC: "Fill the audio semantic mask based on the given conditions:",
    REPAINT: "Repaint the mask area based on the given conditions:",
    COVER: "Generate audio semantic tokens based on the given conditions:",
    EXTRACT: "Extract the track from the audio:",
    LEGO: "Generate the track based on the audio context:",
    COMPLETE: "Complete the input track:",
}
_TRACK_INSTRUCTIONS: Mapping[str, str] = {
    EXTRACT: "Extract the {tracks} track from the audio:",
    LEGO: "Generate the {tracks} track based on the audio context:",
    COMPLETE: "Complete the input track with {tracks}:",
}


def task_instruction(task: str, tracks: Sequence[str] = ()) -> str:
    """What the diffusion model is told to do; ``tracks`` are those to extract, to add or to complete with.

    A song that is rendered from audio codes has the instruction of a cover, whatever its task.
    """
    if tracks and task in _TRACK_INSTRUCTIONS:
        return _TRACK_INSTRUCTIONS[task].format(tracks=" | ".join(track.upper() for track in tracks))
    return _TASK_INSTRUCTIONS[task]


GENERATE_INSTRUCTION = "Generate audio semantic tokens based on the given conditions:"
UNDERSTAND_INSTRUCTION = "Understand the given musical conditions and describe the audio semantics accordingly:"
INSPIRE_INSTRUCTION = "Expand the user's input into a more detailed and specific musical description:"
FORMAT_INSTRUCTION = "Format the user's input into a more detailed and specific musical description:"
"""What the planner is told to do."""

NO_INPUT = "NO USER INPUT"
"""Stands for a text that was not given; as a negative prompt it means none."""

CODEBOOK_SIZE = 64_000
"""Audio codes that mean something; the published vocabulary reserves tokens for 65,535."""

PLANNER_DEFAULTS: Mapping[str, Any] = {
    "caption": "",
    "lyrics": "",
    "bpm": None,
    "keyscale": "",
    "timesignature": "",
    "duration": -1.0,
    "vocal_language": UNKNOWN_LANGUAGE,
    "audio_codes": "",
    "task_type": TEXT2MUSIC,
    "thinking": True,
    "use_cot_metas": True,
    "use_cot_caption": True,
    "use_cot_language": True,
    "use_constrained_decoding": True,
    "lm_temperature": 0.85,
    "lm_cfg_scale": 2.0,
    "lm_top_k": 0,
    "lm_top_p": 0.9,
    "lm_negative_prompt": NO_INPUT,
    "lm_repetition_penalty": 1.0,
}
"""The published defaults of what the planner reads, under their published names."""
