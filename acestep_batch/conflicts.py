"""Settings that cannot be rendered together, or not on this run's hardware; each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from acestep_batch.compose import Run, Settings
from acestep_batch.engine.base import SETTINGS, SongRequest
from acestep_batch.engine.v1.refusals import crash_reason
from acestep_batch.families import foreign_values
from acestep_batch.models import Family
from acestep_batch.parameter import plain_number
from acestep_batch.target import Target
from acestep_batch.v15_songs import song_problems

_REMEMBERED_LYRICS = 20_000


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
    longest_s, asked_s = run.hw.max_duration_s, values["audio_duration"]
    if asked_s > longest_s:
        asked, longest = plain_number(asked_s), plain_number(longest_s)
        found.append(
            Conflict(
                "audio_duration",
                f"{asked} s is longer than hw={run.hw.name} allows ({longest} s)",
                f"shorten it, or raise the limit with hw.max_duration_s={asked}",
            )
        )
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
        return (*found, *_v15_conflicts(settings, target))
    given = {name: values[name] for name in SETTINGS if name not in ("seed", "audio_duration")}
    request = SongRequest(seed=0, audio_duration=asked_s if asked_s > 0 else longest_s, **given)
    if reason := crash_reason(request):
        found.append(Conflict("settings", reason, "change one of them; the reference implementation fails on this"))
    return tuple(found)


def _v15_conflicts(settings: Settings, target: Target) -> Iterator[Conflict]:
    if target.v15 is None:
        return
    if settings.values["planner"] == "auto" and target.planner_problems:
        yield from (Conflict("planner", f"auto, but {each.message}", each.remedy) for each in target.planner_problems)
        return
    values, _ = target.effective(settings)
    for problem in song_problems(values, target.v15.variant):
        yield Conflict(problem.where, problem.message, problem.remedy)


@lru_cache(_REMEMBERED_LYRICS)
def lyric_conflicts(lyrics: str, lyrics_language: str | None) -> tuple[Conflict, ...]:
    """Every line of lyrics that v1 cannot read; v1's libraries for lyrics load here."""
    from acestep_batch.engine.v1.lyrics import lyric_problems

    found = lyric_problems(lyrics, lyrics_language)
    return tuple(Conflict("lyrics", each.message, each.remedy) for each in found)
