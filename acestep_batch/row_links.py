"""Rows that name other songs, checked with the rows that they name, once all rows are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from acestep_batch.compose import Run
from acestep_batch.linking import by_row, linked, needs_linking
from acestep_batch.lint import Advice
from acestep_batch.models import Family
from acestep_batch.plan import CheckedRow
from acestep_batch.room import memory_advice
from acestep_batch.song_tasks import SOURCE_TASKS, source_name, task_name
from acestep_batch.songs import songs_of
from acestep_batch.source_finding import Places
from acestep_batch.target import Target


@dataclass(frozen=True, slots=True)
class LinkedRow:
    """A row with what its sources say about it, and how much audio it makes."""

    checked: CheckedRow
    audio_s: float


@dataclass(slots=True)
class HeldRows:
    """Rows that cannot be judged before all are read: those that start from a song or have LoRAs."""

    rows: list[CheckedRow] = field(default_factory=list)
    _wanted: set[str] = field(default_factory=set)

    def hold(self, checked: CheckedRow) -> bool:
        """Whether a row is one of them; then it is kept here."""
        settings = checked.settings
        if settings is None or not needs_linking(settings.values):
            return False
        self.rows.append(checked)
        values = settings.values
        named = source_name(values) if task_name(values) in SOURCE_TASKS else None
        texts = [*([named[1]] if named is not None else []), str(values["reference_audio"] or "").strip()]
        self._wanted.update(text[1:].strip() for text in texts if text.startswith("@"))
        return True

    def lacks(self, rows: Iterable[CheckedRow]) -> bool:
        """Whether they name songs that may be other rows' than these."""
        known = {each.row.id for each in rows}
        return any(name not in known for name in self._wanted)

    def named_among(self, rows: Iterable[CheckedRow]) -> list[CheckedRow]:
        """These and, of ``rows``, those that may make a song that these name, in their order."""
        starts = {name[:end] for name in self._wanted for end, mark in enumerate(name) if mark == "_"}
        ids = self._wanted | starts | {each.row.id for each in self.rows}
        return [each for each in rows if each.row.id in ids]

    def link(self, known: Sequence[CheckedRow], run: Run, target: Target, places: Places) -> dict[str, LinkedRow]:
        """These rows, by id, with everything that is to be said about their sources.

        ``known`` are they and all others that make songs which they name, in the manifest's order.
        """
        invalid = {each.row.id for each in known if each.problems}
        songs = songs_of([each for each in known if each.row.id not in invalid], run, target)
        found = linked(songs, places, run.hw, target, invalid)
        problems = by_row(found.problems, songs)
        lengths: dict[str, float] = {}
        advice: dict[str, list[Advice]] = {}
        for song in found.songs:
            lengths[song.id] = lengths.get(song.id, 0.0) + song.longest_s
            is_v1 = target.family is Family.V1
            if is_v1 and song.source is not None and target.checkpoint is not None and not target.problems:
                request, generation = song.v1_request(), song.generation
                said = memory_advice(target, generation.device_id, generation.bf16, request)
                own = advice.setdefault(song.id, [])
                own += [said] if said is not None and said not in own else []
        return {
            each.row.id: LinkedRow(
                each._replace(
                    problems=(*each.problems, *problems.get(each.row.id, ())),
                    advice=(*each.advice, *advice.get(each.row.id, ())),
                ),
                lengths.get(each.row.id, 0.0),
            )
            for each in self.rows
        }
