"""Which songs wait for which: a level for each song of a run, and the first song of the chain that it stands in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from acestep_batch.plan import Song


class Step(NamedTuple):
    """Where a song stands in its chain."""

    level: int
    """0 where it waits for no song of its run, else one more than the song that it starts from."""
    first: str
    """The song's id with which the chain begins; its own at level 0, unless a song joins its chain to another."""


def steps(songs: Iterable[Song]) -> dict[str, Step]:
    """The step of every song, by its id; what a song is made from is among the songs, and no chain is a circle.

    A song that is made from two others (a source and a reference) makes one chain of theirs.
    """
    waiting = {song.song_id: [each.song_id for each in song.beginnings if each.song_id is not None] for song in songs}
    level: dict[str, int] = {}
    joined: dict[str, str] = {}
    for song_id in waiting:
        path = [song_id]
        while path:
            current = path[-1]
            if later := [each for each in waiting[current] if each not in level]:
                path.append(later[0])
                continue
            path.pop()
            if current in level:
                continue
            level[current] = 1 + max((level[each] for each in waiting[current]), default=-1)
            joined[current] = current
            firsts = [_first(joined, each) for each in waiting[current]]
            for each in (*firsts[1:], current) if firsts else ():
                joined[each] = firsts[0]
    return {song_id: Step(level[song_id], _first(joined, song_id)) for song_id in waiting}


def _first(joined: Mapping[str, str], song_id: str) -> str:
    while joined[song_id] != song_id:
        song_id = joined[song_id]
    return song_id
