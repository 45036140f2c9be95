"""A rendered song to its files: checked, written in every format, its record in the tags and beside it."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from acestep_batch.engine.base import RenderedSong
from acestep_batch.outputs.atomic import link_or_copy, make_folder
from acestep_batch.outputs.audio_files import ENCODER, master_sha256
from acestep_batch.outputs.formats import AudioFormat, audio_format
from acestep_batch.outputs.output_path import OutputTarget
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.outputs.publish import Encoding, publish_audio
from acestep_batch.outputs.quality import silent_or_broken
from acestep_batch.outputs.records import write_json
from acestep_batch.outputs.tags import Tags, read_record
from acestep_batch.problems import one_line
from acestep_batch.record import Outcome, WrittenFile, shared_line, shared_sidecar, shown_path, sidecar
from acestep_batch.run_plan import PlannedSong
from acestep_batch.schema_run import Output

log = logging.getLogger(__name__)


def write_song(
    outcome: Outcome, target: OutputTarget, output: Output, engine: Mapping[str, Any], folder: Path
) -> Outcome:
    """Write the files of a rendered song; what goes wrong becomes its failure.

    ``engine`` are the engine's facts, for the record; ``folder`` is the run's.
    """
    rendered = outcome.rendered
    if rendered is None:
        return outcome
    if reason := silent_or_broken(rendered.audio):
        return replace(outcome, error=reason)
    files: list[WrittenFile] = []
    try:
        _check_place(target.folder, folder)
        files.extend(_write_files(outcome, rendered, target, output, engine))
    except FileExistsError as error:
        reason = f"could not be written: {error.filename}: a file of that name has appeared"
        return replace(outcome, files=tuple(files), error=reason, is_unwritten=True)
    except Exception as error:
        log.exception("%s could not be written", outcome.song.song_id)
        reason = f"could not be written: {one_line(error)}"
        return replace(outcome, files=tuple(files), error=reason, is_unwritten=True)
    return replace(outcome, files=tuple(files))


def _check_place(place: Path, folder: Path) -> None:
    """Raise OSError where a folder of the run has become a link that leads out of it since the run began."""
    if place.is_relative_to(folder) and not place.resolve().is_relative_to(folder.resolve()):
        raise OSError(errno.ELOOP, "a link that leads elsewhere has taken the folder's place", str(place))


def _write_files(
    outcome: Outcome, rendered: RenderedSong, target: OutputTarget, output: Output, engine: Mapping[str, Any]
) -> Iterator[WrittenFile]:
    master = master_sha256(rendered.audio)

    def record(file: Mapping[str, Any]) -> dict[str, Any]:
        return sidecar(outcome, engine, file, master)

    for name in target.formats:
        yield _write_file(target.path(name), audio_format(name, output.wav_subtype), outcome, rendered, record)


def _write_file(
    path: Path,
    encode: AudioFormat,
    outcome: Outcome,
    rendered: RenderedSong,
    record: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> WrittenFile:
    """Write one audio file with its record in its tags, and the same record, with the file's own hash, beside it."""
    facts = {"name": path.name, "format": encode.name, "subtype": encode.subtype, "encoder": ENCODER}

    def tags(encoding: Encoding) -> Tags:
        return Tags(outcome.song.id, outcome.song.generation.prompt, record({**facts, **asdict(encoding)}))

    written = publish_audio(path, rendered.audio, rendered.sample_rate, encode, tags)
    known = {"pcm_sha256": written.pcm_sha256, "clipped_samples": written.clipped_samples}
    own = {"bytes": written.bytes, "file_sha256": written.file_sha256}
    beside = write_json(path.with_name(f"{path.name}.json"), record({**facts, **known, **own}))
    return WrittenFile(written, beside)


def share_song(
    record: Mapping[str, Any], twin: PlannedSong, folder: Path, moved: Mapping[Path, Path] = MappingProxyType({})
) -> dict[str, Any]:
    """Give a song the audio of another that sounds the same; returns its line for the ledger.

    ``record`` is the other's line, and ``moved`` says where files are now that are no longer where it says. Where the
    file system allows it, both names stand for one file.
    """
    line = shared_line(record, twin)
    if record["status"] != "ok":
        return line
    files = []
    try:
        _check_place(twin.files.folder, folder)
        for given in record["audio"]:
            path = twin.files.path(str(given["format"]))
            source = folder / str(given["path"])
            beside = source.with_name(f"{source.name}.json")
            source, beside = moved.get(source, source), moved.get(beside, beside)
            make_folder(path.parent)
            link_or_copy(source, path)
            own = shared_sidecar(_record_of(source, beside, given), twin, path.name)
            sidecar_sha256 = write_json(path.with_name(f"{path.name}.json"), own)
            files.append({**given, "path": shown_path(path, folder), "sidecar_sha256": sidecar_sha256})
    except Exception as error:
        log.exception("%s could not be written", twin.song.song_id)
        return {
            **line,
            "status": "failed",
            "error": f"could not be written: {one_line(error)}",
            "files": [],
            "audio": [],
        }
    return {**line, "files": [file["path"] for file in files], "audio": files}


def _record_of(audio: Path, beside: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a finished file: the one beside it, or if that is lost or changed, the same from its tags.

    ``given`` is what the ledger says about the file. Raises Refused or OSError where neither is there.
    """
    try:
        content = read_plain_file(beside)
        if hashlib.sha256(content).hexdigest() == given["sidecar_sha256"]:
            return dict(json.loads(content))
    except OSError:
        log.debug("%s cannot be read", beside)
    found = read_record(audio)
    if found is None:
        raise OSError(errno.ENOENT, "is missing, and the tags hold no record", str(beside))
    own = {name: given[name] for name in ("bytes", "file_sha256")}
    return {**found, "record": {**found["record"], "file": {**found["record"]["file"], **own}}}
