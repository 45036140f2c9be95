"""Everything that can be known before a run: rows, files, weights, disk, encoders; all problems at once, no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from acestep_batch.advice import RowAdvice
from acestep_batch.compose import ONE_SONG_ID, Run
from acestep_batch.demo_words import demo_words
from acestep_batch.hardware import Machine, TorchBuild
from acestep_batch.manifest import COLUMNS, RowReader
from acestep_batch.manifest_files import open_manifest
from acestep_batch.manifest_rows import Place, RawManifest, RawRow
from acestep_batch.models import Family
from acestep_batch.output_checks import formats_asked, output_problems, path_problem
from acestep_batch.outputs.folders import free_bytes, run_folder
from acestep_batch.outputs.output_path import OutputRules
from acestep_batch.parameter import RANDOM
from acestep_batch.plan import CheckedRow, RowChecker, checked_rows
from acestep_batch.problems import Problem, Refused, visible
from acestep_batch.row_links import HeldRows
from acestep_batch.run_plan import PLAN, PlannedSong, read_plan
from acestep_batch.score_checks import scores_asked_problems
from acestep_batch.songs import audios_of, duration_s, seeds_of
from acestep_batch.source_finding import Places
from acestep_batch.target import Target, target_of, token_counter

SHIPPED = "shipped:"
CELLS = "cells"
"""Folder of a sweep's cells."""
MAX_CELL_CHARS = 64
_ROWS_SHOWN = 20
"""Rows that are kept where a run is only checked."""
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
    made_s: float = 0.0
    """Seconds of audio that the run's folder holds already."""
    own_files: frozenset[Path] = frozenset()
    """Files of the run itself, where it goes on; they may exist."""
    stored: tuple[PlannedSong, ...] = ()
    """The run's songs as they were planned, where its manifest is not read again."""
    places: Places = field(default_factory=lambda: Places(Path(), Path()))
    """Where files that rows name are looked for."""

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
    run = replace(run, hw=replace(run.hw, max_duration_s=target.longest_s))
    path = manifest_path(run, shipped)
    name = run_name(run, path)
    version = run_folder(Path(run.output.root), name) / "v0001"
    deepest = version / CELLS / ("x" * MAX_CELL_CHARS) if run.swept else version
    rules = OutputRules(deepest / "audio", run.output.formats, formats_asked(run), run.output.allow_outside)
    scores = scores_asked_problems(run.options.scores, run.options.score_device, machine, build)
    state = Preflight(run, target, name, rules, [*target.problems, *output_problems(run, rules), *scores])
    state.notes.extend(target.notes)
    plan = stored or (read_plan(folder) if folder is not None and (folder / PLAN).exists() else ())
    state.made_s = sum(
        each.song.generation.audio_duration for each in plan if all(map(Path.exists, each.files.paths()))
    )
    if stored:
        state.stored = tuple(stored)
        state.counts.update(rows=len(stored), songs=len(stored))
        state.audio_s = sum(each.song.longest_s for each in stored)
        return state
    state.own_files = frozenset(path for each in plan for path in each.files.paths())
    checker = RowChecker(run, target, RowAdvice(token_counter(target.tokenizer), demo_words(target.model)))
    reader = RowReader(path.parent if path is not None and not _is_folder(path) else path or Path())
    state.places = Places(reader.folder, Path(run.output.root))
    held = HeldRows()
    try:
        manifest = _one_song() if path is None else open_manifest(path, COLUMNS)
        state.problems.extend(manifest.problems)
        for row in watch(checked_rows(manifest, reader, checker, run.options.limit), manifest.progress):
            if row.row.place.row == 0 and row.row.id == "defaults":
                state.problems.extend(row.problems)
                continue
            checked = _with_path_problem(state, row)
            if keep_rows or len(state.rows) < _ROWS_SHOWN:
                state.rows.append(checked)
            if not held.hold(checked):
                _count(state, checked)
        _count_linked(state, held, path)
    except Refused as refused:
        state.problems.extend(refused.problems)
    if not state.counts["rows"] and not state.problems:
        state.problems.append(Problem(str(path), "holds no songs", "add rows"))
    state.notes.extend((*reader.notes(), *checker.notes()))
    return state


def _count_linked(state: Preflight, held: HeldRows, path: Path | None) -> None:
    """Judge the rows that name other songs; those whose rows were not kept are looked up in the manifest again."""
    if not held.rows:
        return
    run = state.run
    rows: Iterable[CheckedRow] = state.rows
    are_all = len(state.rows) == state.counts["rows"] + len(held.rows)
    if path is not None and not are_all and held.lacks(held.rows):
        checker = RowChecker(run, state.target, RowAdvice(None))
        rows = checked_rows(open_manifest(path, COLUMNS), RowReader(state.places.manifest), checker, run.options.limit)
    elif not are_all:
        rows = held.rows
    found = held.link(held.named_among(rows), run, state.target, state.places)
    for each in found.values():
        _count(state, each.checked, each.audio_s)
    state.rows = [found[each.row.id].checked if each.row.id in found else each for each in state.rows]


def _one_song() -> RawManifest:
    return RawManifest(None, [RawRow(Place("command line", 1), {"id": ONE_SONG_ID})], lambda: 1.0)


def _with_path_problem(state: Preflight, checked: CheckedRow) -> CheckedRow:
    settings = checked.settings
    if settings is None or settings.values["output_path"] is None:
        return checked
    where = f"{checked.row.place}, output_path"
    found = path_problem(settings, state.run, state.rules, state.own_files, where)
    return checked if found is None else checked._replace(problems=(*checked.problems, found))


def _count(state: Preflight, checked: CheckedRow, audio_s: float | None = None) -> None:
    """Take in a row and what is wrong with it; ``audio_s`` is how much audio it makes, where that is known."""
    row, settings, problems, advice = checked
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
        if audio_s is not None:
            state.audio_s += audio_s
        elif is_drawn and settings.values["actual_seeds"] != RANDOM:
            seeds = seeds_of(settings, checked.row.id)
            state.audio_s += sum(duration_s(settings, seed, state.run.hw.max_duration_s) for seed in seeds)
        else:
            asked = settings.values["audio_duration"]
            state.audio_s += audios * (state.run.hw.max_duration_s if asked == -1 else asked)


def needed_bytes(run: Run, audio_s: float) -> int:
    """An upper estimate of the disk space that this much stereo audio takes in the run's formats."""
    sample_bytes = {"pcm16": 2, "pcm24": 3, "float32": 4}[run.output.wav_subtype]
    rates = {
        "wav": run.output.sample_rate * 2 * sample_bytes,
        "flac": run.output.sample_rate * 2 * 3,
        **_BYTES_A_SECOND,
    }
    copies = 0 if run.output.loudness_lufs is None else max(rates[name] for name in run.output.formats)
    return int(audio_s * (copies + sum(rates[name] for name in run.output.formats)))


def disk_problem(checked: Sequence[Preflight]) -> Problem | None:
    """Why the disk cannot hold what all these runs will write beside what they hold; None where it can."""
    missing_s = [max(0.0, each.audio_s - each.made_s) for each in checked]
    needed = sum(needed_bytes(each.run, audio_s) for each, audio_s in zip(checked, missing_s, strict=True))
    try:
        free = free_bytes(Path(checked[0].run.output.root))
    except OSError as error:
        return Problem("output.root", f"the disk cannot be asked for free space: {error.strerror}", "check the path")
    if needed <= free:
        return None
    return Problem(
        "output.root",
        f"{sum(missing_s) / 3600:.2f} h of audio need about {_size(needed)}, {_size(free)} are free",
        "choose another folder with output.root=, or a smaller output.formats=",
    )


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"
