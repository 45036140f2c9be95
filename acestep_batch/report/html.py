"""The model of a page to the one HTML file that shows it: data, style and script inside, and nothing from elsewhere.

Texts of songs get into the page as data only, which the script sets as text; the policy lets no other script run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from acestep_batch.outputs.records import json_text
from acestep_batch.report.page import Entry, Page, title_of

MARK = '<meta name="generator" content="acestep_batch report">'
"""Stands in every report, so that only reports are ever replaced by one."""

_SCRIPTS = ("data", "keep", "pictures", "player", "details", "songs", "table", "grid", "tools", "keys", "start")


def report_html(page: Page, pictures: Mapping[str, tuple[Path, str]], folder: Path) -> str:
    """The whole file.

    Args:
        pictures: the picture and the waveform (``pictures.peaks_in``) of each song that has them, by ``Entry.key``.
        folder: absolute; where the file will lie, for everything that it points to is named from there.
    """
    style = _static("report.css")
    script = '"use strict";\n(() => {\n' + "\n".join(_static(f"{name}.js") for name in _SCRIPTS) + "})();\n"
    data = json_text(page_data(page, pictures, folder)).replace("<", "\\u003c")
    parts = {
        "policy": html.escape(_policy(script, style)),
        "mark": MARK,
        "title": html.escape(page.title),
        "style": style,
        "data": data,
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _static("report.html"))


def page_data(page: Page, pictures: Mapping[str, tuple[Path, str]], folder: Path) -> dict[str, Any]:
    """The page as the script reads it: plain JSON, each prompt and each lyric once."""
    texts: dict[str, int] = {}
    return {
        "title": page.title,
        "facts": page.facts,
        "common": page.common,
        "columns": [{"name": each.name, "number": each.is_number, "setting": each.is_setting} for each in page.columns],
        "telling": page.telling,
        "axes": page.axes,
        "grid": page.grid,
        "songs": [_song(page, song, pictures, folder, texts) for song in page.songs],
        "texts": list(texts),
    }


def _song(
    page: Page, song: Entry, pictures: Mapping[str, tuple[Path, str]], folder: Path, texts: dict[str, int]
) -> dict[str, Any]:
    drawn = pictures.get(song.key)
    return {
        "key": song.key,
        "id": song.id,
        "label": title_of(page, song),
        "error": song.error,
        "prompt": texts.setdefault(song.prompt, len(texts)),
        "lyrics": texts.setdefault(song.lyrics, len(texts)),
        "own": song.own,
        "values": song.values,
        "files": [[each.name, url(each, folder)] for each in song.files],
        "duration": song.duration_s,
        "identity": song.identity,
        "quality": song.quality,
        "reasons": song.reasons,
        "notes": song.notes,
        "picture": None if drawn is None else url(drawn[0], folder),
        "peaks": "" if drawn is None else drawn[1],
    }


def url(path: Path, folder: Path) -> str:
    """A file as a link from a page in ``folder``, both absolute: relative wherever one disk holds both."""
    try:
        return quote(Path(os.path.relpath(path, folder)).as_posix(), errors="surrogateescape")
    except ValueError:  # another drive
        return path.as_uri()


def _policy(script: str, style: str) -> str:
    """Nothing but this script, this style, and media from where the page lies; no text ever becomes markup or code."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_sha256(script)}'",
            f"style-src '{_sha256(style)}'",
            "img-src 'self' file:",
            "media-src 'self' file:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _static(name: str) -> str:
    return (resources.files("acestep_batch.report") / "static" / name).read_text(encoding="utf-8")
