"""What was measured of a run's songs: one sealed line for each in ``measurements.jsonl``, joined to their records.

A line speaks for the samples that it names and for nothing else: a song that was made anew is measured anew, and songs
that share their sound share the line. All of it can be measured again at any time.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from acestep_batch.ledger import SEAL, sealed
from acestep_batch.loudness_copies import FOLDER, LoudnessCopy
from acestep_batch.measure.asked import key_match, tempo_error_percent
from acestep_batch.measure.columns import COLUMNS, Measurement
from acestep_batch.measure.flags import Quality, judged
from acestep_batch.measure.similarity import nearest
from acestep_batch.measure.workers import Measured
from acestep_batch.outputs.atomic import write_bytes
from acestep_batch.outputs.formats import FORMAT_NAMES, is_lossy
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.outputs.records import append_jsonl, json_text
from acestep_batch.problems import Problem
from acestep_batch.score_lines import Key, ScoreLines
from acestep_batch.seals import record_sha256
from acestep_batch.shard import Shard

NOT_MEASURED = "not measured"
"""How the reason of a song begins that has no quality."""

_UNSCORED = ScoreLines({})

_KINDS: Mapping[str, tuple[type, ...]] = {"Float64": (int, float), "Int64": (int,), "string": (str,)}


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of one file."""

    measurement: Measurement | None
    fingerprint: bytes = b""
    error: str = ""
    is_unreadable: bool = False
    """The file itself is why there are no numbers; otherwise measuring it again may succeed."""
    copy: LoudnessCopy | None = None
    """None where none was asked for, or it could not be written."""


@dataclass(frozen=True, slots=True)
class Measurements:
    """All lines of a run, of all its shards."""

    lines: Mapping[Key, Line]
    """The last one of each file that has numbers, or else the last one."""
    damaged: tuple[Problem, ...] = ()
    """Lines that are not as they were written. A torn last line is none of them: it never counted."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A song's record, and what was measured of it, if anything."""

    record: Mapping[str, Any]
    line: Line | None
    scores: Mapping[str, float | None] = field(default_factory=dict)
    """What models said of it, by column; empty where none was asked."""


def measurement_files(folder: Path) -> list[Path]:
    """``measurements.jsonl``, and one for each shard that has been at work."""
    return sorted(folder.glob("measurements*.jsonl"))


def measurements_name(shard: Shard | None) -> str:
    """The file that a process appends to; no other process does."""
    return "measurements.jsonl" if shard is None else f"measurements-{shard.index}of{shard.count}.jsonl"


def measured_file(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The file that is measured of a song, as its record has it: the first lossless one, else the first; None where
    there is no audio."""
    files: Sequence[Mapping[str, Any]] = record.get("audio") or () if record.get("status") == "ok" else ()
    lossless = (each for each in files if each["format"] in FORMAT_NAMES and not is_lossy(str(each["format"])))
    return next(lossless, files[0] if files else None)


def key_in(record: Mapping[str, Any]) -> Key | None:
    """What the line of a song speaks for; None where there is no audio."""
    file = measured_file(record)
    return None if file is None else (str(record["identity"]), str(file["pcm_sha256"]))


def append_measurement(
    folder: Path, shard: Shard | None, song_id: str, key: Key, measured: Measured, copy: LoudnessCopy | None = None
) -> None:
    """Add a line; when this returns, it survives a power cut. Raises OSError."""
    line = {
        "id": song_id,
        "identity": key[0],
        "pcm_sha256": key[1],
        "measurement": None if measured.measurement is None else asdict(measured.measurement),
        "fingerprint": base64.b64encode(measured.fingerprint).decode("ascii"),
        "error": measured.error,
        "is_unreadable": measured.is_unreadable,
        "loudness_copy": None if copy is None else asdict(copy),
    }
    append_jsonl(folder / measurements_name(shard), sealed(line))


def read_measurements(folder: Path, *, fingerprints: bool = True) -> Measurements:
    """Read every line of every file; without ``fingerprints``, they stay empty. Raises OSError."""
    lines: dict[Key, Line] = {}
    damaged: list[Problem] = []
    for file in measurement_files(folder):
        *whole, _ = read_plain_file(file).split(b"\n")  # what follows the last line's end was torn by a crash
        for number, text in enumerate(whole, 1):
            found = _opened(text, fingerprints)
            if found is None:
                damaged.append(Problem(f"{file}:{number}", "the line is not as it was written", "resume the run"))
            elif found[1].measurement is not None or found[0] not in lines or lines[found[0]].measurement is None:
                lines[found[0]] = found[1]
    return Measurements(lines, tuple(damaged))


def drop_damaged(folder: Path, files: Iterable[Path]) -> None:
    """Write files of measurements without the lines that are not as they were written, where there are any.

    Nothing is lost by it, for the audio can be measured again. Only while no other process appends to them. Raises
    OSError.
    """
    for file in files:
        if not file.exists():
            continue
        content = read_plain_file(file)
        kept = b"".join(line + b"\n" for line in content.split(b"\n") if line and _opened(line, False) is not None)
        if kept != content:
            write_bytes(file, kept, replace=True)


def _opened(text: bytes, fingerprints: bool) -> tuple[Key, Line] | None:
    """A line that is exactly what ``append_measurement`` writes; None for any other."""
    try:
        found = json.loads(text)
        if text != json_text(found).encode("utf-8") or found.pop(SEAL) != record_sha256(found):
            return None
        texts = [found[name] for name in ("id", "identity", "pcm_sha256", "fingerprint", "error")]
        if not all(isinstance(each, str) for each in texts) or not isinstance(found["is_unreadable"], bool):
            return None
        measurement = None if found["measurement"] is None else _measurement(found["measurement"])
        fingerprint = base64.b64decode(found["fingerprint"], validate=True) if fingerprints else b""
        copy = None if found["loudness_copy"] is None else _copy(found["loudness_copy"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    line = Line(measurement, fingerprint, found["error"], found["is_unreadable"], copy)
    return (found["identity"], found["pcm_sha256"]), line


def _measurement(values: Mapping[str, Any]) -> Measurement:
    """Raises ValueError, or TypeError, for what is no measurement: whoever knows the seal can write a line."""
    for column in COLUMNS:
        value = values[column.name]
        if value is not None and (isinstance(value, bool) or not isinstance(value, _KINDS[column.dtype])):
            raise ValueError(column.name)
        if isinstance(value, float | int) and not (math.isfinite(value) and abs(value) < 2**63):
            raise ValueError(column.name)
    return Measurement(**values)


def _copy(values: Mapping[str, Any]) -> LoudnessCopy:
    """Raises ValueError or TypeError for what is no copy, or one that lies elsewhere."""
    copy = LoudnessCopy(**values)
    numbers = [copy.target_lufs, copy.ceiling_dbtp, *([] if copy.gain_db is None else [copy.gain_db])]
    if not all(isinstance(each, int | float) and abs(each) < 1e6 for each in numbers):
        raise ValueError("a level is none")
    parts = PurePosixPath(copy.path).parts
    if "\0" in copy.path or ".." in parts or (parts and parts[:2] != ("audio", FOLDER)):
        raise ValueError("the place is none of a copy")
    if not isinstance(copy.file_sha256, str):
        raise TypeError("the hash is none")
    return copy


def decided(record: Mapping[str, Any], name: str) -> Any:
    """What a song was to be: as its row has it, which a plan keeps to, else as its planner chose; None for neither."""
    return record.get(name) or record.get(f"planned_{name}") or None


def joined(
    records: Iterable[Mapping[str, Any]], lines: Mapping[Key, Line], scores: ScoreLines = _UNSCORED
) -> list[Joined]:
    """Each record with the lines that speak for its samples."""
    found = []
    for record in records:
        key = key_in(record)
        found.append(Joined(record, None if key is None else lines.get(key), scores.values(key)))
    return found


def judged_records(songs: Sequence[Joined], *, compare: bool) -> list[Mapping[str, Any]]:
    """Records with ``measurements`` (by column), ``quality``, ``quality_reasons`` and, where there are any, ``scores``.

    With ``compare`` each song is held against all others too, and the most similar one is named: by its id, or in a
    sweep as ``cell/id``. Rows and songs without audio stay as they are.
    """
    prints = {str(number): each.line.fingerprint for number, each in enumerate(songs) if each.line is not None}
    near = nearest(prints) if compare else {}
    found: list[Mapping[str, Any]] = []
    for number, each in enumerate(songs):
        closest = near.get(str(number))
        name = "" if closest is None else _name(songs[int(closest.name)].record)
        scores = {"scores": dict(each.scores)} if each.scores else {}
        verdict = _judged(each, name, None if closest is None else round(closest.similarity, 3))
        found.append({**each.record, **verdict, **scores})
    return found


def _judged(song: Joined, nearest_song: str, similarity: float | None) -> dict[str, Any]:
    """What is added to one record."""
    if measured_file(song.record) is None:
        return {}
    line = song.line
    if line is None or line.measurement is None:
        if line is not None and line.is_unreadable:
            return {"quality": str(Quality.FAIL), "quality_reasons": [line.error]}
        reason = "no line in measurements.jsonl" if line is None else line.error
        return {"quality": None, "quality_reasons": [f"{NOT_MEASURED}: {reason}"]}
    record, found = song.record, line.measurement
    bpm, keyscale = decided(record, "bpm"), decided(record, "keyscale")
    error = tempo_error_percent(bpm, found.tempo_bpm)
    match = key_match(keyscale, found.key)
    targets = {"asked_bpm": bpm, "asked_key": keyscale} if "family" in record else {}
    verdict = judged(found, nearest_song, similarity)
    return {
        "measurements": {
            **asdict(found),
            **targets,
            "tempo_error_percent": None if error is None else round(error, 2),
            "key_match": None if match is None else str(match),
            "nearest_song": nearest_song or None,
            "similarity": similarity,
            "loudness_gain_db": None if line.copy is None else line.copy.gain_db,
        },
        "loudness_copy": None if line.copy is None else line.copy.path or None,
        "quality": str(verdict.quality),
        "quality_reasons": list(verdict.reasons),
    }


def _name(record: Mapping[str, Any]) -> str:
    return f"{record['cell']}/{record['id']}" if record.get("cell") else str(record["id"])
