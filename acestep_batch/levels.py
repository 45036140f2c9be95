"""Which songs wait for which: a level for each song of a run, and the first song of the chain that it stands in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from acestep_batch.plan import Song


class Step(NamedTuple):
    """Where a song stands in its chain."""

    level: int
    """0 where it waits for no song of its run, else one more than the song that it starts from."""
    first: str
    """The song's id with which the chain begins; its own at level 0."""


def steps(songs: Iterable[Song]) -> dict[str, Step]:
    """The step of every song, by its id; a song's source is among the songs, and no chain is a circle."""
    waiting: dict[str, str] = {}
    found: dict[str, Step] = {}
    for song in songs:
        if song.source is None or song.source.song_id is None:
            found[song.song_id] = Step(0, song.song_id)
        else:
            waiting[song.song_id] = song.source.song_id
    for song_id in waiting:
        path = []
        while song_id not in found:
            path.append(song_id)
            song_id = waiting[song_id]
        level, first = found[song_id]
        for number, each in enumerate(reversed(path), level + 1):
            found[each] = Step(number, first)
    return found
