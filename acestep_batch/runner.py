"""Micro-batches to engine to files, in order: one is written, and where the device allows decoded, beside the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from acestep_batch.attempts import Attempt, decode, decode_at_once, denoise
from acestep_batch.batches import MicroBatch
from acestep_batch.engine.base import Engine, StepCallback
from acestep_batch.engine.load import EngineKey
from acestep_batch.environment import peak_process_bytes
from acestep_batch.outputs.output_path import OutputTarget
from acestep_batch.plan import Song
from acestep_batch.record import Outcome
from acestep_batch.schema import Output
from acestep_batch.song_files import write_song

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
    """One run's songs, the files they go to, and the micro-batches to make of them."""

    songs: Sequence[Song]
    targets: Sequence[OutputTarget]
    batches: Sequence[MicroBatch]
    output: Output
    stop_at_failure: bool = False
    overlapped_allowed: bool = True
    """Whether a song that does not fit in memory otherwise may be decoded in overlapping windows."""


def render(job: Job, load: EngineLoader, watcher: Watcher) -> Iterator[Outcome]:
    """Render every micro-batch and write its files; yields each song's outcome as soon as it is on disk.

    Failures of single songs are outcomes. With ``stop_at_failure`` the first one is the last outcome. What is
    denoised when the step callback raises KeyboardInterrupt is still written and yielded before that is passed on.

    Raises:
        Refused: weights that cannot be loaded.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="finish") as beside:
        waiting: deque[_Half] = deque()
        key: EngineKey | None = None
        engine: Engine | None = None
        try:
            for batch in job.batches:
                if engine is None or batch.engine != key:
                    yield from _finished(job, waiting)
                    engine = None  # before the next one is loaded: two may not fit
                    key, engine = batch.engine, load(batch.engine)
                songs = [job.songs[position] for position in batch.positions]
                attempts = denoise(engine, songs, watcher.batch)
                if not engine.decodes_beside_denoising:
                    attempts = _decoded(job, engine, attempts)
                for outcome in _finished(job, waiting):  # no more than one batch waits: its audio takes memory
                    yield outcome
                    if outcome.error and job.stop_at_failure:
                        return
                waiting.append(_Half(batch, engine, attempts, beside.submit(_finish, job, engine, batch, attempts)))
                if job.stop_at_failure:
                    for outcome in _finished(job, waiting):
                        yield outcome
                        if outcome.error:
                            return
        except KeyboardInterrupt:
            yield from _finished(job, waiting)
            raise
        yield from _finished(job, waiting)


@dataclass(frozen=True, slots=True)
class _Half:
    """A micro-batch that has been denoised and is being finished in the other thread."""

    batch: MicroBatch
    engine: Engine
    attempts: Sequence[Attempt]
    finishing: Future[list[Outcome] | None]


def _finished(job: Job, waiting: deque[_Half]) -> Iterator[Outcome]:
    while waiting:
        half = waiting.popleft()
        outcomes = half.finishing.result()
        if outcomes is None:  # decoding went wrong, which needs the device for itself to be put right
            outcomes = _finish(job, half.engine, half.batch, _decoded(job, half.engine, half.attempts)) or []
        yield from outcomes


def _decoded(job: Job, engine: Engine, attempts: Sequence[Attempt]) -> list[Attempt]:
    return decode(engine, attempts, job.output.sample_rate, overlapped_allowed=job.overlapped_allowed)


def _finish(job: Job, engine: Engine, batch: MicroBatch, attempts: Sequence[Attempt]) -> list[Outcome] | None:
    """Decode what is not decoded yet, and write everything; None where decoding went wrong."""
    if any(not each.error and each.rendered is None for each in attempts):
        decoded = decode_at_once(engine, attempts, job.output.sample_rate)
        if decoded is None:
            return None
        attempts = decoded
    peaks = (engine.peak_memory_bytes(), peak_process_bytes())
    facts = engine.describe()
    outcomes = []
    for position, each in zip(batch.positions, attempts, strict=True):
        outcome = Outcome(
            each.song, engine.label, each.error, (), each.rendered, each.seconds, each.batch, *peaks, each.rungs
        )
        outcomes.append(outcome if each.error else write_song(outcome, job.targets[position], job.output, facts))
    return outcomes
