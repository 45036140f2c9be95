"""A report written into its folder: the page, its pictures, and for each run a playlist and the metadata of its audio.

All of it is made from records and audio and can be made again at any time; nothing else reads it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from soundfile import LibsndfileError

from acestep_batch.lock import LOCKS, held
from acestep_batch.outputs.atomic import make_folder, write_text
from acestep_batch.preflight import CELLS
from acestep_batch.problems import one_line, refuse
from acestep_batch.report.html import MARK, report_html
from acestep_batch.report.listings import PLAYLIST, listing_files, playlist
from acestep_batch.report.page import Entry, Page, page_of
from acestep_batch.report.pictures import draw, peaks_in
from acestep_batch.report.source import Source, read_source
from acestep_batch.run_plan import PLAN, read_plan
from acestep_batch.run_records import run_records

log = logging.getLogger(__name__)

REPORT = "report.html"
PICTURES = "report_files"

_PICTURE_NAME = re.compile(r"[0-9a-f]{24}\.png")
_AT_ONCE = min(4, os.cpu_count() or 1)
"""Songs drawn at once; each holds its audio in memory, which with what is made of it takes 0.3 GB for four minutes."""


@dataclass(frozen=True, slots=True)
class Written:
    """A report on the disk."""

    path: Path
    page: Page
    pictures: dict[str, tuple[Path, str]]
    """The picture and the waveform of each song that could be drawn, by its key."""
    undrawn: dict[str, str]
    """Why a song could not be drawn, by its key."""


def write_report(folder: Path) -> Written:
    """Write a run's or sweep's report, its playlists and its metadata, each file whole and durable; songs that were
    drawn before are not drawn again, and files that would not change stay as they are. Processes that share the folder
    write one after another.

    Raises:
        Refused: the folder is no run's, its own files are damaged, or another process is writing for a minute.
        OSError: a file cannot be written.
    """
    folder = folder.resolve()
    make_folder(folder / LOCKS)
    with held(folder / LOCKS / "report.lock", wait_s=60):
        source = read_source(folder)
        written = write_joint_report([source], folder)
        for path, text in _listings(source):
            _write(path, text)
    return written


def write_joint_report(
    sources: Sequence[Source], folder: Path, progress: Callable[[int], None] | None = None
) -> Written:
    """Write one page about all sources into a folder, which is made where it is missing, and pictures beside it, from
    where those go that an earlier page in its place had and this one has no song for.

    Args:
        progress: called with the number of songs that are drawn, as it grows.

    Raises:
        Refused: a file of the page's name is there and is no report.
        OSError: a file cannot be written.
    """
    path = folder.resolve() / REPORT
    if path.exists() and MARK.encode("utf-8") not in path.read_bytes()[:4096]:
        raise refuse(str(path), "is no report, and would be replaced", "move it away, or choose a folder with to=DIR")
    page = page_of(sources)
    pictures, undrawn = _draw(page, path.parent / PICTURES, progress)
    _write(path, report_html(page, pictures, path.parent))
    _remove_old_pictures(page, path.parent / PICTURES)
    return Written(path, page, pictures, undrawn)


def _write(path: Path, text: str) -> None:
    if not path.is_file() or path.read_bytes() != text.encode("utf-8"):
        write_text(path, text, replace=True)


def _draw(
    page: Page, into: Path, progress: Callable[[int], None] | None
) -> tuple[dict[str, tuple[Path, str]], dict[str, str]]:
    """The songs' pictures, and why there is none; equal sound is drawn once."""
    make_folder(into)
    drawable = {song.pcm_sha256: song for song in page.songs if song.files}
    found: dict[str, tuple[Path, str]] = {}
    faults: dict[str, str] = {}

    def one(song: Entry) -> tuple[Path, str] | str:
        picture = into / _picture_name(song.pcm_sha256)
        try:
            return picture, draw(song.files[0], picture)
        except (LibsndfileError, ValueError) as error:
            return one_line(error)
        except OSError as error:
            if error.filename == str(picture):
                raise
            return one_line(error)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number, (sha256, result) in enumerate(zip(drawable, pool.map(one, drawable.values()), strict=True), 1):
            if isinstance(result, str):
                faults[sha256] = result
                log.warning("%s: no picture: %s", drawable[sha256].files[0], result)
            else:
                found[sha256] = result
            if progress is not None:
                progress(number)
    with_files = [song for song in page.songs if song.files]
    return (
        {song.key: found[song.pcm_sha256] for song in with_files if song.pcm_sha256 in found},
        {song.key: faults[song.pcm_sha256] for song in with_files if song.pcm_sha256 in faults},
    )


def _picture_name(pcm_sha256: str) -> str:
    return f"{pcm_sha256[:24]}.png"


def _remove_old_pictures(page: Page, folder: Path) -> None:
    """Remove pictures of songs that the page does not have; only files that reports make have such names and peaks."""
    wanted = {_picture_name(song.pcm_sha256) for song in page.songs}
    for path in sorted(folder.glob("*.png")):
        if _PICTURE_NAME.fullmatch(path.name) and path.name not in wanted and peaks_in(path) is not None:
            with suppress(OSError):  # a picture that somebody looks at on Windows; the next report removes it
                path.unlink()


def _listings(source: Source) -> Iterator[tuple[Path, str]]:
    """The playlists and metadata of a run, or of a sweep and each of its cells."""
    cells = source.folder / CELLS
    if not cells.is_dir():
        yield from listing_files(source.folder, source.records).items()
        return
    yield source.folder / PLAYLIST, playlist(source.records)
    for cell in sorted(cells.iterdir()):
        if (cell / PLAN).is_file():
            yield from listing_files(cell, run_records(cell, read_plan(cell))).items()
