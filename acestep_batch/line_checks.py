"""Files of one line a song, and copies at another loudness, held against the songs' records; reads only."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import yaml

from acestep_batch.ledger import SEAL
from acestep_batch.loudness_copies import LoudnessCopy
from acestep_batch.measurements import key_in, measurement_files, read_measurements
from acestep_batch.outputs.audio_files import file_sha256
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.outputs.records import json_text
from acestep_batch.score_lines import SCORES, read_scores
from acestep_batch.seals import record_sha256
from acestep_batch.song_checks import BROKEN, CHANGED, RESUME, CheckedSong, Finding


def line_findings(files: Iterable[Path], unusable: Collection[str], remedy: str) -> Iterator[Finding]:
    """Lines that are not exactly what was appended, and those that are ``unusable``, by file and number."""
    for file in files:
        *lines, rest = read_plain_file(file).split(b"\n")
        for number, line in enumerate(lines, 1):
            if not _is_sealed(line) or f"{file}:{number}" in unusable:
                yield Finding(_id_in(line), f"{file.name} line {number}", CHANGED, remedy)
        if rest:
            message = "ends within a line, which a crash tore or somebody cut off"
            yield Finding(_id_in(rest), f"{file.name} line {len(lines) + 1}", message, RESUME)


def _is_sealed(line: bytes) -> bool:
    try:
        record = json.loads(line)
        is_plain = line == json_text(record).encode("utf-8")
        return is_plain and record.pop(SEAL) == record_sha256(record) and "id" in record
    except BROKEN:
        return False


def _id_in(line: bytes) -> str:
    """The song that a damaged line was about, as far as it can be made out."""
    match = re.search(rb'"id":\s*"((?:[^"\\]|\\.)*)"', line)
    return match[1].decode("utf-8", "replace") if match else ""


def measurement_findings(folder: Path, songs: Sequence[CheckedSong], copies: dict[str, str]) -> Iterator[Finding]:
    """Damaged lines of what was measured, songs that lack theirs though the run measures, and copies at another
    loudness that are not as they were written; the places of all copies are put into ``copies``, with their songs."""
    try:
        found = read_measurements(folder, fingerprints=False)
        yield from line_findings(measurement_files(folder), {problem.where for problem in found.damaged}, RESUME)
    except OSError as error:
        yield Finding("", "measurements.jsonl", f"cannot be read ({error.strerror or error})", RESUME)
        return
    measures = _measures(folder)
    for song in songs:
        try:
            key = None if song.record is None else key_in(song.record)
        except BROKEN:  # which is told of its record
            continue
        line = None if key is None else found.lines.get(key)
        if key is not None and line is None and measures:
            yield Finding(song.song_id, "measurements.jsonl", "has no measurement of it", RESUME)
        if line is not None and line.copy is not None and line.copy.path and line.copy.path not in copies:
            copies[line.copy.path] = song.song_id
            yield from _copy(folder, song.song_id, line.copy)


def score_findings(folder: Path) -> Iterator[Finding]:
    """Damaged lines of what models said."""
    try:
        damaged = {problem.where for problem in read_scores(folder).damaged}
    except OSError as error:
        yield Finding("", SCORES, f"cannot be read ({error.strerror or error})", "move it away, and score again")
        return
    yield from line_findings([folder / SCORES] if damaged else [], damaged, "delete that line, and score again")


def _copy(folder: Path, song_id: str, copy: LoudnessCopy) -> Iterator[Finding]:
    try:
        if file_sha256(folder / copy.path) != copy.file_sha256:
            yield Finding(song_id, copy.path, CHANGED, "move it away, and resume the run")
    except FileNotFoundError:
        yield Finding(song_id, copy.path, "is missing", RESUME)
    except OSError as error:
        yield Finding(song_id, copy.path, f"cannot be read ({error.strerror or error})", RESUME)


def _measures(folder: Path) -> bool:
    """Whether a run's songs are to be measured; without its configuration, nobody knows."""
    try:
        return bool(yaml.safe_load(read_plain_file(folder / "config.yaml"))["measure"])
    except (*BROKEN, yaml.YAMLError):
        return False
