"""The `verify` verb: a run's files against its records, then its songs rendered again, or against another run."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NoReturn

from acestep_batch.against import compare_runs
from acestep_batch.checks import CheckedRun, check_folder
from acestep_batch.companies import companies_of, sample
from acestep_batch.engine.base import Engine
from acestep_batch.engine.load import EngineKey, load_engine
from acestep_batch.hardware import detect, torch_build
from acestep_batch.interrupts import interrupts
from acestep_batch.junit import junit_text
from acestep_batch.plan import Song
from acestep_batch.problems import refuse, visible
from acestep_batch.progress import RunConsole, RunProgress, run_progress
from acestep_batch.rerender import one_at_a_time
from acestep_batch.shown import print_line, print_table
from acestep_batch.verdicts import Report, SongVerdict
from acestep_batch.verification import Means, checked_report, verify_companies
from acestep_batch.weights_place import WeightsPlace
from acestep_batch.words import parse_words

HELP = """\
python -m acestep_batch verify FOLDER [--sample 5%] [--seed N] [--strict] [--json] [--format table|json|junit]
python -m acestep_batch verify FOLDER --against FOLDER
python -m acestep_batch verify FOLDER --files-only

Checks every file of a run or a sweep against its records, then renders the songs again from the
records alone and compares them with what is on disk. The tier that each song is expected in:

  bit-identical  where nothing differs that could move a bit (torch, processor, threads, company)
  numerical      in float32 on another CPU, torch or thread count: no sample moves by over 1e-4
  perceptual     in other types, and on GPUs: the log-mel distance is 0.6 dB at most

  --sample       render only a share (5%) or a number of the songs; files are checked all the same
  --seed         which songs a sample draws (0)
  --strict       expect bit-identity whatever differs
  --against      compare with the songs of another run, and render nothing
  --files-only   render nothing
  --json         the same as --format json
  --format       json and junit (for CI) go to standard output, as the table does
  model.path=DIR, model.lyric_vocab=FILE    where weights lie, if not where they lay; of 1.5 also
                 model.bundle=DIR and lm.path=DIR

Songs of 1.5 are rendered from the plans in their records. Where their planner is here, they are
planned again too, and the plans are compared.

Exit codes: 0 all holds; 1 a song differs or a file is damaged; 2 something cannot be checked here:
other weights, another engine or other lyric libraries, each by its name.
"""


_SONGS_SHOWN, _LINES_SHOWN = 40, 200


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise refuse("verify", message, "`python -m acestep_batch verify --help`")


def run(words: Sequence[str]) -> int:
    """Carry the verb out; returns the exit code."""
    parser = _Parser(prog="python -m acestep_batch verify", add_help=False, allow_abbrev=False)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--against")
    parser.add_argument("--files-only", action="store_true")
    parser.add_argument("--json", dest="format", action="store_const", const="json", default="table")
    parser.add_argument("--format", choices=("table", "json", "junit"), default="table")
    parser.add_argument("--help", "-h", action="store_true")
    flags = parser.parse_intermixed_args(words)
    if flags.help:
        print(HELP, end="")
        return 0
    if flags.folder is None:
        raise refuse("verify", "names no folder", "such as `python -m acestep_batch verify outputs/demo/v0001`")
    if flags.files_only + (flags.against is not None) + (flags.sample is not None) > 1:
        raise refuse("verify", "--files-only, --against and --sample exclude each other", "give one of them")
    place = weights_place("verify", flags.words)
    folder = Path(flags.folder)
    checked = check_folder(folder)
    if flags.files_only:
        report, code = checked_report(folder, checked, "files against records"), None
    elif flags.against is not None:
        other = Path(flags.against)
        report, code = checked_report(folder, checked, f"songs against {other}"), None
        compare_runs(report, checked, check_folder(other), flags.strict)
    else:
        report, code = verify_again(folder, checked, flags.sample, flags.seed, flags.strict, place, load_engine)
    if flags.format == "table":
        print_report(RunConsole(highlight=False), report)
    else:
        print(report.as_json() if flags.format == "json" else junit_text(report), end="")
    return report.exit_code if code is None else code


def weights_place(verb: str, words: Sequence[str]) -> WeightsPlace:
    """Where a command line says that weights lie. Raises Refused for other words."""
    names = ("model.path", "model.lyric_vocab", "model.bundle", "lm.path")
    values = parse_words(verb, words, names)
    return WeightsPlace(*(Path(values[name]) if name in values else None for name in names))


def verify_again(
    folder: Path,
    checked: Sequence[CheckedRun],
    asked: str | None,
    seed: int,
    is_strict: bool,
    place: WeightsPlace,
    load: Callable[[EngineKey], Engine],
) -> tuple[Report, int | None]:
    """Render songs of checked runs again, or a sample of them, and compare them with what is on disk.

    Progress goes to standard error. Returns the report, and the exit code if it was interrupted.

    Raises:
        Refused: ``asked`` is no sample.
    """
    drawn = sample([company for run in checked for company in companies_of(run)], asked, seed)
    how = "all songs rendered again" if asked is None else f"a sample of {asked} rendered again, --seed {seed}"
    report = checked_report(folder, checked, how)
    with interrupts() as stop:
        try:
            verify_companies(report, drawn, place, is_strict, means(load, stop.check))
        except KeyboardInterrupt:
            report.method += ", interrupted"
    return report, stop.code


def means(load: Callable[[EngineKey], Engine], check: Callable[[], None]) -> Means:
    """What songs are made again with here, telling of it on standard error."""
    err = RunConsole(stderr=True, highlight=False)

    def say(key: EngineKey) -> None:
        err.print(f"loading {key.model} on {key.device} in {key.dtype}")

    def watch(songs: Sequence[Song]) -> AbstractContextManager[RunProgress]:
        return run_progress(err, songs)

    return Means(detect(), torch_build(), one_at_a_time(load, say), watch, check)


def print_report(out: RunConsole, report: Report) -> None:
    """A table of the songs, those that are wrong first; then every complaint, and what it comes to."""
    in_sweep = any(song.cell for song in report.songs)
    wrong_first = sorted(report.songs, key=lambda song: not any(song.messages()))
    columns = ("cell", "song", "state", "expected", "reached", "difference")
    shown = slice(0 if in_sweep else 1, 6 if any(song.files for song in report.songs) else 3)
    if lines := [_line(song)[shown] for song in wrong_first[:_SONGS_SHOWN]]:
        print_table(out, columns[shown], lines, f"{report.folder}: {report.method}")
    if len(wrong_first) > _SONGS_SHOWN:
        print_line(out, f"... and {len(wrong_first) - _SONGS_SHOWN:,} more songs")
    complaints = [f"{cell}: {finding}" if cell else str(finding) for cell, finding in report.findings]
    for song in wrong_first:
        complaints += [f"{song.cell}: {message}" if song.cell else message for message in song.messages()]
    complaints += [f"cannot be checked: {problem} ({_songs(number)})" for problem, number in report.obstacles().items()]
    for line in complaints[:_LINES_SHOWN]:
        print_line(out, line)
    if len(complaints) > _LINES_SHOWN:
        print_line(out, f"... and {len(complaints) - _LINES_SHOWN:,} more lines (--format json has all)")
    for reason, songs in report.reasons().items():
        print_line(out, f"expected no better than {reason} ({_songs(songs)})")
    print_line(out, report.counts())


def _songs(number: int) -> str:
    return f"{number:,} {'song' if number == 1 else 'songs'}"


def _line(song: SongVerdict) -> tuple[str, ...]:
    worst = song.worst
    if worst is None:
        return song.cell, visible(song.song_id), str(song.state), "-", "-", "-"
    found = worst.found
    difference = "-" if found.largest is None else "0" if found.largest == 0 else f"{found.largest:.1e}"
    if found.log_mel_db is not None:
        difference += f", {found.log_mel_db:.2f} dB"
    return song.cell, visible(song.song_id), str(song.state), str(worst.expected.tier), str(found.tier), difference
