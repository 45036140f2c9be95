"""Files that stand in a song's way: the run's own torn ones go, all others move to ``superseded/``, never lost."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from acestep_batch.loudness_copies import copy_path
from acestep_batch.outputs.atomic import TEMPORARY_PREFIX, make_folder, sync_folder
from acestep_batch.outputs.tags import read_record
from acestep_batch.problems import Refused
from acestep_batch.run_plan import PlannedSong

log = logging.getLogger(__name__)

SUPERSEDED = "superseded"


def set_aside(
    folder: Path, songs: Iterable[PlannedSong], records: Mapping[str, Mapping[str, Any]], *, trust: bool = True
) -> dict[Path, Path]:
    """Clear the names of songs that are to be made, or that are asked for no more.

    A file that holds the very song that is planned there, but was never recorded as finished, was torn from its record
    by a crash or an error, and is deleted. Everything else moves to the next free ``superseded/0001``, with its place
    in the run kept. Returns where each of those is now.

    Args:
        records: the record that counts for each song that has one, by the song's id.
        trust: whether the records are whole. Where a line is damaged or the ledger is gone, a file without a record may
            be a finished song, and is kept like all others.
    """
    place: Path | None = None
    moves: dict[Path, Path] = {}
    for planned in songs:
        record = records.get(planned.song.song_id, {})
        is_finished = record.get("identity") == planned.identity and record.get("status") == "ok"
        for path in song_paths(planned, folder):
            if not path.exists():
                continue
            if trust and not is_finished and _is_torn(planned, path):
                path.unlink()
                sync_folder(path.parent)
                continue
            place = place or _next_free(folder / SUPERSEDED)
            inside = (
                path.relative_to(folder) if path.is_relative_to(folder) else Path("outside", *path.absolute().parts[1:])
            )
            make_folder((place / inside).parent)
            shutil.move(path, place / inside)
            sync_folder((place / inside).parent)
            sync_folder(path.parent)
            log.info("%s moved to %s", path, place / inside)
            moves[path] = place / inside
    return moves


def song_paths(planned: PlannedSong, folder: Path) -> list[Path]:
    """A song's audio files, their copies at another loudness, and the records beside them."""
    audio = [planned.files.path(name) for name in planned.files.formats]
    copies = [copy_path(folder, path) for path in audio]
    return [*audio, *copies, *(path.with_name(f"{path.name}.json") for path in audio)]


def remove_temporary_files(folder: Path) -> None:
    """Delete the unfinished files of killed processes; only while no other process is at work in the folder."""
    for path in folder.rglob(f"{TEMPORARY_PREFIX}*"):
        if path.is_file():
            path.unlink()


def _is_torn(planned: PlannedSong, path: Path) -> bool:
    """Whether the file is this song, or a record without a file."""
    if path.suffix == ".json":
        return not path.with_suffix("").exists()
    try:
        return dict((read_record(path) or {}).get("record", {})).get("identity") == planned.identity
    except (Refused, TypeError, ValueError):
        return False


def _next_free(folder: Path) -> Path:
    taken = [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()] if folder.is_dir() else []
    place = folder / f"{max(taken, default=0) + 1:04d}"
    make_folder(place)
    return place
