"""Companies of recorded songs through the engine and against their files: a verdict on each, put into a report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from acestep_batch.checks import CheckedRun
from acestep_batch.companies import Company
from acestep_batch.engine.base import Engine, StepCallback
from acestep_batch.engine.load import EngineKey
from acestep_batch.hardware import Machine, TorchBuild
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.plain_yaml import load_yaml
from acestep_batch.plan import Song
from acestep_batch.problems import Problem, Refused, one_line
from acestep_batch.record import Outcome
from acestep_batch.rerender import (
    Rendering,
    against_file,
    engine_key_of,
    loaded_problems,
    render_again,
)
from acestep_batch.rerender_v15 import plan_again
from acestep_batch.run_folder import RUN_FILE
from acestep_batch.runner import EngineLoader, Watcher
from acestep_batch.song_checks import BROKEN, CheckedSong
from acestep_batch.verdicts import Report, SongVerdict
from acestep_batch.weights_place import WeightsPlace

Verdicts = Mapping[tuple[str, str], SongVerdict]
"""By cell and song."""


@dataclass(frozen=True, slots=True)
class Means:
    """What songs are made again with."""

    machine: Machine
    build: TorchBuild | None
    load: EngineLoader
    watch: Callable[[Sequence[Song]], AbstractContextManager[Watcher]]
    """Opens what shows the songs' progress."""
    check: Callable[[], None]
    """Called at every step; may raise KeyboardInterrupt."""


def checked_report(folder: Path, checked: Sequence[CheckedRun], method: str) -> Report:
    """What the check of the files found, as a report in which no song has been compared yet."""
    report = Report(folder, method)
    for run in checked:
        own = {
            song.song_id: SongVerdict(run.cell, song.song_id, _has_failed(song), is_missing=song.record is None)
            for song in run.songs
        }
        for finding in run.findings:
            if finding.song in own:
                own[finding.song].findings.append(finding)
            else:
                report.findings.append((run.cell, finding))
        report.songs += own.values()
    return report


def _has_failed(song: CheckedSong) -> bool:
    return song.record is not None and song.record.get("status") == "failed"


def verify_companies(
    report: Report, companies: Sequence[Company], given: WeightsPlace, is_strict: bool, means: Means
) -> None:
    """Render every company and put the verdicts on its compared songs into the report.

    ``given`` says where weights lie; what it leaves open stands in the runs' configurations. What ``means.check``
    raises is passed on, with what has been compared by then in the report.
    """
    verdicts = {(song.cell, song.song_id): song for song in report.songs}
    groups: dict[EngineKey, list[Company]] = {}
    for company in companies:
        try:
            place = weights_place_of(company.run.folder, given)
            key = engine_key_of(company.recorded, place, means.machine, means.build)
        except (Refused, OSError) as error:
            _block(verdicts, company, error)
        else:
            groups.setdefault(key, []).append(company)
    with means.watch([song for own in groups.values() for company in own for song in company.songs]) as watcher:
        for key, own in groups.items():
            for company in own:
                try:
                    engine = means.load(key)
                    if problems := loaded_problems(company.recorded, engine):
                        raise Refused(problems)
                except Refused as refused:
                    _block(verdicts, company, refused)
                else:
                    _verify(verdicts, company, engine, key, is_strict, watcher, means.check)


def weights_place_of(folder: Path, given: WeightsPlace) -> WeightsPlace:
    """Where a run's weights lay when it was made, below what is given; a damaged configuration says nothing."""
    try:
        text = read_plain_file(folder / "config.yaml").decode("utf-8")
        config = load_yaml(text, "config.yaml", "put it back")
        model, planner = dict(config["model"]), dict(config.get("lm") or {})
        started_in = Path(json.loads(read_plain_file(folder / RUN_FILE))["command"]["directory"])
        found = (model.get("path"), model.get("lyric_vocab"), model.get("bundle"), planner.get("path"))
        path, vocab, bundle, lm = (None if each is None else started_in / each for each in found)
    except (*BROKEN, Refused):
        return given
    own = given.path is None
    return WeightsPlace(
        given.path or path,
        given.lyric_vocab or (vocab if own else None),
        given.bundle or (bundle if own else None),
        given.planner or lm,
    )


def _block(verdicts: Verdicts, company: Company, error: Refused | OSError) -> None:
    problems = error.problems if isinstance(error, Refused) else (Problem("weights", one_line(error)),)
    for song, _ in company.compared:
        verdicts[company.run.cell, song.song_id].obstacles = problems


def _verify(
    verdicts: Verdicts,
    company: Company,
    engine: Engine,
    key: EngineKey,
    is_strict: bool,
    watcher: Watcher,
    check: Callable[[], None],
) -> None:
    def on_batch(songs: Sequence[Song]) -> StepCallback:
        count = watcher.batch(songs)

        def on_step(done: int, total: int) -> None:
            count(done, total)
            check()

        return on_step

    renderings = render_again(engine, company.songs, company.recorded.sample_rate, on_batch, company.run.folder)
    for song, source in company.compared:
        verdict = verdicts[company.run.cell, song.song_id]
        _compare(verdict, song, renderings[source], company.run.folder, is_strict)
        recorded = next(iter(song.files.values()))
        verdict.plan = plan_again(engine, recorded, key, lambda *_: check())
    for each in company.songs:
        made = renderings[each.song_id]
        watcher.finished(Outcome(each, engine.label, "", error=made.error, seconds=made.seconds))


def _compare(verdict: SongVerdict, song: CheckedSong, again: Rendering, folder: Path, is_strict: bool) -> None:
    verdict.seconds = again.seconds
    if again.audio is None:
        verdict.obstacles = (Problem(song.song_id, f"could not be made again: {again.error}"),)
        return
    try:
        for name, recorded in song.files.items():
            verdict.files.append(against_file(folder / name, name, recorded, again, again.audio, is_strict))
    except (OSError, RuntimeError, ValueError) as error:
        verdict.obstacles = (Problem(song.song_id, f"could not be encoded again: {one_line(error)}"),)
