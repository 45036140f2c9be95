"""One command's runs from start to end: checked together, then carried out with the weights kept loaded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from acestep_batch.compose import Run, build_run
from acestep_batch.hardware import Machine, torch_build
from acestep_batch.plan import Song
from acestep_batch.preflight import CELLS, MAX_CELL_CHARS, Preflight, disk_problem, preflight
from acestep_batch.problems import FAILED, INTERRUPTED, OK, REFUSED, Problem, Refused
from acestep_batch.progress import RunConsole, RunProgress, run_progress, watch_rows
from acestep_batch.shown import print_advice, print_dry_run, print_problems, print_refusal, print_results

if TYPE_CHECKING:
    from acestep_batch.hydra_config import Layers


def typed_run(cell: Layers) -> Run:
    """A composed cell as a typed run; a prompt or lyrics from the command line alone is one song without a manifest.

    Raises:
        Refused: with every problem of the configuration.
    """
    config = cell.config
    texts = {"prompt", "lyrics", "prompt_file", "lyrics_file"} & cell.command_line.keys()
    chosen = any(each.startswith(("manifest=", "manifest.path=")) for each in cell.overrides)
    if texts and not chosen:
        config = {**config, "manifest": {**config["manifest"], "path": None}}
    return build_run(
        config, cell.base, cell.preset, cell.preset_file, cell.command_line, cell.load_preset, cell.presets,
        cell.overrides, cell.swept, cell.own, cell.shipped_presets,
    )  # fmt: skip


def run_cells(
    cells: Sequence[Layers], is_sweep: bool, machine: Machine, shipped: Path, notes: Sequence[str] = ()
) -> int:
    """Check every cell, then carry them out; returns the exit code. ``notes`` say what ``auto`` found.

    Raises:
        Refused: problems of the configuration, of every cell at once.
    """
    out, err = RunConsole(highlight=False), RunConsole(stderr=True, highlight=False)
    runs = _typed_runs(cells)
    dry = runs[0].options.dry_run
    build = torch_build()
    watch = watch_rows(err)
    checked = [preflight(run, machine, build, shipped, watch, keep_rows=not dry) for run in runs]
    checked[0].notes.extend(notes)
    print_advice(checked)
    full = disk_problem(checked)
    blocking = [] if full is None else [full]
    for each in checked:
        blocking += [*each.problems, *each.row_problems] if dry else each.blocking
    if dry:
        print_dry_run(out, checked)
    if blocking:
        print_problems(list(dict.fromkeys(blocking)), sum(each.more_row_problems for each in checked))
        print_refusal()
        return REFUSED
    return OK if dry else _carry_out(checked, is_sweep, machine, out)


def _typed_runs(cells: Sequence[Layers]) -> list[Run]:
    runs: list[Run] = []
    problems: list[Problem] = []
    for cell in cells:
        try:
            runs.append(typed_run(cell))
        except Refused as refused:
            problems.extend(problem for problem in refused.problems if problem not in problems)
    if problems:
        raise Refused(problems)
    return runs


def _carry_out(checked: Sequence[Preflight], is_sweep: bool, machine: Machine, out: Console) -> int:
    from acestep_batch.engine.base import Engine
    from acestep_batch.engine.load import EngineKey, load_engine
    from acestep_batch.execute import RunResult, execute
    from acestep_batch.outputs.atomic import make_folder
    from acestep_batch.outputs.folders import claim_version
    from acestep_batch.outputs.names import safe_name, shortened
    from acestep_batch.summary import SummaryFiles

    held: dict[EngineKey, Engine] = {}

    def load(key: EngineKey) -> Engine:
        """Weights stay loaded from song to song and from cell to cell; the old ones go before new ones come."""
        if key not in held:
            held.clear()
            out.print(f"loading {key.model} on {key.device} in {'bfloat16' if key.bf16 else 'float32'}")
            held[key] = load_engine(key)
        return held[key]

    first = checked[0]
    folder = claim_version(Path(first.run.output.root), first.name)
    summary = SummaryFiles(folder) if is_sweep else None
    out.print(f"{folder}", markup=False, soft_wrap=True)

    def watch(songs: Sequence[Song]) -> AbstractContextManager[RunProgress]:
        return run_progress(out, songs)

    results: list[RunResult] = []
    failed_cells = 0
    for number, cell in enumerate(checked, 1):
        place = folder
        if is_sweep:
            words = "_".join(f"{key}={value}" for key, value in cell.run.swept.items())
            place = (
                folder / CELLS / shortened(safe_name("_".join(filter(None, (f"{number:04d}", words)))), MAX_CELL_CHARS)
            )
            make_folder(place)
            out.print(f"cell {number}/{len(checked)}: {words}", markup=False, soft_wrap=True)
        try:
            results.append(execute(cell, place, machine, load, watch, summary))
        except Refused as refused:
            if not results:
                raise
            print_problems(refused.problems)
            failed_cells += 1
            continue
        if results[-1].interrupted or (results[-1].failed and cell.run.options.on_error == "stop"):
            break
    print_results(out, results, folder)
    if any(result.interrupted for result in results):
        return INTERRUPTED
    return FAILED if failed_cells or any(result.failed for result in results) else OK
