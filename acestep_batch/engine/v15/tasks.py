"""What each task of 1.5 tells the model, needs and leaves alone; no torch, no audio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from acestep_batch.engine.v15.variant import Variant

TRACK_NAMES = (
    *("woodwinds", "brass", "fx", "synth", "strings", "percussion"),
    *("keyboard", "guitar", "bass", "drums", "backing_vocals", "vocals"),
)


@dataclass(frozen=True, slots=True)
class Task:
    """One task; the instructions are the reference implementation's (ace-step/ACE-Step-1.5 at f30aee4)."""

    instruction: str
    """``{}`` stands for the tracks."""
    instruction_without_tracks: str
    needs_source: bool = True
    takes_window: bool = False
    """Whether ``repainting_start`` and ``repainting_end`` bound what is generated."""
    base_only: bool = False


def _without_tracks(instruction: str, **facts: bool) -> Task:
    return Task(instruction, instruction, **facts)


TASKS: Mapping[str, Task] = {
    "text2music": _without_tracks("Fill the audio semantic mask based on the given conditions:", needs_source=False),
    "cover": _without_tracks("Generate audio semantic tokens based on the given conditions:", needs_source=False),
    "repaint": _without_tracks("Repaint the mask area based on the given conditions:", takes_window=True),
    "extract": Task("Extract the {} track from the audio:", "Extract the track from the audio:", base_only=True),
    "lego": Task(
        "Generate the {} track based on the audio context:",
        "Generate the track based on the audio context:",
        takes_window=True,
        base_only=True,
    ),
    "complete": Task("Complete the input track with {}:", "Complete the input track:", base_only=True),
}
"""``cover`` needs a source, a reference or codes, which ``limits`` checks."""


def tasks_of(variant: Variant) -> tuple[str, ...]:
    """The tasks that a checkpoint was trained for."""
    return tuple(name for name, task in TASKS.items() if variant is Variant.BASE or not task.base_only)


def instruction(task: str, tracks: Sequence[str] = ()) -> str:
    """What the prompt asks for; track names are written in capitals and joined by bars."""
    if not tracks:
        return TASKS[task].instruction_without_tracks
    return TASKS[task].instruction.format(" | ".join(name.upper() for name in tracks))


def instructed_task(task: str, has_codes: bool) -> str:
    """The task whose instruction a song gets: with codes, ``text2music`` becomes ``cover``."""
    return "cover" if has_codes and task == "text2music" else task
