"""Which recorded songs are rendered again together: each in the company in which it was made; and a sample of them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from acestep_batch.checks import CheckedRun
from acestep_batch.plan import Song
from acestep_batch.problems import Refused, refuse
from acestep_batch.recorded import Recorded, song_of_row
from acestep_batch.run_plan import batches_of
from acestep_batch.song_checks import CheckedSong


@dataclass(slots=True)
class Company:
    """Songs for one call of the engine."""

    run: CheckedRun
    songs: tuple[Song, ...]
    recorded: Recorded
    """One of those that are compared: all were made on the same engine."""
    compared: list[tuple[CheckedSong, str]] = field(default_factory=list)
    """The songs that are held against their files, each with the id of the song whose rendering it shares."""


def companies_of(run: CheckedRun) -> list[Company]:
    """Every made song of a run in the company that its record tells of, with those that share its audio.

    A micro-batch of the plan was rendered whole, or, where memory or an error did not allow it, in halves of halves or
    song by song; how many there were stands in the record. Where the company cannot be found any more, because the
    plan has changed since, the song stands alone.
    """
    by_id = {song.song_id: song for song in run.songs}
    batches = batches_of(song.planned for song in run.songs if song.planned is not None)
    found: dict[tuple[str, ...], Company] = {}
    for song in run.songs:
        if not song.is_made or not song.files:
            continue
        source = _source(song, by_id)
        recorded = next(iter(source.files.values()))
        number = source.planned.batch if source.planned is not None else None
        planned = [each.song.song_id for each in batches.get(-1 if number is None else number, ())]
        ids = _group(planned, source.song_id, recorded.micro_batch)
        if ids not in found:
            songs = tuple(_song(by_id[each]) for each in ids)
            found[ids] = Company(run, songs, recorded)
        found[ids].compared.append((song, source.song_id))
    return list(found.values())


def _source(song: CheckedSong, by_id: Mapping[str, CheckedSong]) -> CheckedSong:
    """The song whose rendering this one shares: its twin, as long as both records ask for the same sound."""
    twin = by_id.get((song.planned.same_as if song.planned is not None else None) or "")
    if twin is None or not twin.is_made or not twin.files:
        return song
    own, other = (next(iter(each.files.values())) for each in (song, twin))
    return twin if _sound(own) == _sound(other) else song


def _sound(recorded: Recorded) -> tuple[object, ...]:
    generation = recorded.song.generation
    return recorded.song.request(), generation.bf16, generation.torch_compile, recorded.sample_rate


def _group(planned: Sequence[str], song_id: str, size: int) -> tuple[str, ...]:
    """The songs of a planned micro-batch that were rendered with one of them, given how many there were."""
    group = tuple(planned) if song_id in planned else (song_id,)
    while len(group) > size > 1:
        middle = (len(group) + 1) // 2
        group = group[:middle] if song_id in group[:middle] else group[middle:]
    return group if len(group) == size else (song_id,)


def _song(song: CheckedSong) -> Song:
    """A song as its record has it; of one that has none, which only keeps others company, as the plan has it."""
    if song.files:
        return replace(next(iter(song.files.values())).replay, song_id=song.song_id)
    try:
        if song.record is not None:
            return replace(song_of_row(song.record, song.song_id), song_id=song.song_id)
    except Refused:
        pass
    if song.planned is None:
        raise ValueError(f"{song.song_id} is neither recorded nor planned")
    return song.planned.song


def sample(companies: Sequence[Company], asked: str | None, seed: int) -> list[Company]:
    """Some of the companies, drawn at random until they hold as many songs as asked for; all where nothing is asked.

    ``asked`` is a share such as ``5%``, or a number of songs; at least one is drawn.

    Raises:
        Refused: it is neither.
    """
    if asked is None:
        return list(companies)
    total = sum(len(company.compared) for company in companies)
    text, is_share = asked.strip().removesuffix("%"), asked.strip().endswith("%")
    try:
        number = float(text) if is_share else int(text)
    except ValueError:
        number = -1
    if not (0 < number <= 100 if is_share else number > 0):
        raise refuse(f"--sample {asked}", "is neither a share nor a number of songs", "such as --sample 5% or 20")
    wanted = math.ceil(total * number / 100) if is_share else number
    order = list(range(len(companies)))
    random.Random(seed).shuffle(order)
    drawn: list[int] = []
    for place in order:
        if sum(len(companies[each].compared) for each in drawn) >= wanted:
            break
        drawn.append(place)
    return [companies[place] for place in sorted(drawn)]
