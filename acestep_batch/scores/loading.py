"""From names and folders to loaded scores, and from a song to their numbers."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path

from acestep_batch.problems import Problem, Refused, one_line
from acestep_batch.scores.base import Score, ScoredSong
from acestep_batch.scores.known import find_score, module_of


def load_scores(wanted: Mapping[str, Path | None], device: str, taken: Collection[str]) -> dict[str, Score]:
    """Load scores by name, each from its folder, or from where it is found.

    `taken` are the columns that the summary has anyway.

    Raises:
        Refused: with everything that is wrong: names, folders, weights, columns that two of them give.
    """
    columns = set(taken)
    problems: list[Problem] = []
    loaded: dict[str, Score] = {}
    for name, folder in wanted.items():
        where, found = f"score {name}", find_score(name, folder)
        if found.problem:
            problems.append(Problem(where, found.problem, found.remedy))
            continue
        try:
            score: Score = module_of(name).load(found.folder, device)
            own = [column.name for column in score.columns]
        except Exception as error:  # other people's code, damaged weights, no such device
            problems.append(Problem(where, f"cannot be loaded{_from(found.folder)} ({one_line(error)})"))
            continue
        if both := columns.intersection(own):
            message = f"its columns {', '.join(sorted(both))} exist already"
            problems.append(Problem(where, message, "leave one of the two out"))
        columns.update(own)
        loaded[name] = score
    if problems:
        raise Refused(problems)
    return loaded


def scored(score: Score, song: ScoredSong) -> dict[str, float | None]:
    """A number for each of a score's columns, None where the song does not define it; no number is NaN or infinite.

    Passes on what the score raises.
    """
    numbers = score.score(song)
    values = {column.name: numbers.get(column.name) for column in score.columns}
    return {
        column.name: None
        if (value := values[column.name]) is None or not math.isfinite(value)
        else column.rounded(float(value))
        for column in score.columns
    }


def _from(folder: Path | None) -> str:
    return "" if folder is None else f" from {folder}"
