"""A song of an earlier run as what a task starts from: found by folder and id, and held against its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from acestep_batch.latents_files import DAMAGED, latents_file, latents_sha256, read_latents
from acestep_batch.ledger import latest, read_ledger
from acestep_batch.models import Family
from acestep_batch.parameter import named
from acestep_batch.problems import Refused, one_line
from acestep_batch.run_folder import read_run_file
from acestep_batch.run_plan import PLAN, PlannedSong, read_plan
from acestep_batch.sources import LATENTS, SONG_AUDIO, WHOLE_FILE, SongSource, audio_facts

T = TypeVar("T")


class EarlierRun:
    """What a finished run's folder holds, read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    @cached_property
    def _plan(self) -> Sequence[PlannedSong]:
        return read_plan(self.folder)

    @cached_property
    def _records(self) -> Mapping[str, Mapping[str, Any]]:
        return latest(read_ledger(self.folder).records)

    @cached_property
    def _keeps_latents(self) -> bool:
        own = read_run_file(self.folder)
        return own is not None and own["facts"].get("output.save_latents") is True

    def source(self, name: str, family: Family, fits: Callable[[NDArray[Any]], bool]) -> SongSource:
        """The song of an id: of a song or, where it makes one song alone, of a row; as a model of ``family`` reads it.

        Latents that were kept are taken where they are of the family and ``fits`` says so, else the audio.

        Raises:
            ValueError: there is none, or its files are not those that were written; the message says why.
        """
        try:
            planned = only_song(name, [(each.song.song_id, each.song.id, each) for each in self._plan])
            record = self._records.get(planned.song.song_id)
            if record is None or record.get("identity") != planned.identity:
                raise ValueError(f"{planned.song.song_id} is not made yet in {self.folder}")
            if record["status"] != "ok":
                raise ValueError(f"{planned.song.song_id} failed in {self.folder}: {record['error']}")
            return self._source(planned, record, family, fits)
        except Refused as refused:
            raise ValueError("; ".join(f"{each.where}: {each.message}" for each in refused.problems)) from refused
        except (LookupError, TypeError, AttributeError, OSError) as error:
            raise ValueError(f"{self.folder} cannot be read ({one_line(error)})") from error

    def _source(
        self, planned: PlannedSong, record: Mapping[str, Any], family: Family, fits: Callable[[NDArray[Any]], bool]
    ) -> SongSource:
        frames, is_own = int(record["frames"]), planned.song.family is family
        kept = latents_file(self.folder, planned.identity)
        if is_own and self._keeps_latents and kept.is_file():
            try:
                latents, _ = read_latents(kept, frames)
            except DAMAGED as error:
                raise ValueError(f"{kept} cannot be used ({one_line(error)})") from error
            if fits(latents):
                return SongSource(frames, LATENTS, str(kept), latents_sha256(latents), identity=planned.identity)
        audio = record["audio"][0]
        path = self.folder / str(audio["path"])
        found = audio_facts(path)
        if found.sha256 != audio["pcm_sha256"]:
            raise ValueError(f"{path}: its samples are not those that were written")
        if not is_own:  # frames of another length
            return SongSource(found.frames(family), WHOLE_FILE, str(path), found.sha256, identity=planned.identity)
        return SongSource(frames, SONG_AUDIO, str(path), found.sha256, identity=planned.identity)


def run_of(text: str, places: Sequence[Path]) -> tuple[Path, str] | None:
    """The run's folder and the id that ``FOLDER/ID`` names, seen from the first of ``places`` where there is one."""
    folder, _, name = text.rpartition("/")
    found = (place / folder for place in places)
    return next(((each, name) for each in found if folder and (each / PLAN).is_file()), None)


def only_song(name: str, songs: Sequence[tuple[str, str, T]]) -> T:
    """The song of a name among (song's id, row's id, song).

    Raises:
        ValueError: there is none, or several; the message names them.
    """
    for song_id, _, song in songs:
        if song_id == name:
            return song
    own = [(song_id, song) for song_id, row, song in songs if row == name]
    if not own:
        raise ValueError(f"there is no song {name}")
    if len(own) > 1:
        raise ValueError(f"{name} makes {len(own)} songs; name one of {named([song_id for song_id, _ in own])}")
    return own[0][1]
