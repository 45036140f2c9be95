"""Songs to what they are made with: sources and LoRAs looked at, songs of manifest and runs found, lengths decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from acestep_batch.conflicts import longest_conflict
from acestep_batch.earlier_runs import EarlierRun, only_song
from acestep_batch.engine.tasks import Adapter, AwaitedSource, Extend
from acestep_batch.engine.v1.limits import LONGEST_FRAMES, song_frames
from acestep_batch.engine.v1.refusals import crash_reason
from acestep_batch.linking_v15 import fits_model, started
from acestep_batch.loras import fitting, lora_adapter
from acestep_batch.models import Family
from acestep_batch.parameter import shown
from acestep_batch.plan import Song
from acestep_batch.problems import Problem
from acestep_batch.schema_run import Hardware
from acestep_batch.song_tasks import SOURCE_TASKS, length_s, takes_source, task_name
from acestep_batch.source_finding import Places, file_source, named_run
from acestep_batch.sources import SongSource, is_remote
from acestep_batch.target import Target

_LONGEST_CIRCLE_SHOWN = 5
_REFERENCE = "reference_audio"


class Linked(NamedTuple):
    """Songs with their sources and LoRAs, and by id what is wrong with the others."""

    songs: list[Song]
    problems: dict[str, list[Problem]]


def needs_linking(values: Mapping[str, Any]) -> bool:
    """Whether settings name a source, a reference or a LoRA."""
    return task_name(values) in SOURCE_TASKS or bool(values["lora_name_or_path"] or values["reference_audio"])


def linked(
    songs: Sequence[Song], places: Places, hw: Hardware, target: Target, invalid: Collection[str] = ()
) -> Linked:
    """Give every song its LoRAs, and that of a task its source and the length that follows from it.

    Args:
        hw: the profile, which says how long songs may be.
        target: the model that LoRAs are to fit.
        invalid: ids of rows that are not among the songs because they cannot be made.
    """
    if not any(_named(song) or song.generation.lora_name_or_path for song in songs):
        return Linked([*songs], {})
    linker = _Linker(songs, places, hw, target, frozenset(invalid))
    for song in songs:
        linker.link(song.song_id)
    found = [linker.done[song.song_id] for song in songs if song.song_id in linker.done]
    return Linked(found, linker.problems)


@dataclass(slots=True)
class _Linker:
    songs: Sequence[Song]
    places: Places
    hw: Hardware
    target: Target
    invalid: frozenset[str]
    done: dict[str, Song] = field(default_factory=dict)
    problems: dict[str, list[Problem]] = field(default_factory=dict)
    _by_id: dict[str, Song] = field(init=False)
    _rows: dict[str, list[tuple[str, str, Song]]] = field(init=False)
    _runs: dict[Path, EarlierRun] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_id = {song.song_id: song for song in self.songs}
        self._rows = {}
        for song in self.songs:
            self._rows.setdefault(song.id, []).append((song.song_id, song.id, song))

    def link(self, song_id: str) -> None:
        """Settle a song, and before it those that it starts from, however long the chain is."""
        path = {song_id: None}
        while path:
            current = next(reversed(path))
            if current in self.done or current in self.problems:
                del path[current]
                continue
            song = self._by_id[current]
            sources: dict[str, SongSource] = {}
            for name, text in _named(song).items():
                try:
                    found = self._source(text, name == _REFERENCE)
                except ValueError as error:
                    self._complain(song, name, str(error))
                    break
                if not isinstance(found, str):
                    sources[name] = found
                elif found in self.done:
                    sources[name] = SongSource(_frames(self.done[found]), "", song_id=found)
                elif found in self.problems:
                    self._complain(song, name, f"its source {found} cannot be made")
                    break
                else:
                    if found in path:
                        self._complain_of_circle([*path][[*path].index(found) :])
                    else:
                        path[found] = None
                    break
            else:
                self._settle(song, sources)

    def _source(self, text: str, as_audio: bool) -> SongSource | str:
        """What a song starts from: a file, or the id of a song of this manifest.

        Raises ValueError, with the reason, where there is no such thing.
        """
        if is_remote(text.removeprefix("@")):
            raise ValueError(f"{shown(text)} lies on another machine; copy it here")
        if not text.startswith("@"):
            return file_source(text, self.places, self.target.family)
        name = text[1:].strip()
        if name in self._by_id:
            return name
        if name in self._rows:
            return only_song(name, self._rows[name]).song_id
        if name in self.invalid:
            raise ValueError(f"its source {name} is a row with errors")
        run = named_run(name, self.places)
        if run is None:
            where = f"in this manifest{', and no run of that folder' if '/' in name else ''}"
            raise ValueError(f"{shown(text)}: there is no row {shown(name)} {where}")
        earlier, family = self._runs.setdefault(run[0], EarlierRun(run[0])), self.target.family
        return earlier.source(
            run[1],
            family,
            lambda latents: not as_audio and (family is Family.V1 or fits_model(latents, self.target)),
        )

    def _settle(self, song: Song, sources: Mapping[str, SongSource]) -> None:
        problems: list[Problem] = []
        if song.generation.lora_name_or_path:
            song, problems = self._adapted(song)
        if sources:
            song, wrong = self._started(song, sources)
            problems += wrong
        if problems:
            self.problems[song.song_id] = problems
        else:
            self.done[song.song_id] = song

    def _adapted(self, song: Song) -> tuple[Song, list[Problem]]:
        """A song with its LoRAs, which it then names by where they lie."""
        names, weights = song.generation.lora_name_or_path, song.generation.lora_weight
        if self.target.problems:
            return song, []  # there may be no model to hold them against
        weights = weights * len(names) if len(weights) == 1 else weights
        fit, folders = fitting(self.target.checkpoint, self.target.v15), (self.places.manifest, Path())
        adapters: list[Adapter] = []
        problems: list[Problem] = []
        for name, weight in zip(names, weights, strict=True):
            found = lora_adapter(name, weight, folders, fit, f"{song.place}, lora_name_or_path")
            if isinstance(found, Adapter):
                adapters.append(found)
            else:
                problems += found
        generation = replace(
            song.generation, lora_name_or_path=tuple(str(each.path) for each in adapters), lora_weight=weights
        )
        return replace(song, adapters=tuple(adapters), generation=generation), problems

    def _started(self, song: Song, sources: Mapping[str, SongSource]) -> tuple[Song, list[Problem]]:
        """A song with its sources, by the parameters that name them; of a task as long as its source makes it."""
        own = next((each for name, each in sources.items() if name != _REFERENCE), None)
        song = replace(song, source=own, reference=sources.get(_REFERENCE))
        if self.target.v15 is not None:
            return started(song, self.hw, self.target.v15.variant)
        request = song.v1_request()
        if reason := crash_reason(request):
            return song, [Problem(f"{song.place}, task {song.generation.task}", reason, "change what it names")]
        length = length_s(song_frames(request))
        if length > self.hw.max_duration_s:
            conflict = longest_conflict("audio_duration", length, self.hw)
            return song, [Problem(f"{song.place}, {next(iter(sources))}", conflict.message, conflict.remedy)]
        generation = replace(song.generation, audio_duration=length)
        notes = (*song.notes, *_differences(request.task)) if isinstance(request.task, Extend) else song.notes
        return replace(song, generation=generation, notes=notes), []

    def _complain(self, song: Song, name: str, message: str) -> None:
        remedy = "give an audio file, @ID of a row, or @RUN_FOLDER/ID of a song of an earlier run"
        self.problems[song.song_id] = [Problem(f"{song.place}, {name}", message, remedy)]

    def _complain_of_circle(self, members: Sequence[str]) -> None:
        for member in members:
            song = self._by_id[member]
            self._complain(song, next(iter(_named(song))), f"starts from itself: {_circle([*members, members[0]])}")


def _differences(task: Extend) -> tuple[str, ...]:
    """What the reference does otherwise, for the record."""
    notes = []
    if task.left_frames and task.right_frames:
        notes.append("extend: both sides are as long as asked for; the reference takes the left one off the right one")
    frames = task.left_frames + task.right_frames
    source = task.source
    if isinstance(source, AwaitedSource) and frames + source.frames > LONGEST_FRAMES:
        notes.append("extend: the model hears the nearest 240 s of the song; the reference fails on songs so long")
    return tuple(notes)


def _named(song: Song) -> dict[str, str]:
    """The parameters that name what a song is made from, and what they say."""
    own, found = song.generation, {}
    if takes_source(own.task, own.src_audio_path):
        name = "ref_audio_input" if own.task == "audio2audio" else "src_audio_path"
        found[name] = str(getattr(own, name) or "")
    if own.reference_audio is not None:
        found[_REFERENCE] = own.reference_audio
    return found


def _frames(song: Song) -> int:
    """Latent frames of a song that is to be made; 0 where its planner is to decide."""
    if song.family is Family.V1:
        return song_frames(song.v1_request())
    request = song.v15_request()
    return request.expected.frames if request.has_own_length else 0


def _circle(names: Sequence[str]) -> str:
    many = len(names) > _LONGEST_CIRCLE_SHOWN
    return " -> ".join([*names[:_LONGEST_CIRCLE_SHOWN], "...", names[-1]] if many else names)


def by_row(problems: Mapping[str, Sequence[Problem]], songs: Sequence[Song]) -> dict[str, list[Problem]]:
    """Problems of songs by their rows' ids, each once."""
    found: dict[str, list[Problem]] = {}
    for song in songs:
        for problem in problems.get(song.song_id, ()):
            if problem not in found.setdefault(song.id, []):
                found[song.id].append(problem)
    return found
