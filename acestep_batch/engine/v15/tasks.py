"""What each task of 1.5 needs and leaves alone, and which checkpoints know it; no torch, no audio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from acestep_batch.engine.v15.constants import COMPLETE, COVER, EXTRACT, LEGO, REPAINT, TEXT2MUSIC, TURBO_TASKS
from acestep_batch.engine.v15.variant import Variant


@dataclass(frozen=True, slots=True)
class Task:
    """One task."""

    needs_source: bool = True
    takes_window: bool = False
    """Whether ``repainting_start`` and ``repainting_end`` bound what is generated."""


TASKS: Mapping[str, Task] = {
    TEXT2MUSIC: Task(needs_source=False),
    COVER: Task(needs_source=False),
    REPAINT: Task(takes_window=True),
    EXTRACT: Task(),
    LEGO: Task(takes_window=True),
    COMPLETE: Task(),
}
"""``cover`` needs a source, a reference or codes, which ``limits`` checks."""


def tasks_of(variant: Variant) -> tuple[str, ...]:
    """The tasks that a checkpoint was trained for."""
    return tuple(name for name in TASKS if variant is Variant.BASE or name in TURBO_TASKS)


def instructed_task(task: str, has_codes: bool) -> str:
    """The task whose instruction a song gets: with codes, ``text2music`` becomes ``cover``."""
    return COVER if has_codes and task == TEXT2MUSIC else task
