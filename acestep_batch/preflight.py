"""Everything that can be known before a run: rows, files, weights, disk, encoders; all problems at once, no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from acestep_batch.advice import RowAdvice
from acestep_batch.compose import ONE_SONG_ID, Run, Settings
from acestep_batch.hardware import Machine, TorchBuild
from acestep_batch.manifest import COLUMNS, RowReader
from acestep_batch.manifest_files import open_manifest
from acestep_batch.manifest_rows import Place, RawManifest, RawRow
from acestep_batch.models import Family
from acestep_batch.outputs.audio_files import encoder_failure
from acestep_batch.outputs.folders import check_writable, free_bytes, run_folder
from acestep_batch.outputs.formats import audio_format, format_problems
from acestep_batch.outputs.names import template_problem
from acestep_batch.outputs.output_path import OutputRules, is_absolute, output_target
from acestep_batch.parameter import RANDOM
from acestep_batch.plan import TEMPLATE_FIELDS, CheckedRow, RowChecker, audios_of, checked_rows, duration_s, seeds_of
from acestep_batch.problems import Problem, Refused, visible
from acestep_batch.run_plan import PLAN, PlannedSong, read_plan
from acestep_batch.schema import PARAMETERS, Output
from acestep_batch.target import Target, target_of, token_counter

SHIPPED = "shipped:"
CELLS = "cells"
"""Folder of a sweep's cells."""
MAX_CELL_CHARS = 64
MAX_KEPT = 1000
"""Problems and pieces of advice that are kept word by word; the rest is counted."""

_BYTES_A_SECOND = {"mp3": 40_000, "ogg": 40_000, "opus": 40_000}
"""Upper estimates for lossy formats; the others follow from rate and sample size."""

RowWatcher = Callable[[Iterable[CheckedRow], Callable[[], float]], Iterable[CheckedRow]]


@dataclass(slots=True)
class Preflight:
    """What is known of a run before it starts."""

    run: Run
    target: Target
    name: str
    rules: OutputRules
    problems: list[Problem] = field(default_factory=list)
    """Of the run as a whole: they always stop it."""
    row_problems: list[Problem] = field(default_factory=list)
    more_row_problems: int = 0
    advice: dict[str, list[str]] = field(default_factory=dict)
    """Places by advice."""
    notes: list[str] = field(default_factory=list)
    rows: list[CheckedRow] = field(default_factory=list)
    """All rows, or the first few in a dry run."""
    counts: Counter[str] = field(default_factory=Counter)
    audio_s: float = 0.0
    own_files: frozenset[Path] = frozenset()
    """Files of the run itself, where it goes on; they may exist."""
    stored: tuple[PlannedSong, ...] = ()
    """The run's songs as they were planned, where its manifest is not read again."""

    @property
    def blocking(self) -> list[Problem]:
        """The problems that stop a real run, given its ``on_invalid``."""
        return [*self.problems, *(self.row_problems if self.run.options.on_invalid == "stop" else ())]


def manifest_path(run: Run, shipped: Path) -> Path | None:
    """Where the run's manifest lies; ``shipped:`` ones lie in the product's own folder."""
    path = run.manifest.path
    if path is None:
        return None
    return shipped / path.removeprefix(SHIPPED) if path.startswith(SHIPPED) else Path(path)


def run_name(run: Run, path: Path | None) -> str:
    """The name of the run's folder: ``output.name``, or the manifest's stem."""
    if path is None:
        return run.output.name or ONE_SONG_ID
    return run.output.name or (path.resolve().name if _is_folder(path) else path.stem)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # no file system takes the name; the manifest's reader says so
        return False


def preflight(
    run: Run,
    machine: Machine,
    build: TorchBuild | None,
    shipped: Path,
    watch: RowWatcher,
    keep_rows: bool,
    folder: Path | None = None,
    stored: Sequence[PlannedSong] = (),
) -> Preflight:
    """Check a run completely; creates no folder and raises nothing.

    Args:
        shipped: the folder of the product's own manifests.
        watch: sees the rows go by, with the share of the manifest that has been read.
        keep_rows: keep every row for a real run, or only the first few.
        folder: the run's folder, where the run goes on in one.
        stored: its songs as they were planned; then the manifest is not read.
    """
    target = target_of(run, machine, build)
    path = manifest_path(run, shipped)
    name = run_name(run, path)
    version = run_folder(Path(run.output.root), name) / "v0001"
    deepest = version / CELLS / ("x" * MAX_CELL_CHARS) if run.swept else version
    rules = OutputRules(deepest / "audio", run.output.formats, _formats_asked(run), run.output.allow_outside)
    state = Preflight(run, target, name, rules, [*target.problems, *_output_problems(run, rules)])
    state.notes.extend(target.notes)
    if stored:
        state.stored = tuple(stored)
        state.counts.update(rows=len(stored), songs=len(stored))
        state.audio_s = sum(each.song.longest_s for each in stored)
        return state
    if folder is not None and (folder / PLAN).exists():
        state.own_files = frozenset(path for each in read_plan(folder) for path in each.files.paths())
    checker = RowChecker(run, target, RowAdvice(token_counter(target.tokenizer)))
    reader = RowReader(path.parent if path is not None and not _is_folder(path) else path or Path())
    try:
        manifest = _one_song() if path is None else open_manifest(path, COLUMNS)
        state.problems.extend(manifest.problems)
        for checked in watch(checked_rows(manifest, reader, checker, run.options.limit), manifest.progress):
            _take_in(state, checked, keep_rows)
    except Refused as refused:
        state.problems.extend(refused.problems)
    if not state.counts["rows"] and not state.problems:
        state.problems.append(Problem(str(path), "holds no songs", "add rows"))
    state.notes.extend(reader.notes())
    return state


def _one_song() -> RawManifest:
    return RawManifest(None, [RawRow(Place("command line", 1), {"id": ONE_SONG_ID})], lambda: 1.0)


def _take_in(state: Preflight, checked: CheckedRow, keep: bool) -> None:
    row, settings, problems, advice = checked
    if settings is not None and settings.values["output_path"] is not None:
        found = _path_problem(settings, state, f"{row.place}, output_path")
        if found is not None:
            problems = (*problems, found)
            checked = checked._replace(problems=problems)
    if row.place.row == 0 and row.id == "defaults":
        state.problems.extend(problems)
        return
    state.counts["rows"] += 1
    if problems:
        state.counts["invalid"] += 1
        room = MAX_KEPT - len(state.row_problems)
        state.row_problems.extend(problems[:room])
        state.more_row_problems += max(0, len(problems) - room)
    if advice:
        where = str(row.place)
        for each in advice:
            text = visible(f"{'note: ' if each.note else ''}{each.key}: {each.message}")  # it may quote the lyrics
            if text in state.advice or len(state.advice) < MAX_KEPT:
                state.advice.setdefault(text, []).append(where)
    if settings is not None and not problems:
        audios = audios_of(settings)
        state.counts["songs"] += audios
        is_drawn = settings.values["audio_duration"] == -1 and state.target.family is Family.V1
        if is_drawn and settings.values["actual_seeds"] != RANDOM:
            seeds = seeds_of(settings, checked.row.id)
            state.audio_s += sum(duration_s(settings, seed, state.run.hw.max_duration_s) for seed in seeds)
        else:
            asked = settings.values["audio_duration"]
            state.audio_s += audios * (state.run.hw.max_duration_s if asked == -1 else asked)
    if keep or len(state.rows) < 20:
        state.rows.append(checked)


def _path_problem(settings: Settings, state: Preflight, where: str) -> Problem | None:
    """Why a row's own path cannot be used: not allowed, of a format that cannot be written, or taken."""
    asked, output = settings.values["output_path"], state.run.output
    found = output_target(asked, "name", state.rules, where=where)
    if isinstance(found, Problem):
        return found
    if found.formats != output.formats and (problems := _format_problems(found.formats, output)):
        return problems[0]
    if not is_absolute(asked):
        return None
    if check_writable(found.folder) is not None:
        return Problem(where, f"{found.folder} is not writable", "choose another folder")
    if audios_of(settings) > 1 or state.run.swept:
        return None  # the name gets a suffix
    taken = [path for path in found.paths() if path.exists() and path not in state.own_files]
    return Problem(where, f"{taken[0]} exists and is never overwritten", "choose another name") if taken else None


def _formats_asked(run: Run) -> bool:
    return run.output.formats != PARAMETERS["output"]["formats"].default or any(
        "output.formats=" in each for each in run.overrides
    )


def _format_problems(formats: tuple[str, ...], output: Output) -> list[Problem]:
    problems = format_problems(formats, output.wav_subtype, output.sample_rate)
    for name in formats:
        if reason := encoder_failure(audio_format(name, output.wav_subtype)):
            message = f"libsndfile cannot write {name}: {reason}"
            problems.append(Problem("output.formats", message, "pip install -U soundfile"))
    return problems


def _output_problems(run: Run, rules: OutputRules) -> list[Problem]:
    output = run.output
    problems = _format_problems(output.formats, output)
    for problem in (template_problem(output.template, TEMPLATE_FIELDS), check_writable(Path(output.root))):
        problems.extend([problem] if problem is not None else [])
    longest = output_target(None, "name", rules, where="output.root")
    return [*problems, longest] if isinstance(longest, Problem) else problems


def needed_bytes(run: Run, audio_s: float) -> int:
    """An upper estimate of the disk space that this much stereo audio takes in the run's formats."""
    sample_bytes = {"pcm16": 2, "pcm24": 3, "float32": 4}[run.output.wav_subtype]
    rates = {
        "wav": run.output.sample_rate * 2 * sample_bytes,
        "flac": run.output.sample_rate * 2 * 3,
        **_BYTES_A_SECOND,
    }
    return int(audio_s * sum(rates[name] for name in run.output.formats))


def disk_problem(checked: Sequence[Preflight]) -> Problem | None:
    """Why the disk cannot hold what all these runs will write; None where it can."""
    needed = sum(needed_bytes(each.run, each.audio_s) for each in checked)
    audio_h = sum(each.audio_s for each in checked) / 3600
    try:
        free = free_bytes(Path(checked[0].run.output.root))
    except OSError as error:
        return Problem("output.root", f"the disk cannot be asked for free space: {error.strerror}", "check the path")
    if needed <= free:
        return None
    return Problem(
        "output.root",
        f"{audio_h:.1f} h of audio need about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
        "choose another folder with output.root=, or a smaller output.formats=",
    )
