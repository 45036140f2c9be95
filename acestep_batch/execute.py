"""A checked run carried out in its folder, from wherever it stands: songs rendered, recorded, and summed up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from acestep_batch.batches import engine_key
from acestep_batch.environment import keep_environment
from acestep_batch.interrupts import Interrupts
from acestep_batch.ledger import append_record
from acestep_batch.levels import steps
from acestep_batch.lock import run_lock
from acestep_batch.loudness_copies import is_whole
from acestep_batch.measurements import (
    drop_damaged,
    measurement_files,
    measurements_name,
    read_measurements,
)
from acestep_batch.measuring import Measuring, measuring
from acestep_batch.plan import Song
from acestep_batch.preflight import Preflight
from acestep_batch.problems import Problem
from acestep_batch.record import WITHDRAWN, Outcome, failed_row, ledger_line, withdrawn_row
from acestep_batch.run_log import log, log_file
from acestep_batch.run_plan import PlannedSong, batches_of
from acestep_batch.run_records import run_records
from acestep_batch.run_result import RunResult
from acestep_batch.run_work import Opened, open_work
from acestep_batch.runner import EngineLoader, Job, RenderBatch, Watcher, render
from acestep_batch.saved_latents import has_latents
from acestep_batch.shard import Shard
from acestep_batch.song_files import share_song
from acestep_batch.source_files import SourceFiles
from acestep_batch.summary import SummaryFiles


def execute(
    checked: Preflight,
    folder: Path,
    environment: Mapping[str, Any],
    load: EngineLoader,
    watch: Callable[[Sequence[Song]], AbstractContextManager[Watcher]],
    stop: Interrupts,
    shard: Shard | None = None,
    sweep_summary: SummaryFiles | None = None,
) -> RunResult:
    """Render what a run's folder lacks; the folder exists.

    Args:
        environment: what the run stands on, for the record.
        watch: opens what shows the songs' progress.
        stop: who may ask for the end.
        sweep_summary: written beside the run's own summary.

    Raises:
        Refused: another process is at work there, weights do not load, or names do not fit.
        OSError: the run's own files cannot be written.
    """
    with run_lock(folder, shard), log_file(folder / f"run{'' if shard is None else f'-{shard.index}'}.log"):
        opened = open_work(checked, folder, shard)
        result = RunResult(folder, len(opened.mine), opened.work.finished, set_aside=len(opened.set_aside))
        summary = SummaryFiles(folder, lambda compare: run_records(folder, opened.work.plan, compare=compare))
        known = keep_environment(folder, environment)

        def write(record: Mapping[str, Any]) -> None:
            append_record(folder, shard, {**record, "environment": known})

        sources = SourceFiles(folder, known_sources := _known_sources(opened))

        def keep(record: Mapping[str, Any]) -> None:
            write(record)
            result.count(record)
            if record["id"] in known_sources:
                known_sources[str(record["id"])] = record
            if measure is not None:
                measure.add(record)
            for each in (summary, sweep_summary):
                if each is not None:
                    each.changed()

        _log_preflight(checked)
        try:
            if shard is None or shard.index == 1:
                _skip(checked, opened, result, write)
            with _measuring(checked, opened, folder, stop, shard) as measure:
                _render(checked, opened, folder, load, watch, stop, keep, sources)
        except OSError as error:  # a full disk, a lost folder: what is finished stays
            where, why = str(error.filename or folder), error.strerror or str(error)
            result.broken_off = Problem(where, why, "what is finished stays: mend it, and resume the run")
        except KeyboardInterrupt:
            result.exit_code = stop.code
            log.warning("interrupted: %d of %d songs not tried", result.not_tried, result.songs)
        finally:
            result.stale_summary = summary.write(compare=True)
            if sweep_summary is not None and (result.made or result.failed):
                result.stale_summary = sweep_summary.write() or result.stale_summary
    return result


@contextmanager
def _measuring(
    checked: Preflight, opened: Opened, folder: Path, stop: Interrupts, shard: Shard | None
) -> Iterator[Measuring | None]:
    """What measures this process's songs, beginning with those that were made before and are not measured yet."""
    if not checked.run.options.measure:
        yield None
        return
    drop_damaged(folder, measurement_files(folder) if shard is None else [folder / measurements_name(shard)])
    lines = read_measurements(folder, fingerprints=False).lines
    output = checked.run.output
    target, ceiling = output.loudness_lufs, output.true_peak_ceiling_dbtp
    known = {
        key
        for key, line in lines.items()
        if line.measurement is not None and (target is None or is_whole(line.copy, folder, target, ceiling))
    }
    with measuring(folder, shard, output, known, stop.check) as found:
        for each in opened.work.plan:
            song_id = each.song.song_id
            is_mine = shard is None or (each.batch is not None and shard.takes(each.batch))
            if is_mine and song_id not in opened.work.todo and song_id in opened.records:
                found.add(opened.records[song_id])
        yield found


def _skip(checked: Preflight, opened: Opened, result: RunResult, write: Callable[[Mapping[str, Any]], None]) -> None:
    """Record the rows that are skipped, unless that is recorded, and take back what is so no more."""
    before = {
        row_id: record
        for row_id, record in opened.records.items()
        if record.get("identity") is None and WITHDRAWN not in record
    }
    for row in checked.rows:
        if row.problems:
            line = failed_row(row)
            log.warning("row %s skipped: %s", row.row.id, "; ".join(map(str, row.problems)))
            if before.pop(row.row.id, {}).get("error") != line["error"]:
                write(line)
            result.count(line)
    is_whole = checked.run.options.limit is None and not checked.stored
    asked = before.keys() if is_whole else before.keys() & {row.row.id for row in checked.rows}
    for row_id in asked - {each.song.song_id for each in opened.work.plan}:
        write(withdrawn_row(row_id))


def _render(
    checked: Preflight,
    opened: Opened,
    folder: Path,
    load: EngineLoader,
    watch: Callable[[Sequence[Song]], AbstractContextManager[Watcher]],
    stop: Interrupts,
    keep: Callable[[Mapping[str, Any]], None],
    sources: SourceFiles,
) -> None:
    """Make this process's songs, each followed by those that sound the same."""
    by_id = {each.song.song_id: each for each in opened.work.plan}
    twins: dict[str, list[PlannedSong]] = {}
    for each in opened.work.plan:
        if each.same_as is not None and each.song.song_id in opened.mine:
            twins.setdefault(each.same_as, []).append(each)
    for twin in list(twins):
        if twin not in opened.work.todo:
            for each in twins.pop(twin):
                keep(share_song(opened.records[twin], each, folder))
    for song_id, earlier in opened.work.moved.items():
        if song_id in opened.mine:
            record = share_song(opened.records[earlier], by_id[song_id], folder, opened.set_aside)
            keep(record)
            for each in twins.pop(song_id, ()):
                keep(share_song(record, each, folder))
    job = _job(checked, opened, folder, sources)
    with watch([by_id[song_id].song for song_id in by_id if song_id in opened.mine]) as watcher:

        def take(outcome: Outcome) -> None:
            record = ledger_line(outcome, folder)
            keep(record)
            watcher.finished(outcome)
            for each in twins.pop(outcome.song.song_id, ()):
                keep(share_song(record, each, folder))

        render(job, load, watcher, stop.check, take)


def _known_sources(opened: Opened) -> dict[str, Mapping[str, Any]]:
    """The records of songs that others start from, as far as they have one yet."""
    sources = (source for each in opened.work.plan for source in each.song.beginnings)
    ids = {source.song_id for source in sources if source.song_id is not None}
    return {song_id: opened.records.get(song_id, {}) for song_id in ids}


def _job(checked: Preflight, opened: Opened, folder: Path, sources: SourceFiles) -> Job:
    """The micro-batches of this process: those that others wait for first, and together those of one
    engine and, among these, of the same LoRAs."""
    songs = {each.song.song_id: each for each in opened.work.plan}
    step = steps(each.song for each in opened.work.plan)
    batches: list[tuple[int, RenderBatch]] = []
    for members in batches_of(opened.work.plan).values():
        wanted = [each.song.song_id for each in members if each.song.song_id in opened.mine]
        if wanted:
            level = step[members[0].song.song_id].level
            engine = engine_key(members[0].song, checked.target)
            batches.append((level, RenderBatch(engine, tuple(members), frozenset(wanted), waits=level > 0)))
    loads = dict.fromkeys((batch.engine, batch.songs[0].song.adapters) for _, batch in batches)
    engines = list(dict.fromkeys(engine for engine, _ in loads))
    order = {load: number for number, load in enumerate(sorted(loads, key=lambda load: engines.index(load[0])))}
    batches.sort(key=lambda each: (each[0], order[each[1].engine, each[1].songs[0].song.adapters]))
    options = checked.run.options
    return Job(
        folder=folder,
        batches=[batch for _, batch in batches],
        sources=sources,
        output=checked.run.output,
        saved=frozenset(song_id for song_id in opened.mine if has_latents(folder, songs[song_id])),
        stop_at_failure=options.on_error == "stop",
        overlapped_allowed=options.on_oom == "degrade",
    )


def _log_preflight(checked: Preflight) -> None:
    for note in (*checked.target.warnings, *checked.notes):
        log.info("%s", note)
    for advice, places in checked.advice.items():
        log.warning(
            "%s [%s%s]", advice, ", ".join(places[:5]), f" and {len(places) - 5} more" if len(places) > 5 else ""
        )
