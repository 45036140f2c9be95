"""Songs to engine to files: micro-batches in order, one song's failure a recorded result, never a lost run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from acestep_batch.engine.base import Engine, RenderedSong, StepCallback
from acestep_batch.engine.load import EngineKey
from acestep_batch.environment import peak_process_bytes
from acestep_batch.outputs.audio_files import master_sha256
from acestep_batch.outputs.formats import AudioFormat, audio_format
from acestep_batch.outputs.output_path import OutputTarget
from acestep_batch.outputs.publish import AudioFile, Encoding, publish_audio
from acestep_batch.outputs.quality import silent_or_broken
from acestep_batch.outputs.records import write_json
from acestep_batch.outputs.tags import Tags
from acestep_batch.plan import Song
from acestep_batch.record import Outcome, sidecar
from acestep_batch.schema import Output
from acestep_batch.target import Target

log = logging.getLogger(__name__)

EngineLoader = Callable[[EngineKey], Engine]


class Watcher(Protocol):
    """Sees the songs that are rendered; drawing them is its own business."""

    def batch(self, songs: Sequence[Song]) -> StepCallback:
        """A micro-batch starts; returns what counts its steps."""
        ...

    def finished(self, outcome: Outcome) -> None:
        """A song is on disk and in the records, or has failed."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One run's songs with the files they go to, and the folder of the run."""

    folder: Path
    songs: Sequence[Song]
    targets: Sequence[OutputTarget]
    output: Output
    target: Target
    stop_at_failure: bool = False


def engine_key(song: Song, target: Target) -> EngineKey:
    """What has to be loaded for a song."""
    device = f"cuda:{song.generation.device_id}" if target.device == "cuda" else target.device
    return EngineKey(
        target.model, device, song.generation.bf16, song.generation.torch_compile, target.checkpoint, target.lyric_vocab
    )


def render(job: Job, load: EngineLoader, watcher: Watcher) -> Iterator[Outcome]:
    """Render every song and write its files; yields each song's outcome as soon as it is on disk.

    Failures of single songs are outcomes. With ``stop_at_failure`` the first one is the last outcome.

    Raises:
        Refused: weights that cannot be loaded.
    """
    by_engine: dict[EngineKey, list[int]] = {}
    for position, song in enumerate(job.songs):
        by_engine.setdefault(engine_key(song, job.target), []).append(position)
    for key, positions in by_engine.items():
        engine = load(key)  # the loader drops the one before
        for batch in _micro_batches(job, engine, positions):
            for outcome in _render_batch(job, engine, batch, watcher):
                yield outcome
                if outcome.error and job.stop_at_failure:
                    return
        del engine  # before the next one is loaded: two may not fit


def _micro_batches(job: Job, engine: Engine, positions: Iterable[int]) -> list[list[int]]:
    """Songs that may be rendered in one call, up to the batch size, in the order of their first one."""
    batches: list[list[int]] = []
    open_batches: dict[tuple[Any, ...], list[int]] = {}
    for position in positions:
        key = engine.micro_batch_key(job.songs[position].request())
        batch = open_batches.get(key)
        if batch is None or len(batch) >= job.target.batch_size:
            batch = open_batches[key] = []
            batches.append(batch)
        batch.append(position)
    return batches


def _render_batch(job: Job, engine: Engine, batch: Sequence[int], watcher: Watcher) -> Iterator[Outcome]:
    """Render a batch; where it fails as a whole, each of its songs alone, so that only the guilty one fails."""
    songs = [job.songs[position] for position in batch]
    started = time.perf_counter()
    try:
        results = engine.render([song.request() for song in songs], job.output.sample_rate, watcher.batch(songs))
    except Exception as error:
        if len(batch) == 1:
            log.exception("%s could not be rendered", songs[0].id)
            yield Outcome(songs[0], engine.label, _one_line(error), seconds=time.perf_counter() - started)
            return
        log.warning("a batch of %d songs failed (%s); rendering them one by one", len(batch), error)
        for position in batch:
            yield from _render_batch(job, engine, [position], watcher)
        return
    seconds = (time.perf_counter() - started) / len(batch)
    peaks = (engine.peak_memory_bytes(), peak_process_bytes())
    for position, song, result in zip(batch, songs, results, strict=True):
        outcome = Outcome(song, engine.label, "", (), result, seconds, len(batch), *peaks)
        yield _finish(job, engine, position, outcome, result)


def _finish(job: Job, engine: Engine, position: int, outcome: Outcome, result: RenderedSong) -> Outcome:
    """Check a rendered song and write its files; what goes wrong becomes the song's failure."""
    if reason := silent_or_broken(result.audio):
        return replace(outcome, error=reason)
    files: list[AudioFile] = []
    try:
        files.extend(_write_files(job, engine, position, outcome, result))
    except FileExistsError:
        return replace(outcome, files=tuple(files), error="could not be written: a file of that name has appeared")
    except Exception as error:
        log.exception("%s could not be written", outcome.song.id)
        return replace(outcome, files=tuple(files), error=f"could not be written: {_one_line(error)}")
    return replace(outcome, files=tuple(files))


def _write_files(
    job: Job, engine: Engine, position: int, outcome: Outcome, rendered: RenderedSong
) -> Iterator[AudioFile]:
    target, facts, master = job.targets[position], engine.describe(), master_sha256(rendered.audio)

    def record(file: Mapping[str, Any]) -> dict[str, Any]:
        return sidecar(outcome, facts, file, master)

    for name in target.formats:
        yield _write_file(target.path(name), audio_format(name, job.output.wav_subtype), outcome, rendered, record)


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


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}"
