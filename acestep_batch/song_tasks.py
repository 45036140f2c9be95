"""A song's task: which of its parameters count, their values where they are left open, and the engine's request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from acestep_batch.engine.tasks import AudioToAudio, Edit, Extend, Repaint, Retake, Source, Task
from acestep_batch.engine.v1.limits import (
    NATIVE_SAMPLE_RATE,
    SAMPLES_PER_FRAME,
    UNUSED_SETTINGS,
    latent_frames,
    source_frames,
)
from acestep_batch.models import Family
from acestep_batch.schema import SONG
from acestep_batch.schema_tasks import TASK_PARAMETERS, TASKS
from acestep_batch.seeds import derived_bits

if TYPE_CHECKING:
    from acestep_batch.schema_v15 import Generation

NEW_SONG = "text2music"
SOURCE_TASKS = frozenset(
    name for tasks in TASKS.values() for name, own in tasks.items() if own & {"src_audio_path", "ref_audio_input"}
)
"""Tasks that start from a song, or that can: ``takes_source`` says which do."""
SEEDED_TASKS = frozenset(name for name, own in TASKS[Family.V1].items() if "retake_seeds" in own)
"""Tasks of v1 with noise beside the song's own."""
_ON_SOURCE = frozenset({"audio_duration", "audio_codes", "audio_cover_strength"})
_UNUSED: Mapping[Family, Mapping[str, frozenset[str]]] = {
    Family.V1: {task.name: names for task, names in UNUSED_SETTINGS.items()},
    Family.V15: dict.fromkeys(("repaint", "extract", "lego", "complete"), _ON_SOURCE),
}


def task_name(values: Mapping[str, Any]) -> str:
    """The task that settings ask for, however they say it."""
    return "audio2audio" if values["audio2audio_enable"] else str(values["task"])


def takes_source(task: str, src_audio_path: str | None) -> bool:
    """Whether a task starts from a song; cover of 1.5 may do with a reference or audio codes."""
    return task in SOURCE_TASKS and (task != "cover" or bool((src_audio_path or "").strip()))


def source_name(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """The parameter that names the source of a task, and what it says; None where nothing does."""
    names = ("ref_audio_input", "src_audio_path") if task_name(values) == "audio2audio" else ("src_audio_path",)
    return next(((name, str(values[name]).strip()) for name in names if str(values[name] or "").strip()), None)


def settled(values: Mapping[str, Any]) -> dict[str, Any]:
    """What settings say of their task, in one form: the task by its name, its source where it belongs."""
    task = task_name(values)
    found: dict[str, Any] = {"task": task, "audio2audio_enable": False}
    if task in SOURCE_TASKS:
        named = source_name(values)
        own, other = "src_audio_path", "ref_audio_input"
        if task == "audio2audio":
            own, other = other, own
        found |= {own: None if named is None else named[1], other: None}
    if task == "edit":
        for text in ("prompt", "lyrics"):
            target = values[f"edit_target_{text}"]
            found[f"edit_target_{text}"] = values[text] if target is None else target
    return found


def retake_seed_of(seed: int) -> int:
    """The seed of a task's other noise, where none is given, from the song's own."""
    return derived_bits(seed, "retake") >> 32


@cache
def unheard_names(task: str, family: Family = Family.V1) -> frozenset[str]:
    """Parameters that a task does not look at: those of other tasks, and settings of a new song.

    Of a task that the family does not know, those of all tasks.
    """
    return (TASK_PARAMETERS - TASKS[family].get(task, frozenset())) | _UNUSED[family].get(task, frozenset())


def unused_names(task: str, given: Iterable[str], values: Mapping[str, Any], family: Family = Family.V1) -> list[str]:
    """Of the parameters that somebody gave, those that the task has no use for, sorted.

    Of a new song all that only tasks know, so that nothing is passed over in silence; of a task those that ask for
    something else than the default.
    """
    unused = unheard_names(task, family).intersection(given)
    if family is Family.V15 and (values["audio_codes"] or takes_source(task, values["src_audio_path"])):
        unused |= {"audio_duration"}.intersection(given)  # codes and sources have a length of their own
    if task == NEW_SONG:
        return sorted(unused)
    unused -= {"audio2audio_enable", *(("src_audio_path",) if task == "audio2audio" else ())}
    return sorted(name for name in unused if values[name] != SONG[name].default)


def length_s(frames: int) -> float:
    """Seconds of latent frames, rounded up to a thousandth, of which ``latent_frames`` makes as many again."""
    return -(-frames * SAMPLES_PER_FRAME * 1000 // NATIVE_SAMPLE_RATE) / 1000


def task_of(generation: Generation, source: Source | None) -> Task | None:
    """The task as the engine takes it; None for a new song.

    Extending takes what is asked for on either side. The reference takes what the left side gets from the right one.

    Raises:
        ValueError: a task without its source.
    """
    name = generation.task
    if name == NEW_SONG:
        return None
    (retake_seed,) = generation.retake_seeds or (0,)
    if name == "retake":
        return Retake(retake_seed, generation.retake_variance)
    if source is None:
        raise ValueError(f"task {name} has no source")
    if name == "audio2audio":
        return AudioToAudio(source, generation.ref_audio_strength)
    if name == "edit":
        return Edit(
            source,
            retake_seed,
            generation.edit_target_prompt or "",
            generation.edit_target_lyrics or "",
            generation.lyrics_language,
            generation.edit_n_min,
            generation.edit_n_max,
            generation.edit_n_avg,
        )
    start, end = latent_frames(generation.repaint_start), latent_frames(generation.repaint_end)
    if name == "repaint":
        return Repaint(source, start, end, retake_seed, generation.retake_variance)
    right = max(0, end - source_frames(source))
    return Extend(source, max(0, -start), right, retake_seed, generation.retake_variance)
