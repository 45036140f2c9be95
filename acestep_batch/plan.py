"""Rows checked one by one, and a song as it is planned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any, NamedTuple

from acestep_batch.advice import RowAdvice
from acestep_batch.compose import Run, Settings, row_settings, settings_below
from acestep_batch.conflicts import Conflict, conflicts, lyric_conflicts
from acestep_batch.engine.base import SETTINGS, SongRequest
from acestep_batch.engine.tasks import Adapter, AwaitedSource, Beginning, Referenced, Source
from acestep_batch.engine.v15.song import V15Song
from acestep_batch.families import foreign_preset
from acestep_batch.lint import Advice
from acestep_batch.manifest import Ignored, Row, RowReader
from acestep_batch.manifest_rows import RawManifest
from acestep_batch.models import Family
from acestep_batch.problems import Problem, Refused, refuse
from acestep_batch.room import memory_advice
from acestep_batch.schema import SONG, names_used, reads
from acestep_batch.schema_song import LONGEST_S
from acestep_batch.schema_tasks import TASK_PARAMETERS
from acestep_batch.schema_v15 import Generation
from acestep_batch.song_tasks import NEW_SONG, SOURCE_TASKS, task_name, task_of, unused_names
from acestep_batch.sources import SongSource
from acestep_batch.target import Target
from acestep_batch.v15_songs import song_notes, v15_song

_PER_SONG = frozenset({"prompt", "lyrics", "actual_seeds", "output_path"})
_NOT_LOOKED_AT = {
    family: _PER_SONG | {name for name in TASK_PARAMETERS if reads(family, SONG[name])} for family in Family
}
"""What the settings of a new song do not depend on; parameters of the other family are refused."""
_PRESETS = frozenset({"preset", "preset_file"})

TEMPLATE_FIELDS = (
    "index", "id", "seed", "take", "name", "preset", "scheduler_type", "cfg_type", "infer_step", "guidance_scale",
)  # fmt: skip
"""What ``output.template`` may name: of a song, of its settings, and the run's name."""


class CheckedRow(NamedTuple):
    """A row with its settings and everything there is to say about it, before its songs are made."""

    row: Row
    settings: Settings | None
    problems: tuple[Problem, ...]
    advice: tuple[Advice, ...] = ()


@dataclass(frozen=True, slots=True)
class Song:
    """One audio to be rendered. ``generation`` holds what will be used: its seed, its length in seconds."""

    index: int
    """From 1 over the run, in the manifest's order."""
    id: str
    """The row's id."""
    song_id: str
    """The song's own id in its run: the row's, with the seed where the row makes several."""
    place: str
    take: int
    takes: int
    seed: int
    preset: str | None
    generation: Generation
    requested: Mapping[str, Any]
    """The settings before seed, length and device were decided."""
    notes: tuple[str, ...] = ()
    source: SongSource | None = None
    """What its task starts from, where it starts from something."""
    reference: SongSource | None = None
    """Whose timbre it takes, where it takes any; of 1.5 only."""
    adapters: tuple[Adapter, ...] = ()
    family: Family = Family.V1
    """Whose parameters count; the others have their defaults."""

    @property
    def names_used(self) -> tuple[str, ...]:
        """Its parameters that mean anything; what the others say is in no record."""
        return names_used(self.generation.task, bool(self.adapters), self.family)

    @property
    def beginnings(self) -> tuple[SongSource, ...]:
        """All songs that it is made from."""
        return tuple(each for each in (self.source, self.reference) if each is not None)

    @property
    def longest_s(self) -> float:
        """Its length in seconds; where its planner decides, the longest that it may choose."""
        length = self.generation.audio_duration
        return length if length > 0 else float(self.generation.lm_max_duration or LONGEST_S)

    def values(self) -> dict[str, Any]:
        """Every parameter by name."""
        return {each.name: getattr(self.generation, each.name) for each in fields(Generation)}

    def template_values(self, run_name: str) -> dict[str, object]:
        """What the fields of ``output.template`` stand for."""
        own = {"index": self.index, "id": self.id, "seed": self.seed, "take": self.take, "preset": self.preset}
        known = self.values() | own
        return {name: run_name if name == "name" else known[name] for name in TEMPLATE_FIELDS}

    def request(self, source: Beginning | None = None) -> SongRequest | V15Song:
        """The song as the engine of its family sees it, with its source's content; without that only its length is
        known."""
        own, timbre = (source.source, source.reference) if isinstance(source, Referenced) else (source, None)
        return self.v1_request(own) if self.family is Family.V1 else self.v15_request(own, timbre)

    def v15_request(self, source: Source | None = None, reference: Source | None = None) -> V15Song:
        """A song of 1.5 as its engine sees it; as ``request``."""
        if source is None and self.source is not None:
            source = AwaitedSource(self.source.frames)
        if reference is None and self.reference is not None:
            reference = AwaitedSource(self.reference.frames)
        return v15_song(self.values(), self.seed, source, reference, self.adapters)

    def v1_request(self, source: Source | None = None) -> SongRequest:
        """A song of v1 as its engine sees it; as ``request``."""
        values = {name: getattr(self.generation, name) for name in SETTINGS if name != "seed"}
        if source is None and self.source is not None:
            source = AwaitedSource(self.source.frames)
        return SongRequest(seed=self.seed, **values, task=task_of(self.generation, source), adapters=self.adapters)


@dataclass(slots=True)
class RowChecker:
    """Checks rows one by one; rows that share their settings share the work."""

    run: Run
    target: Target
    advice: RowAdvice
    defaults: Row | None = None
    _ignored: Ignored = field(default_factory=Ignored)
    _below: dict[str | None, Settings] = field(default_factory=dict)
    _seen: dict[tuple[Any, ...], tuple[tuple[Conflict, ...], tuple[Advice, ...]]] = field(default_factory=dict)

    def start(self, defaults: Row) -> tuple[Problem, ...]:
        """Take in the defaults above the rows; returns what is wrong with them, and leaves that out."""
        self.defaults = defaults._replace(preset=None)
        try:
            self._settings_below(defaults.preset)
        except Refused as refused:
            return (*defaults.problems, *_placed(defaults, refused))
        self.defaults = defaults
        return defaults.problems

    def check(self, row: Row) -> CheckedRow:
        """Everything there is to say about one row; nothing is raised."""
        try:
            below = self._settings_below(row.preset)
        except Refused as refused:
            row = row._replace(preset=None, problems=(*row.problems, *_placed(row, refused)))
            below = self._settings_below(None)
        settings = row_settings(below, row, self.run.layers.command_line)
        found, advised = self._shared(settings, row)
        if self.target.model == "v1" and (lyrics := settings.values["lyrics"]):
            found = (*found, *lyric_conflicts(lyrics, settings.values["lyrics_language"]))
        if row.problems:
            found = tuple(each for each in found if each.key in row.values)  # the others may follow from what is wrong
            return CheckedRow(row, settings, (*row.problems, *_row_problems(row, found)))
        advised = (*advised, *self._unused(settings, row))
        advice = advised
        if self.target.family is Family.V1 and self.run.options.lint != "off":
            advice = (*advice, *self.advice.of_texts(settings))
        known = task_name(settings.values) not in SOURCE_TASKS  # how long the song will be
        is_v1 = self.target.family is Family.V1
        if is_v1 and self.target.checkpoint is not None and not self.target.problems and known:
            advice = (*advice, *self._memory_advice(settings))
        problems = _row_problems(row, found) if found else ()
        if self.run.options.lint == "error":
            strict = (Conflict(each.key, each.message, "or lint=warn") for each in advice if not each.note)
            problems = (*problems, *_row_problems(row, strict))
            advice = tuple(each for each in advice if each.note)
        return CheckedRow(row, settings, problems, advice)

    def notes(self) -> tuple[str, ...]:
        """What rows gave to new songs, which have no use for it, in a line."""
        return self._ignored.notes()

    def _unused(self, settings: Settings, row: Row) -> tuple[Advice, ...]:
        """What the row or the command line gives to a task that has no use for it."""
        task, own, above = task_name(settings.values), row.values.keys(), self.run.layers.command_line.keys()
        looked_at = TASK_PARAMETERS | {"audio_codes"}
        if task == NEW_SONG and own.isdisjoint(looked_at) and above.isdisjoint(looked_at):
            return ()
        unused = unused_names(task, own | above, settings.values, self.target.family)
        if task == NEW_SONG:
            self._ignored.add(f"{task} does not use them", unused)
            return ()
        return tuple(Advice("unused", name, f"is not used by task {task}") for name in unused)

    def _memory_advice(self, settings: Settings) -> tuple[Advice, ...]:
        values, _ = self.target.effective(settings)
        asked = values["audio_duration"]
        length = self.run.hw.max_duration_s if asked == -1 else asked
        given = {name: values[name] for name in SETTINGS if name not in ("seed", "audio_duration")}
        request = SongRequest(seed=0, audio_duration=length, **given)
        found = memory_advice(self.target, values["device_id"], values["bf16"], request)
        return () if found is None else (found,)

    def _settings_below(self, preset: str | None) -> Settings:
        if preset not in self._below:
            if preset is not None and not _PRESETS.isdisjoint(self.run.swept):
                raise refuse(
                    "", f"names {preset} while presets are swept, which it would replace", "drop it or the sweep"
                )
            named = preset or (self.defaults.preset if self.defaults is not None else None)
            if named is not None:
                values = self.run.layers.load_preset(named)
                if problems := foreign_preset(named, values, self.target.family):
                    raise Refused([Problem("", each.message, each.remedy) for each in problems])
            self._below[preset] = settings_below(self.run.layers, self.defaults, preset)
        return self._below[preset]

    def _shared(self, settings: Settings, row: Row) -> tuple[tuple[Conflict, ...], tuple[Advice, ...]]:
        """Conflicts and advice that do not depend on the row's own texts and seeds."""
        seeds = settings.values["actual_seeds"]
        listed = len(seeds) if isinstance(seeds, tuple) else 0
        genres = self.advice.genres(settings.values["prompt"])
        apart = _NOT_LOOKED_AT[self.target.family] if task_name(settings.values) == NEW_SONG else _PER_SONG
        key = (row.preset, listed, genres, *[item for item in row.values.items() if item[0] not in apart])
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) > 10_000:
                self._seen.clear()
            advised: tuple[Advice, ...] = ()
            found = conflicts(settings, self.run, self.target)
            if self.target.v15 is not None and not found:
                values, _ = self.target.effective(settings)
                ignored = song_notes(values, self.target.v15.variant)
                advised = tuple(Advice("ignored", *each, note=True) for each in ignored)
            elif self.target.family is Family.V1 and self.run.options.lint != "off":
                advised = self.advice.of_settings(settings, self.run.hw, self.target.model)
            seen = self._seen[key] = (found, advised)
        return seen


def _placed(row: Row, refused: Refused) -> tuple[Problem, ...]:
    where = f"{row.place}, column preset"
    return tuple(
        Problem(where, f"{each.where}: {each.message}" if each.where else each.message, each.remedy)
        for each in refused.problems
    )


def _row_problems(row: Row, found: Iterable[Conflict]) -> tuple[Problem, ...]:
    return tuple(Problem(f"{row.place}, {each.key}", each.message, each.remedy) for each in found)


def checked_rows(
    manifest: RawManifest, reader: RowReader, checker: RowChecker, limit: int | None
) -> Iterator[CheckedRow]:
    """Read and check rows one after another, the first ``limit`` of them; a million rows need no memory for it."""
    if manifest.defaults is not None:
        defaults = reader.read_defaults(manifest.defaults)
        if problems := checker.start(defaults):
            yield CheckedRow(defaults, None, problems)
    for raw in islice(manifest.rows, limit):
        if isinstance(raw, Refused):
            yield CheckedRow(reader.unreadable(raw), None, raw.problems)
        else:
            yield checker.check(reader.read(raw))
