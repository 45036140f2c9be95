"""What is left to do: a run's songs held against what is on disk, each song that is made again with its reason."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from acestep_batch.identity import changed_facts
from acestep_batch.latents_files import latents_file
from acestep_batch.levels import steps
from acestep_batch.outputs.audio_files import decoded, file_sha256
from acestep_batch.outputs.output_path import unique_targets
from acestep_batch.outputs.plain_files import check_plain_file
from acestep_batch.record import shown_path
from acestep_batch.run_plan import PlannedSong, batches_of, with_duplicates

Batching = Callable[[Sequence[PlannedSong], Sequence[Hashable]], list[list[int]]]
"""Micro-batches of songs, as positions in the sequence, given what else those of one batch must share."""


@dataclass(frozen=True, slots=True)
class Work:
    """A plan, and what of it is still to be done."""

    plan: tuple[PlannedSong, ...]
    todo: Mapping[str, str]
    """The songs to be made, by id, each with its reason."""
    dropped: tuple[PlannedSong, ...] = ()
    """Songs of the earlier plan that this one has no more, or not in this form: what is on disk of them gives way."""
    moved: Mapping[str, str] = field(default_factory=dict)
    """Those of ``todo`` that need no engine, for they are songs of ``dropped`` under another id: that id of each."""

    @property
    def finished(self) -> int:
        """Songs that need nothing."""
        return len(self.plan) - len(self.todo)


def first_plan(songs: Sequence[PlannedSong], batching: Batching) -> Work:
    """The work of a run that begins."""
    plan = with_duplicates(songs)
    plan = _batched(plan, 0, batching, plan)
    return Work(tuple(plan), {each.song.song_id: "not made yet" for each in plan})


def plan_again(
    songs: Sequence[PlannedSong],
    before: Sequence[PlannedSong],
    records: Mapping[str, Mapping[str, Any]],
    folder: Path,
    batching: Batching,
    *,
    is_part: bool = False,
) -> Work:
    """The work of a run that goes on: ``songs`` are what is asked now, ``before`` what was planned.

    Where ``songs`` are only a part of what is asked, as with ``limit``, the others stay as they are.
    A song that is done keeps its files and its names. Micro-batches stay as they were planned while all their songs do,
    so that a torn one is rendered in the same company and to the same bits.
    """
    old = {each.song.song_id: each for each in before}
    asked = {each.song.song_id for each in songs}
    beyond = [each for each in before if is_part and each.song.song_id not in asked]
    songs = [*_with_old_names(songs, old, beyond), *beyond]
    now = {each.song.song_id: each for each in songs}
    todo: dict[str, str] = {}
    for each in (each for each in songs if each.song.song_id in asked):
        reason = _reason(each, old.get(each.song.song_id), records.get(each.song.song_id), folder)
        if reason:
            todo[each.song.song_id] = reason
    kept = {
        number: members
        for number, members in batches_of(before).items()
        if all(_unchanged(member, now.get(member.song.song_id)) for member in members)
    }
    batch_of = {member.song.song_id: number for number, members in kept.items() for member in members}
    dropped = tuple(each for each in before if not _unchanged(each, now.get(each.song.song_id)))
    moved = _moved([now[song_id] for song_id in todo], dropped, records, folder)
    todo |= {song_id: f"has the audio of {earlier}, which it was before" for song_id, earlier in moved.items()}
    done = (now.keys() - todo.keys()) | moved.keys()
    plan = with_duplicates([replace(each, batch=batch_of.get(each.song.song_id)) for each in songs], done)
    rest = [each for each in plan if each.batch is None and each.song.song_id in todo.keys() - moved.keys()]
    first_free = max((each.batch for each in before if each.batch is not None), default=-1) + 1
    placed = {each.song.song_id: each for each in _batched(rest, first_free, batching, plan)}
    plan = [placed.get(each.song.song_id, each) for each in plan]
    own = {each.song.song_id: moved[each.song.song_id] for each in plan
           if each.same_as is None and each.song.song_id in moved}  # fmt: skip
    return Work(tuple(plan), todo, dropped, own)


def _moved(
    wanted: Sequence[PlannedSong],
    dropped: Sequence[PlannedSong],
    records: Mapping[str, Mapping[str, Any]],
    folder: Path,
) -> dict[str, str]:
    """The finished songs of an earlier plan that are wanted under other ids: a row that moved, or has more takes."""
    there = {
        (each.identity, each.files.formats): each.song.song_id
        for each in dropped
        if (record := records.get(each.song.song_id)) is not None
        and record.get("identity") == each.identity
        and record["status"] == "ok"
        and not files_reason(record, folder)
    }
    found = {each.song.song_id: there.get((each.identity, each.files.formats)) for each in wanted}
    return {song_id: earlier for song_id, earlier in found.items() if earlier is not None and earlier != song_id}


def _with_old_names(
    songs: Sequence[PlannedSong], old: Mapping[str, PlannedSong], beyond: Sequence[PlannedSong]
) -> list[PlannedSong]:
    """Songs that are asked for unchanged keep their files, whatever their places in the manifest are now.

    New songs keep out of their way, and out of that of songs ``beyond`` what is asked.
    """
    kept = {
        song_id: before.files
        for each in songs
        if (before := old.get(song_id := each.song.song_id)) is not None
        and before.identity == each.identity
        and before.files.formats == each.files.formats
        and before.song.generation.output_path == each.song.generation.output_path
    }
    new = [each for each in songs if each.song.song_id not in kept]
    taken = [*kept.values(), *(each.files for each in beyond)]
    names = unique_targets([*taken, *(each.files for each in new)])[len(taken) :]
    files = kept | {each.song.song_id: name for each, name in zip(new, names, strict=True)}
    return [replace(each, files=files[each.song.song_id]) for each in songs]


def _unchanged(old: PlannedSong, now: PlannedSong | None) -> bool:
    return now is not None and now.identity == old.identity and now.files == old.files


def _batched(
    songs: Sequence[PlannedSong], first: int, batching: Batching, plan: Sequence[PlannedSong]
) -> list[PlannedSong]:
    """The songs with their micro-batches, counted from ``first``; a song that sounds like another needs none.

    Those that start from others of the ``plan`` come after them, level by level, together only where the first songs of
    their chains are: so whoever makes a batch of the first songs can make all that follows from them.
    """
    found = {each.song.song_id: each for each in songs}
    step, batch_of = steps(each.song for each in plan), first_batches(plan)
    alone = sorted((each for each in songs if each.same_as is None), key=lambda each: step[each.song.song_id].level)
    starts = sum(step[each.song.song_id].level == 0 for each in alone)
    for own in (alone[:starts], alone[starts:]):
        chains = [step[each.song.song_id] for each in own]
        apart = [(level, batch_of(chain)) if level else None for level, chain in chains]
        batches = batching(own, apart) if own else []
        for number, positions in enumerate(batches, first):
            for position in positions:
                song_id = own[position].song.song_id
                found[song_id] = replace(found[song_id], batch=number)
        first += len(batches)
        batch_of = first_batches([found.get(each.song.song_id, each) for each in plan])
    return list(found.values())


def first_batches(plan: Sequence[PlannedSong]) -> Callable[[str], int | None]:
    """Tells the micro-batch of a song, or of the one whose audio it shares; None where it has none any more."""
    own = {each.song.song_id: each for each in plan}

    def batch_of(song_id: str) -> int | None:
        planned = own[song_id]
        return planned.batch if planned.same_as is None else own[planned.same_as].batch

    return batch_of


def _reason(song: PlannedSong, old: PlannedSong | None, record: Mapping[str, Any] | None, folder: Path) -> str:
    """Why a song is to be made; empty where it is done."""
    if record is None:
        return "not made yet"
    if old is not None and old.identity != song.identity:
        return f"changed: {', '.join(changed_facts(old.facts, song.facts))}"
    if record.get("identity") != song.identity:
        return "not made yet"
    if record["status"] != "ok":
        return f"failed: {record['error']}"
    if {str(file["path"]) for file in record["audio"]} != {
        shown_path(song.files.path(name), folder) for name in song.files.formats
    }:
        return "changed: output_path"
    if record.get("latents") and not latents_file(folder, song.identity).is_file():
        return "its latents are missing"
    return files_reason(record, folder)


def files_reason(record: Mapping[str, Any], folder: Path) -> str:
    """What is wrong with the audio files of a finished song; empty where every file is there with its samples."""
    for file in record["audio"]:
        path = folder / str(file["path"])
        try:
            check_plain_file(path)
            if file_sha256(path) != file["file_sha256"] and decoded(path)[0] != file["pcm_sha256"]:
                return f"{file['path']}: its samples are not those that were written"
        except FileNotFoundError:
            return f"{file['path']} is missing"
        except (OSError, RuntimeError) as error:
            return f"{file['path']} cannot be read ({error})"
    return ""
