"""The songs of a report as one picture, for a README or a chat: titles, waveforms and spectrograms in columns.

Knows the Latin script, Cyrillic and Greek, as far as Pillow's own font does; other letters become boxes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from acestep_batch.problems import visible
from acestep_batch.report.page import Entry, Page, title_of
from acestep_batch.report.pictures import PEAKS

_TILE, _GAP, _MARGIN = (440, 150), 16, 28
_MOST = 120
"""Songs; the picture says how many more there are."""
_GROUND, _PANEL, _INK, _MUTED = (13, 17, 20), (21, 27, 31), (233, 239, 241), (163, 177, 184)
_PEAK, _BODY = (44, 91, 88), (88, 201, 187)
_FLAGS = {"ok": (127, 214, 154), "warn": (243, 189, 98), "fail": (255, 154, 144)}


def contact_sheet(page: Page, pictures: Mapping[str, tuple[Path, str]]) -> bytes:
    """A PNG file of all songs that were made, a tile for each.

    Args:
        pictures: as ``html.report_html`` takes them.
    """
    songs = [song for song in page.songs if song.files][:_MOST]
    across = max(1, min(4, round(len(songs) ** 0.5)))
    down = max(1, -(-len(songs) // across))
    head = 70
    width = 2 * _MARGIN + across * _TILE[0] + (across - 1) * _GAP
    sheet = Image.new("RGB", (width, head + _MARGIN + down * (_TILE[1] + _GAP) + 8), _GROUND)
    pen = ImageDraw.Draw(sheet)
    _text(pen, (_MARGIN, 22), page.title, 26, _INK, width // 2)
    made = sum(bool(song.files) for song in page.songs)
    counted = f"{made} songs" + (f", {len(songs)} of them here" if made > len(songs) else "")
    pen.text((width - _MARGIN, 30), counted, _MUTED, _font(17), anchor="ra")
    levels = {key: _levels(peaks) for key, (_, peaks) in pictures.items()}
    loudest = max((int(each.max()) for each in levels.values()), default=0) or 1
    for number, song in enumerate(songs):
        left = _MARGIN + number % across * (_TILE[0] + _GAP)
        top = head + number // across * (_TILE[1] + _GAP)
        _tile(pen, (left, top), page, song)
        if song.key in pictures:
            _wave(pen, (left + 12, top + 36), (_TILE[0] - 24, 44), levels[song.key] / loudest)
            with Image.open(pictures[song.key][0]) as image:
                mel = image.convert("RGB").resize((_TILE[0] - 24, 56), Image.Resampling.BILINEAR)
            sheet.paste(mel, (left + 12, top + 84))
    file = io.BytesIO()
    sheet.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def _tile(pen: ImageDraw.ImageDraw, at: tuple[int, int], page: Page, song: Entry) -> None:
    """The ground of a song, its title, quality and length."""
    left, top = at
    width, height = _TILE
    pen.rounded_rectangle((left, top, left + width, top + height), 10, _PANEL)
    minutes, seconds = divmod(round(song.duration_s), 60)
    pen.text((left + width - 12, top + 11), f"{minutes}:{seconds:02d}", _MUTED, _font(15), anchor="ra")
    if song.quality:
        pen.text((left + width - 52, top + 11), song.quality, _FLAGS[song.quality], _font(15), "ra")
    _text(pen, (left + 12, top + 10), title_of(page, song), 16, _INK, width - 120)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _levels(peaks: str) -> NDArray[np.uint8]:
    """Peaks and root mean squares ``[2, PEAKS]`` of a waveform."""
    return np.frombuffer(base64.b64decode(peaks), np.uint8).reshape(2, PEAKS)


def _wave(pen: ImageDraw.ImageDraw, at: tuple[int, int], size: tuple[int, int], levels: NDArray[np.float64]) -> None:
    """Peaks and, before them, root mean squares ``[2, PEAKS]`` from 0 to 1, a bar for every fourth pixel."""
    bars, middle = size[0] // 4, at[1] + size[1] // 2
    starts = np.linspace(0, PEAKS, bars, endpoint=False).astype(int)
    for values, colour in zip(np.maximum.reduceat(levels, starts, axis=1), (_PEAK, _BODY), strict=True):
        for bar, level in enumerate(values):
            x, half = at[0] + bar * size[0] // bars, max(1, int(level * size[1] / 2))
            pen.rectangle((x, middle - half, x + 2, middle + half - 1), colour)


def _text(
    pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, colour: tuple[int, int, int], room: int
) -> None:
    """One line of text, cut where the room ends."""
    font, line = _font(size), visible(text)[:200]
    while line and font.getlength(line) > room:
        line = line[:-2].rstrip() + "…" if len(line) > 2 else ""
    pen.text(at, line, colour, font)
