"""Rows to songs: seeds, lengths and tasks decided, one song for each audio file."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence

from acestep_batch.compose import Run, Settings
from acestep_batch.layers import EMPTY
from acestep_batch.models import Family
from acestep_batch.parameter import RANDOM
from acestep_batch.plan import CheckedRow, Song
from acestep_batch.schema_v15 import Generation
from acestep_batch.seeds import drawn_duration_s, seed_of_id, take_seeds
from acestep_batch.song_tasks import NEW_SONG, SEEDED_TASKS, retake_seed_of, settled, task_name
from acestep_batch.target import Target
from acestep_batch.v15_songs import known_length_s


def seeds_of(settings: Settings, row_id: str) -> tuple[int, ...]:
    """A row's seeds, one for each audio; ``random`` draws from the operating system."""
    given = settings.values["actual_seeds"]
    if given == RANDOM:
        first: tuple[int, ...] = (secrets.randbits(32),)
    else:
        first = given or (seed_of_id(row_id),)
    takes = settings.values["takes"]
    return take_seeds(first[0], takes) if takes > 1 else first


def audios_of(settings: Settings) -> int:
    """How many audios a row makes."""
    given = settings.values["actual_seeds"]
    own = max(len(given) if isinstance(given, tuple) else 1, int(settings.values["takes"]))
    return max(own, len(_retake_seeds(settings)))


def _retake_seeds(settings: Settings) -> tuple[int, ...]:
    """The seeds that a row names for its task's other noise; none where its task has no such noise."""
    values = settings.values
    return (values["retake_seeds"] or ()) if task_name(values) in SEEDED_TASKS else ()


def seed_pairs(settings: Settings, seeds: Sequence[int]) -> list[tuple[int, int | None]]:
    """The seed of each audio of a row and, for a task that needs one, that of its other noise.

    One seed of either kind serves all audios.
    """
    retakes = _retake_seeds(settings)
    audios = max(len(seeds), len(retakes))
    own = [*seeds] * audios if len(seeds) == 1 else [*seeds]
    if task_name(settings.values) not in SEEDED_TASKS:
        return [(seed, None) for seed in own]
    if not retakes:
        return [(seed, retake_seed_of(seed)) for seed in own]
    return list(zip(own, [*retakes] * audios if len(retakes) == 1 else retakes, strict=True))


def duration_s(settings: Settings, seed: int, longest_s: float) -> float:
    """A song's length in seconds; -1 is drawn from the seed."""
    asked = float(settings.values["audio_duration"])
    return drawn_duration_s(seed, longest_s) if asked == -1 else asked


def songs_of(
    rows: Iterable[CheckedRow], run: Run, target: Target, stored_seeds: Mapping[str, tuple[int, ...]] = EMPTY
) -> list[Song]:
    """The songs of the rows that passed, in order.

    ``stored_seeds`` are seeds of an earlier start, by row id: what was drawn at random then is not drawn again.
    """
    rows = list(rows)
    taken = {checked.row.id.casefold() for checked in rows}
    songs: list[Song] = []
    for checked in rows:
        if checked.settings is None or checked.problems:
            continue
        seeds = seeds_of(checked.settings, checked.row.id)
        drawn = stored_seeds.get(checked.row.id, ())
        if checked.settings.values["actual_seeds"] == RANDOM and drawn:
            seeds = take_seeds(drawn[0], len(seeds))
        effective, notes = target.effective(checked.settings)
        if task_name(effective) != NEW_SONG:
            effective |= settled(effective)
        preset = checked.settings.preset or "+".join(run.presets) or None
        pairs = seed_pairs(checked.settings, seeds)
        retaken = len(pairs) > len(seeds)  # then all have one seed, and the other one tells them apart
        for take, (seed, retake_seed) in enumerate(pairs, 1):
            values = effective | {
                "actual_seeds": (seed,),
                "takes": 1,
                "audio_duration": duration_s(checked.settings, seed, run.hw.max_duration_s),
            }
            if target.family is Family.V15:
                values["audio_duration"] = known_length_s(effective, seed)
            if retake_seed is not None and target.family is Family.V1:
                values["retake_seeds"] = (retake_seed,)
            own_id = _free_id(f"{checked.row.id}_{retake_seed if retaken else seed}", taken) if len(pairs) > 1 else ""
            songs.append(
                Song(
                    index=len(songs) + 1,
                    id=checked.row.id,
                    song_id=own_id or checked.row.id,
                    place=str(checked.row.place),
                    take=take,
                    takes=len(pairs),
                    seed=seed,
                    preset=preset,
                    generation=Generation(**values),
                    requested=checked.settings.values,
                    notes=notes,
                    family=target.family,
                )
            )
    return songs


def _free_id(wanted: str, taken: set[str]) -> str:
    """The id, or with ``+`` after it until no other song has it; ids differ by more than case."""
    while wanted.casefold() in taken:
        wanted += "+"
    taken.add(wanted.casefold())
    return wanted
