"""The songs of a report as a Markdown table, for pull requests and chats; a prompt or id can mark nothing up there."""

from __future__ import annotations

import re
from itertools import groupby

from acestep_batch.problems import visible
from acestep_batch.report.page import Page, text_of

_LONGEST = 60
_PLAIN = re.compile(r"[\w .,:;()%+=/…-]*")
"""What Markdown leaves as it is, inside a line."""


def markdown(page: Page) -> str:
    """A heading, what all songs share, and a table with a line for each song and the page's columns."""
    header = [*(column.name for column in page.columns), "prompt"]
    lines = [
        header,
        ["---:" if column.is_number else "---" for column in page.columns] + ["---"],
        *([*(_cell(text_of(value)) for value in song.values), _cell(song.prompt)] for song in page.songs),
    ]
    made = sum(not song.error for song in page.songs)
    failed = len(page.songs) - made
    counted = f"{made} songs" + (f", {failed} not made" if failed else "")
    shared = ", ".join(f"{name} {_cell(str(value))}" for name, value in page.facts if name != "command")
    table = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([f"**{_cell(page.title)}**: {counted}{'; ' if shared else ''}{shared}", "", *table]) + "\n"


def _cell(text: str) -> str:
    """A text on one line, short, and as code where it could mean something to Markdown."""
    line = visible(" ".join(text.split()))
    line = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
    if _PLAIN.fullmatch(line) and not line.startswith(("#", "-", "+", "=")):
        return line
    longest = max((len(list(run)) for char, run in groupby(line) if char == "`"), default=0)
    fence, space = "`" * (longest + 1), " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}".replace("|", "\\|")
