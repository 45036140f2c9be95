"""A song as its record tells it: the row typed again, and how it was made; knows no files and no plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from acestep_batch.engine.checkpoint import LYRIC_VOCAB
from acestep_batch.engine.tasks import Adapter
from acestep_batch.engine.v15.orchestration import Plan
from acestep_batch.models import Family
from acestep_batch.outputs.formats import ALL_FORMATS, AudioFormat
from acestep_batch.outputs.records import json_text
from acestep_batch.plan import Song
from acestep_batch.problems import Problem, Refused, one_line, refuse
from acestep_batch.schema import PARAMETERS, SONG, names_used
from acestep_batch.schema_tasks import TASKS
from acestep_batch.schema_v15 import FROM_RECORD, Generation
from acestep_batch.song_tasks import takes_source
from acestep_batch.sources import SongSource, adapters_of, source_of_record

_REMEDY = "take the record from a copy of the run"
_ROUNDED_S = 1.0
"""A song is shorter than was asked, by less than this; one that claims to be longer was never made."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One song with one of its files, from the record beside the file or in its tags."""

    song: Song
    identity: str
    engine: Mapping[str, Any]
    """As ``Engine.describe`` gave it."""
    device: str
    """As torch names it."""
    dtype: str
    model_files: Mapping[str, str]
    """The sha256 of every file of the model, by name."""
    sample_rate: int
    """In Hz."""
    micro_batch: int
    """Songs that were denoised together."""
    rungs: tuple[str, ...]
    encoding: AudioFormat
    encoder: str | None
    """Which library wrote the file."""
    pcm_sha256: str
    plan: Mapping[str, Any] | None = None
    """Of a song that was planned: what it was rendered from."""
    planner: Mapping[str, Any] | None = None
    """Who planned it; None where a record had the plan already."""

    @property
    def replay(self) -> Song:
        """The song as it is made again: from its plan, where it has one."""
        if self.plan is None:
            return self.song
        generation = replace(self.song.generation, planner=FROM_RECORD, plan=json_text(dict(self.plan)))
        return replace(self.song, generation=generation)


def recorded_song(sidecar: Mapping[str, Any], where: str) -> Recorded:
    """Read a record.

    Raises:
        Refused: it does not describe a song; names every parameter that is wrong.
    """
    song = song_of_row(sidecar, where)
    try:
        record = dict(sidecar["record"])
        engine, file = dict(record["engine"]), dict(record["file"])
        kind = (str(file["format"]), str(file["subtype"]))
        encoding = next(each for each in ALL_FORMATS if (each.name, each.subtype) == kind)
        if record.get("plan") is None and song.generation.audio_duration > float(record["duration_s"]) + _ROUNDED_S:
            raise ValueError(
                f"audio_duration is {song.generation.audio_duration:g} s, of a song of {record['duration_s']} s"
            )
        dict(engine.get("made_on") or {})
        if not all(isinstance(note, str) for note in record.get("notes") or ()):
            raise TypeError("notes are no texts")
        return Recorded(
            song=song,
            identity=str(record["identity"]),
            engine=engine,
            device=str(engine["device"]),
            dtype=str(engine["dtype"]),
            model_files=files_by_name(engine["files"]),
            sample_rate=PARAMETERS["output"]["sample_rate"].parse(record["sample_rate"]),
            micro_batch=int(record["micro_batch"]),
            rungs=tuple(map(str, record["rungs"])),
            encoding=encoding,
            encoder=file.get("encoder"),
            pcm_sha256=str(file["pcm_sha256"]),
            plan=None if record.get("plan") is None else Plan.from_record(record["plan"], where).to_record(),
            planner=None if record.get("planner") is None else dict(record["planner"]),
        )
    except (LookupError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise refuse(where, f"is no record of a song ({one_line(error)})", _REMEDY) from error


def files_by_name(files: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The sha256 of a model's files as ``Engine.describe`` lists them, by names that say nothing of the machine."""
    return {_name(str(each["path"])): str(each["sha256"]) for each in files}


def _name(path: str) -> str:
    return LYRIC_VOCAB if Path(path).is_absolute() else path


def song_of_row(row: Mapping[str, Any], where: str) -> Song:
    """The song of a record's row, with every parameter in its type and range.

    Raises:
        Refused: with every parameter that is missing or wrong.
    """
    values: dict[str, Any] = {}
    problems = []
    family = _family(row)
    task, has_lora = str(row.get("task", "text2music")), bool(row.get("lora_name_or_path"))
    for name in names_used(task if task in TASKS[family] else "text2music", has_lora, family):
        try:
            values[name] = SONG[name].parse(row[name])
        except KeyError:
            problems.append(Problem(f"{where}, {name}", "is missing", _REMEDY))
        except ValueError as error:
            problems.append(Problem(f"{where}, {name}", str(error), _REMEDY))
    seeds = values.get("actual_seeds")
    if "actual_seeds" in values and not (isinstance(seeds, tuple) and len(seeds) == 1):
        problems.append(Problem(f"{where}, actual_seeds", f"is {seeds}, not the one seed of a song", _REMEDY))
    source: SongSource | None = None
    reference: SongSource | None = None
    adapters: tuple[Adapter, ...] = ()
    try:
        own_keys = ("started_from", "reference_from", "loras")
        record = row if any(key in row for key in own_keys) else dict(row.get("record") or {})
        source = source_of_record(record.get("started_from"))
        reference = source_of_record(record.get("reference_from"))
        loras = record.get("loras") or {"path": (), "weight": (), "sha256": ()}
        adapters = adapters_of(zip(loras["path"], loras["weight"], loras["sha256"], strict=True))
        if bool(adapters) != bool(values.get("lora_name_or_path")):
            raise ValueError("there are LoRAs and no name for them, or names without one")
        if (source is not None) != takes_source(str(values.get("task")), values.get("src_audio_path")):
            raise ValueError("there is a source and no task for it, or a task without one")
        if (reference is not None) != (values.get("reference_audio") is not None):
            raise ValueError("there is a reference and no name for it, or a name without one")
    except (LookupError, TypeError, ValueError) as error:
        problems.append(Problem(f"{where}, sources", one_line(error), _REMEDY))
    if problems:
        raise Refused(problems)
    song_id = str(row.get("id", ""))
    (seed,) = values["actual_seeds"]
    own = Generation(**values)
    beside: dict[str, Any] = {"source": source, "reference": reference, "adapters": adapters, "family": family}
    return Song(0, song_id, song_id, where, 1, 1, seed, None, own, {}, **beside)


def _family(row: Mapping[str, Any]) -> Family:
    """Of a file's record, or of a line of the ledger."""
    record = row.get("record")
    return Family(str((record if isinstance(record, Mapping) else row).get("family", Family.V1)))
