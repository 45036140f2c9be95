"""A rendered song to its files: checked, written in every format, its record in the tags and beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from acestep_batch.engine.base import RenderedSong
from acestep_batch.outputs.audio_files import master_sha256
from acestep_batch.outputs.formats import AudioFormat, audio_format
from acestep_batch.outputs.output_path import OutputTarget
from acestep_batch.outputs.publish import AudioFile, Encoding, publish_audio
from acestep_batch.outputs.quality import silent_or_broken
from acestep_batch.outputs.records import write_json
from acestep_batch.outputs.tags import Tags
from acestep_batch.problems import one_line
from acestep_batch.record import Outcome, sidecar
from acestep_batch.schema import Output

log = logging.getLogger(__name__)


def write_song(outcome: Outcome, target: OutputTarget, output: Output, engine: Mapping[str, Any]) -> Outcome:
    """Write the files of a rendered song; what goes wrong becomes its failure.

    ``engine`` are the engine's facts, for the record.
    """
    rendered = outcome.rendered
    if rendered is None:
        return outcome
    if reason := silent_or_broken(rendered.audio):
        return replace(outcome, error=reason)
    files: list[AudioFile] = []
    try:
        files.extend(_write_files(outcome, rendered, target, output, engine))
    except FileExistsError:
        return replace(outcome, files=tuple(files), error="could not be written: a file of that name has appeared")
    except Exception as error:
        log.exception("%s could not be written", outcome.song.id)
        return replace(outcome, files=tuple(files), error=f"could not be written: {one_line(error)}")
    return replace(outcome, files=tuple(files))


def _write_files(
    outcome: Outcome, rendered: RenderedSong, target: OutputTarget, output: Output, engine: Mapping[str, Any]
) -> Iterator[AudioFile]:
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
) -> AudioFile:
    """Write one audio file with its record in its tags, and the same record, with the file's own hash, beside it."""
    facts = {"name": path.name, "format": encode.name, "subtype": encode.subtype}

    def tags(encoding: Encoding) -> Tags:
        return Tags(outcome.song.id, outcome.song.generation.prompt, record({**facts, **asdict(encoding)}))

    written = publish_audio(path, rendered.audio, rendered.sample_rate, encode, tags)
    known = {"pcm_sha256": written.pcm_sha256, "clipped_samples": written.clipped_samples}
    own = {"bytes": written.bytes, "file_sha256": written.file_sha256}
    write_json(path.with_name(f"{path.name}.json"), record({**facts, **known, **own}))
    return written
