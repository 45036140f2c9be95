"""The plan of a run on disk: every song with its files, its identity and its micro-batch, so that it can go on."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from acestep_batch.outputs.output_path import OutputTarget
from acestep_batch.outputs.records import json_text
from acestep_batch.plan import Song
from acestep_batch.problems import refuse
from acestep_batch.schema import SONG, Generation

PLAN = "plan.jsonl"


@dataclass(frozen=True, slots=True)
class PlannedSong:
    """One song of a run, and what is to become of it."""

    song: Song
    files: OutputTarget
    facts: Mapping[str, Any]
    """What decides its sound (``identity.sound_facts``)."""
    identity: str
    batch: int | None = None
    """Its micro-batch, counted from 0 over the run; None where it needs none any more."""
    same_as: str | None = None
    """The id of an earlier song with the same identity, whose audio it shares."""


def plan_text(plan: Iterable[PlannedSong], folder: Path) -> str:
    """The plan as JSON lines; files below ``folder`` are named from there, so that the folder can be moved."""
    return "".join(json_text(_line(each, folder)) + "\n" for each in plan)


def _line(planned: PlannedSong, folder: Path) -> dict[str, Any]:
    files = planned.files
    inside = files.folder.is_relative_to(folder)
    return {
        "song": asdict(planned.song),
        "folder": files.folder.relative_to(folder).as_posix() if inside else str(files.folder),
        "stem": files.stem,
        "formats": list(files.formats),
        "facts": dict(planned.facts),
        "identity": planned.identity,
        "batch": planned.batch,
        "same_as": planned.same_as,
    }


def read_plan(folder: Path) -> list[PlannedSong]:
    """The plan that a run's folder holds.

    Raises:
        Refused: there is none, or it is not as it was written.
    """
    file = folder / PLAN
    try:
        lines = file.read_text(encoding="utf-8").split("\n")  # and not at every line end that Unicode knows
        return [_planned(json.loads(line), folder) for line in lines if line]
    except FileNotFoundError:
        raise refuse(str(folder), f"holds no {PLAN}", "give the folder of a run, such as outputs/demo/v0001") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        message = f"is not the plan that was written ({type(error).__name__}: {error})"
        raise refuse(str(file), message, "repeat the run's command, which makes a new version") from error


def _planned(line: Mapping[str, Any], folder: Path) -> PlannedSong:
    values = dict(line["song"])
    generation = {name: SONG[name].parse(value) for name, value in values["generation"].items()}
    song = Song(**{**values, "generation": Generation(**generation), "notes": tuple(values["notes"])})
    files = OutputTarget(folder / str(line["folder"]), str(line["stem"]), tuple(line["formats"]))
    if not (
        isinstance(line["facts"], dict)
        and isinstance(line["batch"], int | None)
        and isinstance(line["same_as"], str | None)
    ):
        raise TypeError("facts, batch or same_as are of another kind")
    return PlannedSong(song, files, line["facts"], str(line["identity"]), line["batch"], line["same_as"])


def is_same_plan(one: Sequence[PlannedSong], other: Sequence[PlannedSong]) -> bool:
    """Whether two plans make the same songs, with the same names and in the same company, on whichever GPU."""
    return [_settled(each) for each in one] == [_settled(each) for each in other]


def _settled(planned: PlannedSong) -> tuple[Any, ...]:
    song = planned.song
    own = (song.song_id, song.index, song.id, song.take, song.takes, song.preset)
    return *own, planned.identity, planned.files, planned.batch, planned.same_as


def with_duplicates(plan: Sequence[PlannedSong], done: Container[str] = ()) -> list[PlannedSong]:
    """The plan with ``same_as`` set for every song that another one with the same formats sounds like.

    The one that is rendered is one of the ids in ``done`` where there is one, else the first.
    """
    first: dict[tuple[str, tuple[str, ...]], str] = {}
    for each in sorted(plan, key=lambda each: each.song.song_id not in done):
        first.setdefault((each.identity, each.files.formats), each.song.song_id)
    found = []
    for each in plan:
        twin = first[each.identity, each.files.formats]
        is_own = twin == each.song.song_id
        found.append(replace(each, same_as=None if is_own else twin, batch=each.batch if is_own else None))
    return found


def batches_of(plan: Iterable[PlannedSong]) -> dict[int, list[PlannedSong]]:
    """The songs of each micro-batch, in the order of the plan."""
    found: dict[int, list[PlannedSong]] = {}
    for each in plan:
        if each.batch is not None:
            found.setdefault(each.batch, []).append(each)
    return found


def stored_seeds(plan: Iterable[PlannedSong]) -> dict[str, tuple[int, ...]]:
    """The seeds of each row, by the row's id."""
    found: dict[str, tuple[int, ...]] = {}
    for each in sorted(plan, key=lambda each: each.song.take):
        found[each.song.id] = (*found.get(each.song.id, ()), each.song.seed)
    return found
