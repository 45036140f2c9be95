"""The plan of a run on disk: every song with its files, its identity and its micro-batch, so that it can go on."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path, PureWindowsPath
from types import NoneType
from typing import Any

from acestep_batch.models import Family
from acestep_batch.outputs.formats import FORMAT_NAMES
from acestep_batch.outputs.names import safe_name
from acestep_batch.outputs.output_path import OutputTarget
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.outputs.records import json_text, parse_json_text
from acestep_batch.parameter import shown
from acestep_batch.plan import Song
from acestep_batch.problems import one_line, refuse
from acestep_batch.run_folder import read_run_file
from acestep_batch.schema import SONG
from acestep_batch.schema_v15 import Generation
from acestep_batch.song_tasks import takes_source
from acestep_batch.sources import adapters_of, source_of_record

PLAN = "plan.jsonl"
AUDIO = "audio"
"""Folder of the audio files of a run."""

_APART = ("generation", "requested", "source", "reference", "adapters")
_OWN = tuple(each.name for each in fields(Song) if each.name not in _APART)
_IDENTITY = re.compile("[0-9a-f]{64}")
_LONGEST_STEM_BYTES = 220
_SONG_TYPES: Mapping[str, tuple[type, ...]] = {
    "index": (int,), "id": (str,), "song_id": (str,), "place": (str,), "take": (int,), "takes": (int,), "seed": (int,),
    "preset": (str, NoneType), "requested": (dict,),
}  # fmt: skip


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
        "song": _song_line(planned.song),
        "folder": files.folder.relative_to(folder).as_posix() if inside else str(files.folder),
        "stem": files.stem,
        "formats": list(files.formats),
        "facts": dict(planned.facts),
        "identity": planned.identity,
        "batch": planned.batch,
        "same_as": planned.same_as,
    }


def _song_line(song: Song) -> dict[str, Any]:
    """A song as plain values, without the parameters that mean nothing to it."""
    own = {name: getattr(song, name) for name in _OWN}
    own["generation"] = {name: getattr(song.generation, name) for name in song.names_used}
    own["requested"] = {name: song.requested[name] for name in song.names_used if name in song.requested}
    if song.family is not Family.V1:
        own["family"] = str(song.family)
    if song.source is not None:
        own["source"] = asdict(song.source)
    if song.reference is not None:
        own["reference"] = asdict(song.reference)
    if song.adapters:
        own["adapters"] = [[str(each.path), each.weight, each.sha256] for each in song.adapters]
    return own


def read_plan(folder: Path) -> list[PlannedSong]:
    """The plan that a run's folder holds.

    Raises:
        Refused: there is none, or it is not as it was written.
    """
    file = folder / PLAN
    try:
        lines = read_plain_file(file).decode("utf-8").split("\n")  # and not at every line end that Unicode knows
        may_leave = _may_leave(folder)
        plan = [_planned(parse_json_text(line), folder, may_leave) for line in lines if line]
        _check_ids(plan)
        return plan
    except FileNotFoundError:
        raise refuse(str(folder), f"holds no {PLAN}", "give the folder of a run, such as outputs/demo/v0001") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        message = f"is not the plan that was written ({one_line(error)})"
        raise refuse(str(file), message, "delete that file and resume: the run is planned again") from error


def _may_leave(folder: Path) -> bool:
    """Whether the run was allowed to write outside of its folder."""
    own = read_run_file(folder)
    return own is not None and own["facts"].get("output.allow_outside") is True


def _planned(line: Mapping[str, Any], folder: Path, may_leave: bool) -> PlannedSong:
    """One line of a plan. Raises ValueError and others for what no plan of this product holds.

    Files are written, moved and looked for where a plan says; it must not lead anywhere else, whoever wrote it.
    """
    values = dict(line["song"])
    generation = {name: SONG[name].parse(value) for name, value in values["generation"].items()}
    typed = {
        "generation": Generation(**generation),
        "notes": tuple(map(_text, values["notes"])),
        "family": Family(values.get("family", Family.V1)),
        "source": source_of_record(values.get("source")),
        "reference": source_of_record(values.get("reference")),
        "adapters": adapters_of(values.get("adapters", ())),
    }
    song = Song(**{**values, **typed})
    for name, kind in _SONG_TYPES.items():
        if type(getattr(song, name)) not in kind:
            raise ValueError(f"song.{name} is {shown(getattr(song, name))}")
    if song.index < 1 or song.generation.actual_seeds != (song.seed,) or not f"{song.id}{song.song_id}".isprintable():
        raise ValueError(f"song {song.song_id!r} has an impossible place, seed or name")
    if (song.source is not None) != takes_source(song.generation.task, song.generation.src_audio_path):
        raise ValueError(f"song {song.song_id!r} has a source and no task for it, or a task without one")
    if (song.reference is not None) != (song.generation.reference_audio is not None):
        raise ValueError(f"song {song.song_id!r} has a reference and no name for it, or a name without one")
    stem, formats, facts, batch, same_as = (line[name] for name in ("stem", "formats", "facts", "batch", "same_as"))
    if not isinstance(stem, str) or safe_name(stem) != stem or len(stem.encode("utf-8")) > _LONGEST_STEM_BYTES:
        raise ValueError(f"stem {shown(stem)} is no file name")
    if not isinstance(formats, list) or not formats or not set(formats) <= set(FORMAT_NAMES):
        raise ValueError(f"formats {shown(formats)} are none of {', '.join(FORMAT_NAMES)}")
    if not isinstance(facts, dict) or not all(name.isprintable() for name in facts):
        raise ValueError("facts are no names and values")
    if not isinstance(line["identity"], str) or not _IDENTITY.fullmatch(line["identity"]):
        raise ValueError(f"identity {shown(line['identity'])} is no sha256")
    if not (batch is None or (type(batch) is int and batch >= 0)) or not isinstance(same_as, str | None):
        raise ValueError(f"batch {shown(batch)} or same_as {shown(same_as)} is impossible")
    files = OutputTarget(_audio_folder(folder, line["folder"], may_leave), stem, tuple(formats))
    return PlannedSong(song, files, facts, line["identity"], batch, same_as)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is no text")
    return value


def _audio_folder(folder: Path, given: object, may_leave: bool) -> Path:
    """The folder that a plan names: ``audio`` or one below it, or where the run may leave its folder any other."""
    if not isinstance(given, str) or "\0" in given:
        raise ValueError(f"folder {shown(given)} is no folder")
    windows = PureWindowsPath(given)  # its rules see every kind of separator and root
    if windows.anchor and may_leave and Path(given).is_absolute() and ".." not in windows.parts:
        return Path(given)
    if windows.anchor or windows.parts[:1] != (AUDIO,) or any(safe_name(part) != part for part in windows.parts):
        raise ValueError(f"folder {shown(given)} lies outside the run's {AUDIO}")
    return folder.joinpath(*windows.parts)


def _check_ids(plan: Sequence[PlannedSong]) -> None:
    """Raise ValueError where songs share an id, or one shares the audio of a song that is not its own."""
    own = {each.song.song_id: each for each in plan}
    if len(own) != len(plan):
        raise ValueError("two songs have one id")
    for each in plan:
        if each.same_as is not None and (each.same_as not in own or own[each.same_as].same_as is not None):
            raise ValueError(f"{each.song.song_id} has the audio of {shown(each.same_as)}")


def is_same_plan(one: Sequence[PlannedSong], other: Sequence[PlannedSong]) -> bool:
    """Whether two plans make the same songs, with the same names and in the same company, on whichever GPU."""
    return [_settled(each) for each in one] == [_settled(each) for each in other]


def _settled(planned: PlannedSong) -> tuple[Any, ...]:
    song = planned.song
    own = (song.song_id, song.index, song.id, song.take, song.takes, song.preset)
    beside = (song.source, song.reference, song.adapters)
    return *own, *beside, planned.identity, planned.files, planned.batch, planned.same_as


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
