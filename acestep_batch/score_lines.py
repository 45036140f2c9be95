"""What models said of a run's songs: one sealed line for each song and score in ``scores.jsonl``, beside the records.

A line speaks for the samples, the texts and the weights that it names. All of it can be scored again at any time.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from acestep_batch.ledger import SEAL, sealed
from acestep_batch.lock import LOCKS, held
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.outputs.records import append_jsonl, json_text
from acestep_batch.problems import Problem
from acestep_batch.seals import record_sha256

SCORES = "scores.jsonl"

Key = tuple[str, str]
"""What a line speaks for: a song's identity, and the sha256 of the samples in the file that was scored."""

_COLUMN = re.compile("[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """What one score said of one song."""

    weights: str
    values: Mapping[str, float | None]
    """By column."""


@dataclass(frozen=True, slots=True)
class ScoreLines:
    """All lines of a run."""

    lines: Mapping[Key, Mapping[str, ScoreLine]]
    """The last one of each song and score, by the score's name."""
    damaged: tuple[Problem, ...] = ()
    """Lines that are not as they were written. A torn last line is none of them: it never counted."""

    def values(self, key: Key | None) -> dict[str, float | None]:
        """Every column's number for a song."""
        of_song = {} if key is None else self.lines.get(key, {})
        return {name: value for line in of_song.values() for name, value in line.values.items()}


def is_column(name: str) -> bool:
    """Whether a score's column can have this name."""
    return _COLUMN.fullmatch(name) is not None


def append_score(folder: Path, song_id: str, key: Key, score: str, line: ScoreLine) -> None:
    """Add a line; when this returns, it survives a power cut. Processes that share the folder wait for each other.

    Raises OSError, and Refused where another one writes for a minute.
    """
    content = {
        "id": song_id,
        "identity": key[0],
        "pcm_sha256": key[1],
        "score": score,
        "weights": line.weights,
        "values": dict(line.values),
    }
    (folder / LOCKS).mkdir(exist_ok=True)
    with held(folder / LOCKS / "scores.lock", wait_s=60):
        append_jsonl(folder / SCORES, sealed(content))


def read_scores(folder: Path) -> ScoreLines:
    """Read every line; there are none where nothing was scored. Raises OSError."""
    file = folder / SCORES
    try:
        *whole, _ = read_plain_file(file).split(b"\n")  # what follows the last line's end was torn by a crash
    except FileNotFoundError:
        return ScoreLines({})
    lines: dict[Key, dict[str, ScoreLine]] = {}
    damaged: list[Problem] = []
    for number, text in enumerate(whole, 1):
        found = _opened(text)
        if found is None:
            damaged.append(
                Problem(f"{file}:{number}", "the line is not as it was written", "delete it, and score again")
            )
        else:
            key, score, line = found
            lines.setdefault(key, {})[score] = line
    return ScoreLines(lines, tuple(damaged))


def _opened(text: bytes) -> tuple[Key, str, ScoreLine] | None:
    """A line that is exactly what ``append_score`` writes; None for any other."""
    try:
        found = json.loads(text)
        if text != json_text(found).encode("utf-8") or found.pop(SEAL) != record_sha256(found):
            return None
        texts = [found[name] for name in ("id", "identity", "pcm_sha256", "score", "weights")]
        cells = found["values"].items()
        if not all(isinstance(each, str) for each in texts) or not all(_is_cell(*cell) for cell in cells):
            return None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return (found["identity"], found["pcm_sha256"]), found["score"], ScoreLine(found["weights"], found["values"])


def _is_cell(name: str, value: Any) -> bool:
    if not is_column(name) or isinstance(value, bool) or not isinstance(value, int | float | NoneType):
        return False
    return value is None or math.isfinite(value)
