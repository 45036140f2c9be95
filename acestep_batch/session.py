"""One command's runs from start to end: checked together, then carried out with the weights kept loaded."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from acestep_batch.as_json import dry_run_json, result_json, todo_json
from acestep_batch.cells import Cell, Place, cell_name, facts_of, typed_runs, unchanged
from acestep_batch.hardware import Machine, torch_build
from acestep_batch.lock import is_alone, run_lock
from acestep_batch.plan import Song
from acestep_batch.preflight import Preflight, disk_problem, manifest_path, preflight, run_name
from acestep_batch.problems import FAILED, OK, REFUSED, Problem, Refused, one_line, refuse, visible
from acestep_batch.progress import RunConsole, RunProgress, run_progress, watch_rows
from acestep_batch.run_folder import Command, find_version, open_cell
from acestep_batch.shard import Shard, parse_shard
from acestep_batch.shown import (
    print_advice,
    print_dry_run,
    print_json,
    print_line,
    print_problems,
    print_refusal,
    print_results,
    print_todo,
)

if TYPE_CHECKING:
    from acestep_batch.compose import Run
    from acestep_batch.hydra_config import Layers
    from acestep_batch.interrupts import Interrupts


def run_layers(
    layers: Sequence[Layers],
    common: Layers | None,
    command: Command,
    machine: Machine,
    shipped: Path,
    notes: Sequence[str] = (),
    into: Path | None = None,
    explain: bool = False,
    as_json: bool = False,
) -> int:
    """Type, check and carry out the runs of a command; returns the exit code.

    Args:
        common: a sweep's configuration without the swept keys.
        notes: what ``auto`` found.
        into: the folder to go on in, where it was named; else the configuration decides.
        explain: only say what would be made, and why.
        as_json: end with one JSON object on standard output, and say all else on standard error.

    Raises:
        Refused: problems of the configuration, of every run at once; nothing to resume.
    """
    runs = typed_runs([*layers, *(() if common is None else (common,))])
    swept = runs.pop() if common is not None else None
    named = [Cell(run, "" if swept is None else cell_name(run), facts_of(run)) for run in runs]
    cells = list({cell.name: cell for cell in named}.values())
    first = runs[0]
    facts = cells[0].facts if swept is None else facts_of(swept) | {"swept": sorted(first.swept)}
    name, kind = run_name(first, manifest_path(first, shipped)), "run" if swept is None else "sweep"
    resume = first.options.resume
    if resume is None and swept is None and parse_shard(first.options.shard) is None:
        resume = False
    root = Path(first.output.root)
    existing = find_version(root, name, facts, kind, resume) if into is None else unchanged(into, facts)
    place = Place(command, root, name, facts, kind, resume, existing)
    return run_cells(cells, place, machine, shipped, notes, explain, as_json)


def run_cells(
    cells: Sequence[Cell],
    place: Place,
    machine: Machine,
    shipped: Path,
    notes: Sequence[str],
    explain: bool,
    as_json: bool = False,
) -> int:
    """Check every run, then carry them out; arguments and errors as in ``run_layers``."""
    out, err = RunConsole(stderr=as_json, highlight=False), RunConsole(stderr=True, highlight=False)
    options = cells[0].run.options
    shard = parse_shard(options.shard)
    if shard is not None and options.resume is False:
        raise refuse(f"shard={shard}", "needs one folder for all shards, and resume=false makes a new one", "drop it")
    build = torch_build()
    watch = watch_rows(err)
    checked = []
    for cell in cells:
        folder = None if place.existing is None else cell.folder(place.existing)
        checked.append(preflight(cell.run, machine, build, shipped, watch, not options.dry_run, folder, cell.stored))
    checked[0].notes.extend(notes)
    print_advice(checked)
    full = disk_problem(checked)
    blocking = [] if full is None else [full]
    for each in checked:
        blocking += [*each.problems, *each.row_problems] if options.dry_run else each.blocking
    if options.dry_run:
        print_dry_run(out, checked)
        if as_json:
            print_json(dry_run_json(checked, REFUSED if blocking else OK))
    if blocking:
        print_problems(list(dict.fromkeys(blocking)), sum(each.more_row_problems for each in checked))
        print_refusal()
        return REFUSED
    if explain:
        return _explain(checked, cells, place, out, as_json)
    return OK if options.dry_run else _carry_out(checked, cells, place, machine, shard, out, as_json)


def _report(folder: Path, out: Console) -> Path | None:
    """The report of what is there by now, at the end of a run however it ended; None where it could not be written,
    which is told and no reason to fail: it can be made again at any time."""
    from acestep_batch.report.write import REPORT, write_report

    try:
        write_report(folder)
    except Exception as error:  # a full disk, a page of that name that is none of ours, a picture that cannot be drawn
        why = str(error.problems[0]) if isinstance(error, Refused) else one_line(error)
        print_line(out, f"the report could not be written ({why}): python -m acestep_batch report {folder}")
        return None
    return folder / REPORT


def _score(folder: Path, run: Run, shard: Shard | None, stop: Interrupts, out: Console) -> list[Problem]:
    """Score the songs and write the report again; returns what could not be scored. An interrupt ends it."""
    from acestep_batch.scores.known import parse_scores
    from acestep_batch.scoring import score_folder

    wanted, device = parse_scores(run.options.scores), run.options.score_device
    try:
        found = score_folder(folder, wanted, device, lambda line: print_line(out, visible(line)), stop.check, shard)
    except KeyboardInterrupt:
        return []
    except Refused as refused:
        return list(refused.problems)
    except OSError as error:  # a full disk
        return [Problem("scores", one_line(error), "what is scored stays: mend it, and resume the run")]
    if found.songs and run.options.report:
        _report(folder, out)
    return found.problems


def _explain(checked: Sequence[Preflight], cells: Sequence[Cell], place: Place, out: Console, as_json: bool) -> int:
    from acestep_batch.run_work import look

    nowhere = Path(place.name, "new")
    skipped = {row.row.id: "; ".join(map(str, row.problems)) for each in checked for row in each.rows if row.problems}
    for row_id, reason in skipped.items():
        out.print(f"row {row_id} is skipped: {reason}", markup=False, soft_wrap=True)
    found = {
        cell.name: look(each, cell.folder(place.existing or nowhere)) for each, cell in zip(checked, cells, strict=True)
    }
    print_todo(out, found)
    if as_json:
        print_json(todo_json(found, skipped))
    return OK


def _carry_out(
    checked: Sequence[Preflight],
    cells: Sequence[Cell],
    place: Place,
    machine: Machine,
    shard: Shard | None,
    out: Console,
    as_json: bool,
) -> int:
    from acestep_batch.engine.base import Engine
    from acestep_batch.engine.load import EngineKey, load_engine, model_facts
    from acestep_batch.environment import describe_environment
    from acestep_batch.execute import execute
    from acestep_batch.interrupts import interrupts
    from acestep_batch.run_records import sweep_records
    from acestep_batch.run_result import RunResult
    from acestep_batch.summary import SummaryFiles
    from acestep_batch.superseded import remove_temporary_files

    held: dict[EngineKey, Engine] = {}

    def load(key: EngineKey) -> Engine:
        """Weights stay loaded from song to song and from cell to cell; the old ones go before new ones come."""
        if key not in held:
            held.clear()
            out.print(f"loading {key.model} on {key.device} in {key.dtype}")
            held[key] = load_engine(key)
        return held[key]

    def watch(songs: Sequence[Song]) -> AbstractContextManager[RunProgress]:
        return run_progress(out, songs)

    folder = place.open()
    out.print(f"{folder}", markup=False, soft_wrap=True)
    is_sweep = bool(cells[0].name)
    summary = SummaryFiles(folder, lambda compare: sweep_records(folder, compare=compare)) if is_sweep else None
    results: list[RunResult] = []
    refused_cells: dict[str, tuple[Problem, ...]] = {}
    with interrupts() as stop, run_lock(folder, shard) if is_sweep else nullcontext():
        if is_sweep:
            if is_alone(folder, shard):
                remove_temporary_files(folder)
            for cell in cells:  # all of them before the first song, so that resume knows of each
                open_cell(cell.folder(folder), cell.facts, place.command, cell.run.swept)
        for number, (each, cell) in enumerate(zip(checked, cells, strict=True), 1):
            own = cell.folder(folder)
            if is_sweep:
                out.print(f"cell {number}/{len(checked)}: {cell.words}", markup=False, soft_wrap=True)
            target = each.target
            model = model_facts(target.checkpoint, target.lyric_vocab, target.revision, target.v15)
            environment = describe_environment(machine, model)
            try:
                results.append(execute(each, own, environment, load, watch, stop, shard, summary))
            except Refused as refused:
                if not is_sweep:
                    raise
                print_problems(refused.problems)
                refused_cells[cell.name] = refused.problems
                continue
            broken_off = results[-1].broken_off
            if broken_off or stop.code is not None or (results[-1].failed and each.run.options.on_error == "stop"):
                break
        if summary is not None:
            summary.write(compare=True)
        report = _report(folder, out) if checked[0].run.options.report else None
        unscored: list[Problem] = []
        if checked[0].run.options.scores and stop.code is None and not any(each.broken_off for each in results):
            held.clear()
            unscored = _score(folder, checked[0].run, shard, stop, out)
    print_results(out, results, folder)
    if report is not None:
        out.print(f"report:  {report}", markup=False, soft_wrap=True)
    for name, problems in refused_cells.items():
        out.print(f"cell {name} was not made:", markup=False, soft_wrap=True)
        print_problems(problems)
    broken = [result.broken_off for result in results if result.broken_off]
    stale = [Problem("", result.stale_summary, "resume the run") for result in results if result.stale_summary]
    print_problems(broken or [*stale, *unscored])
    is_whole = not (broken or refused_cells or stale or unscored or any(result.failed for result in results))
    code = OK if is_whole else FAILED
    if broken or stop.code is not None:
        part = "" if shard is None else f" shard={shard}"
        line = f"go on with: python -m acestep_batch resume {shlex.quote(str(folder))}{part}"
        out.print(line, markup=False, soft_wrap=True)
        code = FAILED if stop.code is None else stop.code
    if as_json:
        print_json(result_json(folder, results, report, refused_cells, unscored, code))
    return code
