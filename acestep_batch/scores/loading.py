"""From names and folders to loaded scores, and from a song to their numbers."""

from __future__ import annotations

import importlib
import logging
import math
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from acestep_batch.measure.columns import Column
from acestep_batch.parameter import did_you_mean
from acestep_batch.problems import Problem, Refused, one_line
from acestep_batch.scores.base import GROUP, LoadScore, Score, ScoredSong

log = logging.getLogger(__name__)

OWN = {
    "clap": "acestep_batch.scores.clap:load",
    "lyrics": "acestep_batch.scores.transcription:load",
}
"""Those that come along: the text-audio score of CLAP, and the error rate of lyrics that Whisper hears."""


def available() -> dict[str, str]:
    """Every score's name and where it comes from, as `module:function`; those that come along win over others."""
    return {point.name: point.value for point in entry_points(group=GROUP)} | OWN


def load_scores(wanted: Mapping[str, Path], device: str, taken: Collection[str]) -> dict[str, Score]:
    """Load scores by name, each from its folder.

    `taken` are the columns that the summary has anyway.

    Raises:
        Refused: with everything that is wrong: names, folders, weights, columns that two of them give.
    """
    known, columns = available(), set(taken)
    problems: list[Problem] = []
    loaded: dict[str, Score] = {}
    for name, folder in wanted.items():
        where = f"score {name}"
        if name not in known:
            message = f"there is no such score{did_you_mean(name, known)}"
            problems.append(Problem(where, message, f"use {', '.join(sorted(known))}, or install its package"))
        elif not folder.is_dir():
            problems.append(Problem(where, f"{folder} is no folder", "give the folder that holds its weights"))
        else:
            try:
                score = _function(known[name])(folder, device)
            except Exception as error:  # other people's code
                problems.append(Problem(where, f"cannot be loaded from {folder} ({one_line(error)})"))
                continue
            if both := columns.intersection(column.name for column in score.columns):
                message = f"its columns {', '.join(sorted(both))} exist already"
                problems.append(Problem(where, message, "leave one of the two out"))
            columns.update(column.name for column in score.columns)
            loaded[name] = score
    if problems:
        raise Refused(problems)
    return loaded


def score_columns(scores: Mapping[str, Score]) -> tuple[Column, ...]:
    """The columns that these scores add."""
    return tuple(column for score in scores.values() for column in score.columns)


def scored(scores: Mapping[str, Score], song: ScoredSong) -> dict[str, float | None]:
    """Every column's number for a song; a score that fails gives None and a line in the log, and takes nothing down."""
    found: dict[str, float | None] = {}
    for name, score in scores.items():
        try:
            numbers = score.score(song)
        except Exception:  # other people's code, or no memory
            log.exception("score %s failed", name)
            numbers = {}
        found |= _rounded(score.columns, numbers)
    return found


def _rounded(columns: Sequence[Column], numbers: Mapping[str, float | None]) -> dict[str, float | None]:
    values = {column.name: numbers.get(column.name) for column in columns}
    return {
        column.name: None
        if (value := values[column.name]) is None or not math.isfinite(value)
        else column.rounded(value)
        for column in columns
    }


def _function(reference: str) -> LoadScore:
    module, _, name = reference.partition(":")
    found: LoadScore = getattr(importlib.import_module(module), name)
    return found
