"""Settings that cannot be rendered together, or not on this run's hardware; each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from acestep_batch.compose import Run, Settings
from acestep_batch.engine.base import SETTINGS, SongRequest
from acestep_batch.engine.tasks import Retake
from acestep_batch.engine.v1.refusals import crash_reason
from acestep_batch.engine.v15.durations import CODES_PER_SECOND
from acestep_batch.engine.v15.orchestration import UNPLANNED_TASKS
from acestep_batch.engine.v15.tasks import tasks_of
from acestep_batch.families import foreign_values
from acestep_batch.models import MODELS, Family
from acestep_batch.parameter import plain_number
from acestep_batch.schema_run import Hardware
from acestep_batch.schema_tasks import TASKS
from acestep_batch.song_tasks import NEW_SONG, SEEDED_TASKS, SOURCE_TASKS, source_name, takes_source, task_name
from acestep_batch.target import Target
from acestep_batch.v15_songs import song_problems

_REMEMBERED_LYRICS = 20_000
_INSTEAD: Mapping[str, str] = {
    "retake": "another seed, or task=cover of the song",
    "extend": "model=v1",
    "edit": "task=cover or task=repaint with the new prompt and lyrics",
    "audio2audio": "task=cover with src_audio_path and audio_cover_strength",
    "cover": "task=audio2audio with ref_audio_input, or model=v15",
}
"""What the other family has in a task's place."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A parameter that cannot stand as it is, why, and what to do."""

    key: str
    message: str
    remedy: str


def conflicts(settings: Settings, run: Run, target: Target) -> tuple[Conflict, ...]:
    """Everything that keeps a row with these settings from being rendered."""
    values = settings.values
    foreign = foreign_values(values, sorted(settings.asked), target.family)
    found = [Conflict(each.where, each.message, each.remedy) for each in foreign]
    task = task_name(values) if target.family is Family.V1 else str(values["task"])
    unknown = unknown_task(task, target)
    if unknown is not None:
        found.append(unknown)
        task = NEW_SONG
    elif task != NEW_SONG:
        found += task_conflicts(values) if target.family is Family.V1 else _v15_task_conflicts(values)
    key, longest_s, asked_s = "audio_duration", run.hw.max_duration_s, values["audio_duration"]
    if target.family is Family.V15 and values["audio_codes"]:
        key, asked_s = "audio_codes", len(values["audio_codes"]) / CODES_PER_SECOND
    if asked_s > longest_s and not takes_source(task, values["src_audio_path"]):
        found.append(longest_conflict(key, asked_s, run.hw))
    seeds = values["actual_seeds"]
    if values["takes"] > 1 and isinstance(seeds, tuple) and len(seeds) > 1:
        found.append(Conflict("takes", f"{values['takes']} takes and a list of {len(seeds)} seeds", "give one of them"))
    if values["bf16"] and "bf16" in settings.asked and run.hw.device == "mps" and target.model == "v1":
        found.append(Conflict("bf16", "true, but v1 has no bfloat16 on macOS MPS", "bf16=false is required there"))
    if values["torch_compile"] and "torch_compile" in settings.asked and target.compile_obstacle is not None:
        found.append(Conflict("torch_compile", f"true, but {target.compile_obstacle}", "or set torch_compile=false"))
    if target.device == "cuda" and values["device_id"] >= target.gpu_count > 0:
        found.append(
            Conflict(
                "device_id",
                f"{values['device_id']} is not there: {target.gpu_count} visible",
                f"choose 0 to {target.gpu_count - 1}",
            )
        )
    if target.family is Family.V15:
        return (*found, *(_v15_conflicts(settings, target) if unknown is None else ()))
    if len(values["lora_weight"]) not in (1, len(values["lora_name_or_path"])) and values["lora_name_or_path"]:
        message = f"{len(values['lora_weight'])} weights for {len(values['lora_name_or_path'])} LoRAs"
        found.append(Conflict("lora_weight", message, "give one for each, or one for all"))
    if task not in SOURCE_TASKS:  # of the others the source decides too
        given = {name: values[name] for name in SETTINGS if name not in ("seed", "audio_duration")}
        retake = None if task == NEW_SONG else Retake(0, values["retake_variance"])
        request = SongRequest(seed=0, audio_duration=asked_s if asked_s > 0 else longest_s, **given, task=retake)
        if reason := crash_reason(request):
            found.append(Conflict("settings", reason, "change one of them; the reference implementation fails on this"))
    return tuple(found)


def longest_conflict(key: str, asked_s: float, hw: Hardware) -> Conflict:
    """A song that is longer than the profile allows, in seconds."""
    asked, longest = plain_number(asked_s), plain_number(hw.max_duration_s)
    message = f"{asked} s is longer than hw={hw.name} allows ({longest} s)"
    return Conflict(key, message, f"shorten it, or raise the limit with hw.max_duration_s={asked}")


def unknown_task(task: str, target: Target) -> Conflict | None:
    """Why a run's model does not know a task; None where it does."""
    family = target.family
    if task not in TASKS[family]:
        known = f"{family.full_name} knows {', '.join(TASKS[family])}"
        return Conflict("task", f"{task} is not among its model's tasks: {known}", _INSTEAD.get(task, "model=v15_base"))
    if target.v15 is None or task in tasks_of(target.v15.variant):
        return None
    models = [name for name, each in MODELS.items() if each.variant is not None and task in tasks_of(each.variant)]
    known = f"{target.model} knows {', '.join(tasks_of(target.v15.variant))}"
    remedy = " or ".join(f"model={name}" for name in models)
    return Conflict("task", f"{task} needs a base model: {known}", f"choose {remedy}")


def task_conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    """What a task of v1 lacks, or has twice, before its source is looked at."""
    task, given = task_name(values), values["task"]
    if values["audio2audio_enable"] and given not in (NEW_SONG, task):
        yield Conflict("audio2audio_enable", f"true, and the task is {given}", "give one of them")
    if task in SOURCE_TASKS and source_name(values) is None:
        name = "ref_audio_input" if task == "audio2audio" else "src_audio_path"
        yield Conflict(name, f"is missing: {task} starts from a song", "give an audio file, or @ID of another row")
    if values["repaint_end"] < 0 and task in ("repaint", "extend"):
        yield Conflict("repaint_end", "-1 is the source's end with ACE-Step 1.5 alone", "write the time in seconds")
    if task == "retake" and values["src_audio_path"]:
        remedy = "leave it out, or use task=repaint or task=audio2audio"
        yield Conflict("src_audio_path", "retake makes the song of its seed again, from no audio", remedy)
    if task == "edit" and values["edit_target_prompt"] is None and values["edit_target_lyrics"] is None:
        yield Conflict("edit_target_prompt", "nor edit_target_lyrics is given: edit leads to none", "give one of them")
    seeds, retakes = values["actual_seeds"], values["retake_seeds"] or ()
    audios = max(len(seeds) if isinstance(seeds, tuple) else 1, values["takes"])
    if task in SEEDED_TASKS and len(retakes) > 1 and audios not in (1, len(retakes)):
        message = f"{len(retakes)} of them, and {audios} songs to be made"
        yield Conflict("retake_seeds", message, "give one for each, or one for all")
    if len(set(retakes)) != len(retakes) and task in SEEDED_TASKS:
        yield Conflict("retake_seeds", "names a seed twice", "give each once")


def _v15_task_conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    """What a task of 1.5 lacks, or has twice, before its source is looked at."""
    task, codes, source = str(values["task"]), values["audio_codes"], source_name(values)
    if source is None and task != "cover":
        remedy = "give an audio file, or @ID of another row"
        yield Conflict("src_audio_path", f"is missing: {task} starts from a song", remedy)
    elif source is None and not codes and not (values["reference_audio"] or "").strip():
        message = "is missing: cover starts from a song, from a reference_audio or from audio_codes"
        yield Conflict("src_audio_path", message, "give an audio file, or @ID of another row")
    elif source is not None and codes and task == "cover":
        yield Conflict("audio_codes", "and src_audio_path are given: codes would replace the song", "give one of them")


def _v15_conflicts(settings: Settings, target: Target) -> Iterator[Conflict]:
    if target.v15 is None:
        return
    is_planned = settings.values["planner"] == "auto" and settings.values["task"] not in UNPLANNED_TASKS
    if is_planned and target.planner_problems:
        yield from (Conflict("planner", f"auto, but {each.message}", each.remedy) for each in target.planner_problems)
        return
    values, _ = target.effective(settings)
    nothing = not (source_name(values) or values["reference_audio"] or values["audio_codes"])
    if nothing and values["task"] == "cover":
        return  # there is nothing to judge
    for problem in song_problems(values, target.v15.variant):
        yield Conflict(problem.where, problem.message, problem.remedy)


@lru_cache(_REMEMBERED_LYRICS)
def lyric_conflicts(lyrics: str, lyrics_language: str | None) -> tuple[Conflict, ...]:
    """Every line of lyrics that v1 cannot read; v1's libraries for lyrics load here."""
    from acestep_batch.engine.v1.lyrics import lyric_problems

    found = lyric_problems(lyrics, lyrics_language)
    return tuple(Conflict("lyrics", each.message, each.remedy) for each in found)
