"""Micro-batches to engine to files, in order: one is written, and where the device allows decoded, beside the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from acestep_batch.attempts import Attempt, decode, decode_at_once, denoise
from acestep_batch.engine.base import Engine, StepCallback
from acestep_batch.engine.load import EngineKey
from acestep_batch.environment import peak_process_bytes
from acestep_batch.plan import Song
from acestep_batch.record import Outcome, shown_path
from acestep_batch.run_plan import PlannedSong
from acestep_batch.saved_latents import drop_latents, load_latents, save_latents
from acestep_batch.schema_run import Output
from acestep_batch.song_files import write_song
from acestep_batch.source_files import SourceFiles

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
class RenderBatch:
    """Songs for one call of one engine, and which of them are wanted; the others only keep them company."""

    engine: EngineKey
    songs: tuple[PlannedSong, ...]
    wanted: frozenset[str]
    waits: bool = False
    """Whether its songs start from others of the run, which come before."""


@dataclass(frozen=True, slots=True)
class Job:
    """The micro-batches that one process makes of a run."""

    folder: Path
    batches: Sequence[RenderBatch]
    output: Output
    saved: frozenset[str] = frozenset()
    """Songs of which latents lie in the folder: what was denoised earlier."""
    stop_at_failure: bool = False
    sources: SourceFiles | None = None
    """Reads what tasks start from; None where no song has one."""
    overlapped_allowed: bool = True
    """Whether a song that does not fit in memory otherwise may be decoded in overlapping windows."""


def render(
    job: Job, load: EngineLoader, watcher: Watcher, check: Callable[[], None], take: Callable[[Outcome], None]
) -> None:
    """Render every micro-batch and write its wanted songs; ``take`` gets each one's outcome as soon as it is on disk.

    That is beside the denoising of the next micro-batch, in the thread that writes: a song that is on disk is recorded
    at once and not after a batch that may take minutes. Failures of single songs are outcomes. With ``stop_at_failure``
    the first one is the last outcome. ``check`` is called at every step and may raise KeyboardInterrupt; what is
    rendered by then is still written and taken before that is passed on.

    Raises:
        Refused: weights that cannot be loaded.
        And what ``take`` raises.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="finish") as beside:
        waiting: deque[_Half] = deque()
        key: EngineKey | None = None
        engine: Engine | None = None
        try:
            for batch in job.batches:
                if engine is None or batch.engine != key:
                    if not _settled(job, waiting, take):
                        return
                    engine = None  # before the next one is loaded: two may not fit
                    key, engine = batch.engine, load(batch.engine)
                if batch.waits and not _settled(job, waiting, take):  # for what it starts from to be on the disk
                    return
                check()
                attempts = _denoised(job, engine, batch, watcher, check)
                if not engine.decodes_beside_denoising:
                    attempts = _decoded(job, engine, attempts)
                _settled(job, waiting, take)  # no more than one batch waits: its audio takes memory
                finishing = beside.submit(_finish, job, engine, batch, attempts, take)
                waiting.append(_Half(batch, engine, attempts, finishing))
                if job.stop_at_failure and not _settled(job, waiting, take):
                    return
        except KeyboardInterrupt:
            _settled(job, waiting, take)
            raise
        _settled(job, waiting, take)


@dataclass(frozen=True, slots=True)
class _Half:
    """A micro-batch that has been denoised and is being finished in the other thread."""

    batch: RenderBatch
    engine: Engine
    attempts: Sequence[Attempt]
    finishing: Future[bool | None]


def _settled(job: Job, waiting: deque[_Half], take: Callable[[Outcome], None]) -> bool:
    """Wait for what is being finished; whether the run goes on after it."""
    goes_on = True
    while waiting:
        half = waiting.popleft()
        finished = half.finishing.result()
        if finished is None:  # decoding went wrong, which needs the device for itself to be put right
            finished = _finish(job, half.engine, half.batch, _decoded(job, half.engine, half.attempts), take)
        goes_on = goes_on and bool(finished)
    return goes_on


def _denoised(
    job: Job, engine: Engine, batch: RenderBatch, watcher: Watcher, check: Callable[[], None]
) -> list[Attempt]:
    """The batch in its planned company, so that bits do not depend on what is wanted of it; or what was kept of it."""
    if batch.wanted <= job.saved:
        found = [load_latents(job.folder, each) for each in batch.songs if each.song.song_id in job.saved]
        kept = [each for each in found if each is not None]
        if batch.wanted <= {each.song.song_id for each in kept}:
            if job.sources is not None:
                job.sources.load([each.song for each in kept])  # for the record
            return kept

    def on_batch(songs: Sequence[Song]) -> StepCallback:
        count = watcher.batch(songs)

        def on_step(done: int, total: int) -> None:
            count(done, total)
            check()

        return on_step

    songs = [each.song for each in batch.songs]
    if job.sources is None or not any(song.beginnings or song.adapters for song in songs):
        return denoise(engine, songs, on_batch)
    sources, failed = job.sources.load(songs)
    lost = [Attempt(song, 0.0, error=failed[song.song_id]) for song in songs if song.song_id in failed]
    able = [song for song in songs if song.song_id not in failed]
    return [*lost, *(denoise(engine, able, on_batch, sources) if able else ())]


def _decoded(job: Job, engine: Engine, attempts: Sequence[Attempt]) -> list[Attempt]:
    return decode(engine, attempts, job.output.sample_rate, overlapped_allowed=job.overlapped_allowed)


def _finish(
    job: Job, engine: Engine, batch: RenderBatch, attempts: Sequence[Attempt], take: Callable[[Outcome], None]
) -> bool | None:
    """Decode what is not decoded yet, write what is wanted, and hand each song on.

    Returns whether the run goes on after it; None where decoding went wrong, and nothing was written.
    """
    if any(not each.error and each.rendered is None for each in attempts):
        decoded = decode_at_once(engine, attempts, job.output.sample_rate)
        if decoded is None:
            return None
        attempts = decoded
    peaks = (engine.peak_memory_bytes(), peak_process_bytes())
    facts = engine.describe()
    planned = {each.song.song_id: each for each in batch.songs}
    for each in attempts:
        if each.song.song_id not in batch.wanted:
            continue
        own = planned[each.song.song_id]
        outcome = Outcome(
            song=each.song,
            label=engine.label,
            identity=own.identity,
            error=each.error,
            rendered=each.rendered,
            seconds=each.seconds,
            batch=each.batch,
            rungs=tuple(map(str, each.rungs)),
            peak_memory_bytes=peaks[0],
            peak_process_bytes=peaks[1],
            source=None if job.sources is None else job.sources.used.get(each.song.song_id),
            reference=None if job.sources is None else job.sources.used_references.get(each.song.song_id),
        )
        outcome = _written(job, own, each, outcome, facts)
        take(outcome)
        if outcome.error and job.stop_at_failure:
            return False
    return True


def _written(job: Job, planned: PlannedSong, attempt: Attempt, outcome: Outcome, facts: Mapping[str, Any]) -> Outcome:
    """The song's files; where only writing fails, what was denoised is kept."""
    if attempt.error:
        return outcome
    kept = save_latents(job.folder, planned, attempt) if job.output.save_latents else None
    if kept is not None and kept.is_relative_to(job.folder):
        outcome = replace(outcome, latents=shown_path(kept, job.folder))
    written = write_song(outcome, planned.files, job.output, facts, job.folder)
    if not written.error:
        if planned.song.song_id in job.saved and not job.output.save_latents:
            drop_latents(job.folder, planned)
    elif written.is_unwritten and (kept := save_latents(job.folder, planned, attempt)) is not None:
        place = shown_path(kept.parent, job.folder)
        return replace(written, error=f"{written.error}; what was rendered is kept in {place}/, resume the run")
    return written
