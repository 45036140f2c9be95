"""The `report` verb: the page of a run or sweep written again, or one page over several; pictures and tables of it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from acestep_batch.outputs.atomic import make_folder, write_bytes
from acestep_batch.outputs.records import json_text
from acestep_batch.problems import FAILED, OK, refuse, visible
from acestep_batch.report.contact_sheet import contact_sheet
from acestep_batch.report.html import page_data
from acestep_batch.report.markdown import markdown
from acestep_batch.report.page import page_of
from acestep_batch.report.source import read_sources
from acestep_batch.report.write import Written, write_joint_report, write_report
from acestep_batch.words import parse_words

HELP = """\
python -m acestep_batch report FOLDER [--png]
python -m acestep_batch report FOLDER FOLDER ... [to=DIR] [--png]
python -m acestep_batch report FOLDER ... --markdown | --json

Writes report.html into the folder of a run or a sweep: a page that opens from the disk, without a
server, to hear, compare and pick its songs. Beside it report_files/ with its pictures, playlist.m3u8,
and audio/metadata.csv, with which the folder of audio loads as a Hugging Face AudioFolder.
Several folders make one page, in to=DIR or in the folder that holds them all.

  --png        also report.png, a contact sheet for a README or a chat
  --markdown   print a table of the songs, for a pull request; write nothing
  --json       print what the page shows; write nothing

Exit codes: 0 done; 1 the page is there, but the audio of a song could not be read; 2 refused.
"""

CONTACT_SHEET = "report.png"


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
    to = parse_words("report", [word for word in flags.words if word.startswith("to=")], ("to",)).get("to")
    folders = [Path(word) for word in flags.words if not word.startswith("to=")]
    if not folders:
        raise refuse("report", "names no folder", "such as `python -m acestep_batch report outputs/demo/v0001`")
    if flags.png + flags.markdown + flags.json > 1:
        raise refuse("report", "--png, --markdown and --json exclude each other", "give one of them")
    if flags.markdown or flags.json:
        if to is not None:
            raise refuse(f"to={to}", "goes with a page, and none is written here", "drop it, or --markdown and --json")
        page = page_of(read_sources(folders))
        print(markdown(page) if flags.markdown else json_text(page_data(page, {}, Path.cwd()), indent=2) + "\n", end="")
        return OK
    written = _written(folders, to)
    _tell(written)
    if flags.png:
        sheet = written.path.with_name(CONTACT_SHEET)
        write_bytes(sheet, contact_sheet(written.page, written.pictures), replace=True)
        print(f"contact sheet: {visible(str(sheet))}")
    return FAILED if written.undrawn else OK


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
