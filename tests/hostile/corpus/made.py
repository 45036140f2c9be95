"""What cases look at after a run: its songs, their records, and the names that it chose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..case import TINY, Outcome

DRY = (*TINY, "dry_run=true")
SONGS = "songs.json"


def songs(*rows: object) -> dict[str, str | bytes]:
    """A JSON manifest of these rows."""
    return {SONGS: json.dumps(rows)}


def run(*words: str) -> tuple[str, ...]:
    """The words that render ``songs.json``."""
    return (f"manifest.path={SONGS}", *TINY, *words)


def dry(*words: str) -> tuple[str, ...]:
    """The words that check ``songs.json``."""
    return (f"manifest.path={SONGS}", *DRY, *words)


def folders(outcome: Outcome) -> list[Path]:
    """The version folders that a command made."""
    return sorted((outcome.folder / "outputs").glob("*/v[0-9]*"))


def records(outcome: Outcome) -> list[dict[str, Any]]:
    """The records of all its songs."""
    return [
        json.loads(line)
        for folder in folders(outcome)
        for file in sorted(folder.rglob("records*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]


def audio(outcome: Outcome) -> list[Path]:
    """Its audio files, from the run's folder."""
    return [
        path.relative_to(folder)
        for folder in folders(outcome)
        for path in sorted(folder.rglob("*.wav"))
        if path.is_file()
    ]
