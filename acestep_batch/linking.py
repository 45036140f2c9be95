"""Songs to what they are made with: sources and LoRAs looked at, songs of manifest and runs found, lengths decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from acestep_batch.conflicts import longest_conflict
from acestep_batch.earlier_runs import EarlierRun, only_song, run_of
from acestep_batch.engine.tasks import Adapter, AwaitedSource, Extend
from acestep_batch.engine.v1.limits import LONGEST_FRAMES, song_frames
from acestep_batch.engine.v1.refusals import crash_reason
from acestep_batch.loras import lora_adapter, transformer_sizes
from acestep_batch.parameter import shown
from acestep_batch.plan import Song
from acestep_batch.problems import Problem
from acestep_batch.run_plan import PLAN
from acestep_batch.schema import Hardware
from acestep_batch.song_tasks import SOURCE_TASKS, length_s, task_name
from acestep_batch.sources import WHOLE_FILE, SongSource, audio_facts, is_remote
from acestep_batch.target import Target

_LONGEST_CIRCLE_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Places:
    """Where the files that rows name are looked for."""

    manifest: Path
    """The manifest's folder."""
    output_root: Path
    """The folder of all runs."""


class Linked(NamedTuple):
    """Songs with their sources and LoRAs, and by id what is wrong with the others."""

    songs: list[Song]
    problems: dict[str, list[Problem]]


def needs_linking(values: Mapping[str, Any]) -> bool:
    """Whether settings name a source or a LoRA."""
    return task_name(values) in SOURCE_TASKS or bool(values["lora_name_or_path"])


def linked(
    songs: Sequence[Song], places: Places, hw: Hardware, target: Target, invalid: Collection[str] = ()
) -> Linked:
    """Give every song its LoRAs, and that of a task its source and the length that follows from it.

    Args:
        hw: the profile, which says how long songs may be.
        target: the model that LoRAs are to fit.
        invalid: ids of rows that are not among the songs because they cannot be made.
    """
    if not any(song.generation.task in SOURCE_TASKS or song.generation.lora_name_or_path for song in songs):
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
            try:
                found = self._source(song)
            except ValueError as error:
                self._complain(song, str(error))
                continue
            if not isinstance(found, str):
                self._settle(song, found)
            elif found in path:
                members = [*path][[*path].index(found) :]
                for member in members:
                    self._complain(self._by_id[member], f"starts from itself: {_circle([*members, found])}")
            elif found in self.problems:
                self._complain(song, f"its source {found} cannot be made")
            elif found in self.done:
                self._settle(song, SongSource(song_frames(self.done[found].v1_request()), "", song_id=found))
            else:
                path[found] = None

    def _source(self, song: Song) -> SongSource | str | None:
        """What a song starts from: a file, or the id of a song of this manifest; None where it is a new one.

        Raises ValueError, with the reason, where there is no such thing.
        """
        if song.generation.task not in SOURCE_TASKS:
            return None
        text = _named(song)[1]
        if is_remote(text.removeprefix("@")):
            raise ValueError(f"{shown(text)} lies on another machine; copy it here")
        if not text.startswith("@"):
            return self._file(text)
        name = text[1:].strip()
        if name in self._by_id:
            return name
        if name in self._rows:
            return only_song(name, self._rows[name]).song_id
        if name in self.invalid:
            raise ValueError(f"its source {name} is a row with errors")
        run = run_of(name, self._roots) or self._own_run(name)
        if run is None:
            where = f"in this manifest{', and no run of that folder' if '/' in name else ''}"
            raise ValueError(f"{shown(text)}: there is no row {shown(name)} {where}")
        return self._runs.setdefault(run[0], EarlierRun(run[0])).source(run[1])

    def _own_run(self, name: str) -> tuple[Path, str] | None:
        """The run whose folder the manifest lies in, as the record beside an audio file does: it names songs of it."""
        folder = self.places.manifest.absolute()
        return next(((each, name) for each in (folder, *folder.parents) if (each / PLAN).is_file()), None)

    @property
    def _roots(self) -> tuple[Path, ...]:
        return Path(), self.places.manifest, self.places.output_root

    def _file(self, text: str) -> SongSource:
        folders = (self.places.manifest, Path())
        path = next((folder / text for folder in folders if _exists(folder / text)), None)
        if path is None:
            where = dict.fromkeys(str(folder.absolute()) for folder in folders)
            raise ValueError(f"{shown(text)} does not exist in {' or '.join(where)}")
        try:
            facts = audio_facts(path.absolute())
        except OSError as error:
            raise ValueError(f"{shown(text)} cannot be read ({error.strerror or error})") from error
        except ValueError as error:
            raise ValueError(f"{shown(text)} {error}") from error
        return SongSource(facts.frames, WHOLE_FILE, str(path.absolute()), facts.sha256)

    def _settle(self, song: Song, source: SongSource | None) -> None:
        problems: list[Problem] = []
        if song.generation.lora_name_or_path:
            song, problems = self._adapted(song)
        if source is not None:
            song, wrong = self._started(song, source)
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
        sizes, folders = transformer_sizes(self.target.checkpoint), (self.places.manifest, Path())
        adapters: list[Adapter] = []
        problems: list[Problem] = []
        for name, weight in zip(names, weights, strict=True):
            found = lora_adapter(name, weight, folders, sizes, f"{song.place}, lora_name_or_path")
            if isinstance(found, Adapter):
                adapters.append(found)
            else:
                problems += found
        generation = replace(
            song.generation, lora_name_or_path=tuple(str(each.path) for each in adapters), lora_weight=weights
        )
        return replace(song, adapters=tuple(adapters), generation=generation), problems

    def _started(self, song: Song, source: SongSource) -> tuple[Song, list[Problem]]:
        """A song of a task, as long as its source makes it."""
        song = replace(song, source=source)
        request = song.v1_request()
        if reason := crash_reason(request):
            return song, [Problem(f"{song.place}, task {song.generation.task}", reason, "change what it names")]
        length = length_s(song_frames(request))
        if length > self.hw.max_duration_s:
            conflict = longest_conflict("audio_duration", length, self.hw)
            return song, [Problem(f"{song.place}, {_named(song)[0]}", conflict.message, conflict.remedy)]
        generation = replace(song.generation, audio_duration=length)
        notes = (*song.notes, *_differences(request.task)) if isinstance(request.task, Extend) else song.notes
        return replace(song, generation=generation, notes=notes), []

    def _complain(self, song: Song, message: str) -> None:
        remedy = "give an audio file, @ID of a row, or @RUN_FOLDER/ID of a song of an earlier run"
        self.problems[song.song_id] = [Problem(f"{song.place}, {_named(song)[0]}", message, remedy)]


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


def _named(song: Song) -> tuple[str, str]:
    """The parameter that names a song's source, and what it says."""
    name = "ref_audio_input" if song.generation.task == "audio2audio" else "src_audio_path"
    return name, str(getattr(song.generation, name) or "")


def _circle(names: Sequence[str]) -> str:
    many = len(names) > _LONGEST_CIRCLE_SHOWN
    return " -> ".join([*names[:_LONGEST_CIRCLE_SHOWN], "...", names[-1]] if many else names)


def _exists(path: Path) -> bool:
    """Whether there is such a file; a text that no file system takes for a name is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def by_row(problems: Mapping[str, Sequence[Problem]], songs: Sequence[Song]) -> dict[str, list[Problem]]:
    """Problems of songs by their rows' ids, each once."""
    found: dict[str, list[Problem]] = {}
    for song in songs:
        for problem in problems.get(song.song_id, ()):
            if problem not in found.setdefault(song.id, []):
                found[song.id].append(problem)
    return found
