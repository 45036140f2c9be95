"""The `report` verb: the page of a run or sweep written again, or one page over several; pictures and tables of it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from acestep_batch.hardware import detect, torch_build
from acestep_batch.outputs.atomic import make_folder, write_bytes
from acestep_batch.outputs.records import json_text
from acestep_batch.problems import FAILED, OK, Problem, Refused, refuse, visible
from acestep_batch.report.contact_sheet import contact_sheet
from acestep_batch.report.html import page_data
from acestep_batch.report.markdown import markdown
from acestep_batch.report.page import page_of
from acestep_batch.report.source import read_sources
from acestep_batch.report.write import Written, write_joint_report, write_report
from acestep_batch.score_checks import scores_asked_problems
from acestep_batch.scores.known import parse_scores
from acestep_batch.shown import print_problems
from acestep_batch.words import parse_words

HELP = """\
python -m acestep_batch report FOLDER [--png]
python -m acestep_batch report FOLDER FOLDER ... [to=DIR] [--png]
python -m acestep_batch report FOLDER ... --markdown | --json
python -m acestep_batch report FOLDER ... scores=clap,lyrics:DIR [score_device=cpu]

Writes report.html into the folder of a run or a sweep: a page that opens from the disk, without a
server, to hear, compare and pick its songs. Beside it report_files/ with its pictures, playlist.m3u8,
and audio/metadata.csv, with which the folder of audio loads as a Hugging Face AudioFolder.
Several folders make one page, in to=DIR or in the folder that holds them all.
scores= first has models judge the songs that they have not judged yet (`doctor` tells which there are);
their numbers become columns of the page and of the folders' summaries.

  --png        also report.png, a contact sheet for a README or a chat
  --markdown   print a table of the songs, for a pull request; write nothing
  --json       print what the page shows; write nothing

Exit codes: 0 done; 1 the page is there, but a song could not be read or scored; 2 refused.
"""

CONTACT_SHEET = "report.png"
_KEYS = ("to", "scores", "score_device")
_WORDS = tuple(f"{key}=" for key in _KEYS)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise refuse("report", message, "`python -m acestep_batch report --help`")


def run(words: Sequence[str]) -> int:
    """Carry the verb out; returns the exit code."""
    parser = _Parser(prog="python -m acestep_batch report", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--png", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    flags = parser.parse_intermixed_args(words)
    if flags.help:
        print(HELP, end="")
        return OK
    values = parse_words("report", [word for word in flags.words if word.startswith(_WORDS)], _KEYS)
    to = values.get("to")
    folders = [Path(word) for word in flags.words if not word.startswith(_WORDS)]
    if not folders:
        raise refuse("report", "names no folder", "such as `python -m acestep_batch report outputs/demo/v0001`")
    if flags.png + flags.markdown + flags.json > 1:
        raise refuse("report", "--png, --markdown and --json exclude each other", "give one of them")
    is_print = flags.markdown or flags.json
    if is_print and to is not None:
        raise refuse(f"to={to}", "goes with a page, and none is written here", "drop it, or --markdown and --json")
    unscored = _score(folders, values, sys.stderr if is_print else sys.stdout)
    if is_print:
        page = page_of(read_sources(folders))
        print(markdown(page) if flags.markdown else json_text(page_data(page, {}, Path.cwd()), indent=2) + "\n", end="")
        return FAILED if unscored else OK
    written = _written(folders, to)
    _tell(written)
    if flags.png:
        sheet = written.path.with_name(CONTACT_SHEET)
        write_bytes(sheet, contact_sheet(written.page, written.pictures), replace=True)
        print(f"contact sheet: {visible(str(sheet))}")
    return FAILED if written.undrawn or unscored else OK


def _score(folders: Sequence[Path], values: Mapping[str, str], out: TextIO) -> list[Problem]:
    """Have the songs scored as ``scores=`` says, each folder by itself; returns what could not be scored.

    Raises Refused for what cannot be given, before anything is scored.
    """
    if "scores" not in values:
        if "score_device" in values:
            raise refuse("score_device", "goes with scores=, and none are asked for", "drop it, or add scores=")
        return []
    names, device = values["scores"].strip("[]").split(","), values.get("score_device", "cpu")
    read_sources(folders)
    if problems := scores_asked_problems(names, device, detect(), torch_build()):
        raise Refused(problems)
    from acestep_batch.scoring import score_folder

    unscored: list[Problem] = []
    for folder in folders:
        found = score_folder(folder, parse_scores(names), device, lambda line: print(visible(line), file=out))
        unscored += found.problems
    print_problems(unscored)
    return unscored


def _written(folders: Sequence[Path], to: str | None) -> Written:
    """One folder's own page, or one over all of them."""
    if len(folders) == 1 and to is None:
        return write_report(folders[0])
    sources = read_sources(folders)
    if to is not None:
        make_folder(Path(to).resolve())
        return write_joint_report(sources, Path(to))
    try:
        return write_joint_report(sources, Path(os.path.commonpath([source.folder.parent for source in sources])))
    except ValueError:
        raise refuse("report", "the runs lie on different drives", "say with to=DIR where the page goes") from None


def _tell(written: Written) -> None:
    made = sum(bool(song.files) for song in written.page.songs)
    failed = len(written.page.songs) - made
    print(f"{made:,} {'song' if made == 1 else 'songs'}{f', {failed:,} not made' if failed else ''}")
    by_key = {song.key: song for song in written.page.songs}
    for key, reason in written.undrawn.items():
        print(f"cannot be drawn: {visible(str(by_key[key].files[0]))}: {visible(reason)}")
    print(f"report: {visible(str(written.path))}")
