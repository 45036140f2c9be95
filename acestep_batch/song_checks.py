"""One song's files held against its records: the ledger's line, the audio, the record beside it, and the plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acestep_batch.identity import changed_facts, identity_of
from acestep_batch.models import Family
from acestep_batch.outputs.audio_files import decoded, file_sha256
from acestep_batch.outputs.formats import is_lossy
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.problems import Problem, Refused, one_line
from acestep_batch.record import OVERLAPPED
from acestep_batch.recorded import Recorded, recorded_song
from acestep_batch.run_plan import PlannedSong
from acestep_batch.schema import names_used

RESUME = "resume the run"
CHANGED = "is not as it was written"
BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a damaged file, or using what it holds, raises; libsndfile's errors are others (RuntimeErrors)."""
_OF_A_FILE = ("path", "format", "bytes", "file_sha256", "pcm_sha256", "sidecar_sha256")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was recorded."""

    song: str
    """The song's id; empty where the file is the run's own."""
    file: str
    """From the run's folder."""
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.song}, {self.file}" if self.song else self.file
        return str(Problem(where, self.message, self.remedy))


@dataclass(slots=True)
class CheckedSong:
    """What a run holds of one planned song."""

    song_id: str
    planned: PlannedSong | None
    record: Mapping[str, Any] | None = None
    """The line of the ledger that counts; None where there is none."""
    entries: tuple[Mapping[str, Any], ...] = ()
    """What that line says about each audio file."""
    files: dict[str, Recorded] = field(default_factory=dict)
    """What the record beside each audio file says, by the file's path; without those that cannot be read."""

    @property
    def is_made(self) -> bool:
        """Whether there is audio that a record speaks for."""
        return self.record is not None and self.record.get("status") == "ok"


def check_song(song: CheckedSong, folder: Path) -> Iterator[Finding]:
    """Everything that is wrong with a song; what the records beside its files say is put into it on the way."""
    record, planned = song.record, song.planned
    if record is None:
        yield Finding(song.song_id, "records.jsonl", "has no record of it: not made yet, or lost", RESUME)
        return
    if planned is not None:
        yield from _plan_and_record(planned, record)
    try:
        song.entries = tuple({name: entry[name] for name in _OF_A_FILE} for entry in record["audio"])
    except BROKEN as error:
        yield Finding(song.song_id, "records.jsonl", f"the record cannot be used ({one_line(error)})", RESUME)
    if song.is_made and not song.entries:
        yield Finding(song.song_id, "records.jsonl", "the record names no file", RESUME)
    for entry in song.entries:
        try:
            yield from _audio(song, entry, folder)
            yield from _sidecar(song, record, entry, folder)
        except BROKEN as error:
            yield Finding(song.song_id, "records.jsonl", f"the record cannot be used ({one_line(error)})", RESUME)


def _plan_and_record(planned: PlannedSong, record: Mapping[str, Any]) -> Iterator[Finding]:
    song_id, facts = planned.song.song_id, planned.facts
    if identity_of(facts) != planned.identity:
        yield Finding(song_id, "plan.jsonl", "its identity is not that of its facts", RESUME)
    recorded = {**facts, **_facts_in(record, facts)}
    different = ", ".join(changed_facts(facts, recorded)) or "what is not recorded by name"
    if record.get("identity") != planned.identity:
        yield Finding(song_id, "records.jsonl", f"the record is of another song than planned: {different}", RESUME)
    elif recorded != facts:
        yield Finding(song_id, "records.jsonl", f"the record and the plan differ in {different}", RESUME)


def _facts_in(record: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a song's facts that its line in the ledger states too."""
    return {name: record[name] for name in facts.keys() & record.keys()}


def _audio(song: CheckedSong, entry: Mapping[str, Any], folder: Path) -> Iterator[Finding]:
    name = str(entry["path"])
    path = folder / name
    if not path.is_file():  # a device, which a forged record may name, never ends
        yield Finding(song.song_id, name, "is missing", RESUME)
        return
    try:
        size, sha256 = path.stat().st_size, file_sha256(path)
    except OSError as error:
        yield Finding(song.song_id, name, f"cannot be read ({error.strerror or error})", RESUME)
        return
    if (size, sha256) == (entry["bytes"], entry["file_sha256"]) and is_lossy(str(entry["format"])):
        return  # decoders of lossy formats differ in the last bits from one machine to another
    try:
        has_samples = decoded(path)[0] == entry["pcm_sha256"]
    except (OSError, RuntimeError) as error:
        yield Finding(song.song_id, name, f"cannot be decoded ({error})", RESUME)
        return
    if not has_samples:
        yield Finding(song.song_id, name, "its samples are not those that were written", RESUME)
    elif size != entry["bytes"]:
        message = f"has {size:,} bytes, not {entry['bytes']:,}; its samples are those that were written"
        yield Finding(song.song_id, name, message, "take it from a copy, or delete it and resume the run")
    elif sha256 != entry["file_sha256"]:
        message = "its tags or header were changed; its samples are those that were written"
        yield Finding(song.song_id, name, message, "take it from a copy, or delete it and resume the run")


def _sidecar(song: CheckedSong, record: Mapping[str, Any], entry: Mapping[str, Any], folder: Path) -> Iterator[Finding]:
    name = f"{entry['path']}.json"
    remedy = f"take it from a copy, or delete {Path(name).stem} and resume the run"
    if not (folder / name).is_file():
        yield Finding(song.song_id, name, "is missing", remedy)
        return
    try:
        data = read_plain_file(folder / name)
    except OSError as error:
        yield Finding(song.song_id, name, f"cannot be read ({error.strerror or error})", remedy)
        return
    if hashlib.sha256(data).hexdigest() != entry["sidecar_sha256"]:
        yield Finding(song.song_id, name, CHANGED, remedy)
    try:
        content = json.loads(data)
        song.files[str(entry["path"])] = recorded_song(content, name)
    except Refused as refused:
        yield from (Finding(song.song_id, each.where, each.message, remedy) for each in refused.problems)
        return
    except BROKEN as error:
        yield Finding(song.song_id, name, unreadable(error), remedy)
        return
    facts = song.planned.facts if song.planned is not None else {}
    if different := list(_contradictions(content, record, entry, facts)):
        yield Finding(song.song_id, name, f"and the ledger differ in {', '.join(different)}", remedy)


def _contradictions(
    sidecar: Mapping[str, Any], record: Mapping[str, Any], entry: Mapping[str, Any], facts: Mapping[str, Any]
) -> Iterator[str]:
    """What the record beside a file says otherwise than the ledger and the plan."""
    own, file = sidecar["record"], sidecar["record"]["file"]
    family, has_lora = Family(str(record.get("family", Family.V1))), bool(record.get("lora_name_or_path"))
    names = names_used(str(record.get("task", "text2music")), has_lora, family)
    expected = {name: record[name] for name in ("id", *names)}
    if OVERLAPPED in record["rungs"]:
        expected["overlapped_decode"] = True
    yield from (name for name, value in expected.items() if sidecar.get(name) != value)
    names = ("identity", "model", "row", "take", "preset", "frames", "duration_s", "model_calls", "micro_batch")
    shared = (*names, "rungs", "notes", "same_as", "started_from", "reference_from", "loras")
    yield from (name for name in shared if own.get(name) != record.get(name))
    if own["derived_seeds"] != {"song": record["seed"]}:
        yield "derived_seeds"
    if file["name"] != Path(str(entry["path"])).name:
        yield "file name"
    hashes = ("format", "bytes", "file_sha256", "pcm_sha256")
    yield from (f"file {name}" for name in hashes if file.get(name) != entry[name])
    if facts.get("sample_rate", own["sample_rate"]) != own["sample_rate"]:
        yield "sample_rate"


def unreadable(error: BaseException) -> str:
    """What a finding says about a file that could not be read as what it should be."""
    return f"cannot be read ({error.strerror or error})" if isinstance(error, OSError) else CHANGED
