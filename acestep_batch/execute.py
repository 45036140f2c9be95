"""A checked run carried out: its configuration written, its songs rendered, its records and summary kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from acestep_batch.batches import micro_batches
from acestep_batch.engine.base import Engine
from acestep_batch.engine.load import EngineKey
from acestep_batch.environment import describe_environment
from acestep_batch.hardware import Machine
from acestep_batch.outputs.atomic import write_text
from acestep_batch.outputs.names import stem_from_template
from acestep_batch.outputs.output_path import OutputRules, OutputTarget, is_absolute, output_target, unique_targets
from acestep_batch.outputs.records import append_jsonl, json_text, write_json
from acestep_batch.plan import Song, songs_of
from acestep_batch.preflight import Preflight
from acestep_batch.problems import Problem, Refused
from acestep_batch.record import failed_row, ledger_line, manifest_row
from acestep_batch.runner import EngineLoader, Job, Watcher, render
from acestep_batch.summary import SummaryFiles

log = logging.getLogger("acestep_batch")


@dataclass(slots=True)
class RunResult:
    """How a run ended: its records, in the order in which songs finished."""

    folder: Path
    songs: int = 0
    """Songs that were to be rendered; those that were not tried have no record."""
    records: list[Mapping[str, Any]] = field(default_factory=list)
    interrupted: bool = False

    @property
    def failed(self) -> int:
        """Songs that failed and rows that were skipped."""
        return sum(record["status"] != "ok" for record in self.records)

    @property
    def not_tried(self) -> int:
        """Songs that the end of the run came before."""
        return self.songs - sum("seed" in record for record in self.records)


def execute(
    checked: Preflight,
    folder: Path,
    machine: Machine,
    load: EngineLoader,
    watch: Callable[[Sequence[Song]], AbstractContextManager[Watcher]],
    sweep_summary: SummaryFiles | None = None,
) -> RunResult:
    """Render a run into its folder, which exists and is empty.

    Args:
        watch: opens what shows the songs' progress.
        sweep_summary: takes in every song beside the run's own summary.

    Raises:
        Refused: weights that do not load, or names that do not fit.
        OSError: the run's own files cannot be written.
    """
    run = checked.run
    songs = songs_of(checked.rows, run, checked.target)
    targets = audio_targets(songs, checked, folder)
    summary = SummaryFiles(folder)
    result = RunResult(folder, len(songs))

    def keep(record: Mapping[str, Any]) -> None:
        append_jsonl(folder / "records.jsonl", record)
        result.records.append(record)
        summary.add(record)
        if sweep_summary is not None:
            sweep_summary.add(_cell_record(record, run.swept, folder.relative_to(sweep_summary.folder)))

    with _log_file(folder / "run.log"):
        _write_plan(checked, folder, songs)
        _log_preflight(checked)
        for row in checked.rows:
            if row.problems:
                log.warning("row %s skipped: %s", row.row.id, "; ".join(map(str, row.problems)))
                keep(failed_row(row))
        batches = micro_batches(songs, checked.target)
        job = Job(songs, targets, batches, run.output, run.options.on_error == "stop")
        try:
            with watch(songs) as watcher:
                for outcome in render(job, _describing(load, folder, machine), watcher):
                    keep(ledger_line(outcome, folder))
                    watcher.finished(outcome)
        except KeyboardInterrupt:
            result.interrupted = True
            log.warning("interrupted: %d of %d songs not tried", result.not_tried, len(songs))
        finally:
            summary.write()
            if sweep_summary is not None:
                sweep_summary.write()
    return result


def _cell_record(record: Mapping[str, Any], swept: Mapping[str, str], cell: Path) -> dict[str, Any]:
    """A song's record in the summary of its sweep: with the swept values, and paths from the sweep's folder."""
    found = {"cell": cell.name, **{f"sweep.{key}": value for key, value in swept.items()}, **record}
    if "files" in record:
        found["files"] = [name if Path(name).is_absolute() else (cell / name).as_posix() for name in record["files"]]
    return found


def audio_targets(songs: Sequence[Song], checked: Preflight, folder: Path) -> list[OutputTarget]:
    """The files of each song, no two of them the same; an absolute path is told apart by seed and by cell.

    Raises:
        Refused: a name that cannot be used.
    """
    rules: OutputRules = replace(checked.rules, audio_folder=folder / "audio")
    targets: list[OutputTarget] = []
    problems: list[Problem] = []
    for song in songs:
        asked = song.generation.output_path
        stem = stem_from_template(checked.run.output.template, song.template_values(checked.name))
        suffix = f"_{song.seed}" if song.takes > 1 else ""
        if checked.run.swept and asked is not None and is_absolute(asked):
            suffix += f"_{folder.name}"
        found = output_target(asked, stem, rules, suffix=suffix, where=f"{song.place}, output_path")
        if isinstance(found, Problem):
            problems.append(found)
        else:
            targets.append(found)
    if problems:
        raise Refused(problems)
    return unique_targets(targets)


def _write_plan(checked: Preflight, folder: Path, songs: Sequence[Song]) -> None:
    """What was asked, resolved, before anything is rendered."""
    config = yaml.safe_dump(resolved_config(checked), sort_keys=False, allow_unicode=True)
    write_text(folder / "config.yaml", config)
    write_text(folder / "overrides.yaml", yaml.safe_dump(list(checked.run.overrides), allow_unicode=True))
    write_text(folder / "manifest.jsonl", "".join(json_text(manifest_row(song)) + "\n" for song in songs))


def resolved_config(checked: Preflight) -> dict[str, Any]:
    """The configuration as the run uses it: files read, presets in place, ``auto`` decided."""
    layers, config = checked.run.layers, dict(checked.run.config)
    song = {**layers.base, **layers.preset, **layers.preset_file, **layers.command_line}
    config["generation"] = {name: list(value) if isinstance(value, tuple) else value for name, value in song.items()}
    config["hw"] = {**config["hw"], "batch_size": checked.target.batch_size}
    return config


def _log_preflight(checked: Preflight) -> None:
    for note in (*checked.target.warnings, *checked.notes):
        log.info("%s", note)
    for advice, places in checked.advice.items():
        log.warning(
            "%s [%s%s]", advice, ", ".join(places[:5]), f" and {len(places) - 5} more" if len(places) > 5 else ""
        )


def _describing(load: EngineLoader, folder: Path, machine: Machine) -> EngineLoader:
    """A loader that also keeps ``environment.json``, which needs facts of the loaded engines."""
    engines: list[dict[str, Any]] = []

    def loader(key: EngineKey) -> Engine:
        engine = load(key)
        engines.append({"model": engine.label, **engine.describe()})
        write_json(folder / "environment.json", describe_environment(machine, engines), replace=True)
        return engine

    return loader


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Everything the product logs goes to a file of the run as well."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(before)
        log.removeHandler(handler)
        handler.close()
