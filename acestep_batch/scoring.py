"""Songs of a run's or sweep's folder scored by models, from the files as they were written; after rendering, never
beside it, so that nothing competes for the device. What was scored before with the same weights is not scored again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from soundfile import LibsndfileError

from acestep_batch.measurements import key_in, measured_file
from acestep_batch.outputs.audio_files import read_audio
from acestep_batch.preflight import CELLS
from acestep_batch.problems import Problem, Refused, one_line
from acestep_batch.run_plan import PLAN, read_plan
from acestep_batch.run_records import run_records, sweep_records
from acestep_batch.score_lines import Key, ScoreLine, append_score, is_column, read_scores
from acestep_batch.scores.base import Score, ScoredSong
from acestep_batch.scores.known import find_score
from acestep_batch.shard import Shard
from acestep_batch.summary import SummaryFiles
from acestep_batch.summary_columns import SUMMARY_COLUMNS

log = logging.getLogger("acestep_batch")

_TAKEN = frozenset(column.name for column in SUMMARY_COLUMNS) | {"cell"}


@dataclass(slots=True)
class Scored:
    """What came of it."""

    songs: int = 0
    """Songs that got a number."""
    known: int = 0
    """Songs that had all of theirs."""
    problems: list[Problem] = field(default_factory=list)
    """Why scores, or files, gave none; the next time they are tried again."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A song that lacks scores."""

    run: Path
    record: Mapping[str, Any]
    key: Key
    scores: tuple[str, ...]


def score_folder(
    folder: Path,
    wanted: Mapping[str, Path | None],
    device: str,
    say: Callable[[str], None],
    check: Callable[[], None] = lambda: None,
    shard: Shard | None = None,
) -> Scored:
    """Score what lacks scores in a run's or sweep's folder, and bring the summaries up to date.

    Args:
        wanted: scores by name, each with the folder of its weights, or None where it is found by itself.
        device: torch's name of where to compute.
        say: gets a line for each song.
        check: called before each song; ends it by what it raises. What is scored stays.
        shard: only this shard's songs.

    Raises:
        Refused: no run is there, or a score cannot be loaded.
        OSError: the run's own files cannot be read or written.
    """
    runs = (
        sorted(cell for cell in (folder / CELLS).iterdir() if (cell / PLAN).is_file())
        if _is_sweep(folder)
        else [folder]
    )
    weights = {name: find_score(name, place).weights for name, place in wanted.items()}
    todo: list[_Wanted] = []
    result = Scored()
    for run in runs:
        lacking, known = _lacking(run, weights, shard)
        todo += lacking
        result.known += known
    if not todo:
        return result
    say(f"scoring {len(todo)} {'song' if len(todo) == 1 else 'songs'} with {', '.join(wanted)} on {device}")
    from acestep_batch.scores.loading import load_scores

    scores = load_scores(wanted, device, _TAKEN)
    _check_columns(scores)
    failures: dict[str, list[str]] = {}
    try:
        for number, each in enumerate(todo, 1):
            check()
            started = time.monotonic()
            faults = _score(each, scores, weights)
            for name, why in faults.items():
                failures.setdefault(name, []).append(f"{each.record['id']}: {why}")
            result.songs += len(faults) < len(each.scores)
            how = "not scored" if len(faults) == len(each.scores) else f"scored in {time.monotonic() - started:.1f} s"
            say(f"[{number}/{len(todo)}] {each.record['id']} {how}")
    finally:
        stale = _summed_up(folder, sorted({each.run for each in todo}))
    result.problems += [
        Problem(f"score {name}", f"gave none for {len(told)} of {len(todo)} songs; the first is {told[0]}")
        for name, told in failures.items()
    ]
    result.problems += [Problem("", each, "resume the run") for each in stale]
    return result


def _lacking(run: Path, weights: Mapping[str, str], shard: Shard | None) -> tuple[list[_Wanted], int]:
    """The songs of a run that lack scores, each sound and text once, and how many lack none."""
    plan = read_plan(run)
    own = {each.song.song_id for each in plan if shard is None or (each.batch is not None and shard.takes(each.batch))}
    known = read_scores(run).lines
    found: dict[Key, _Wanted] = {}
    complete = 0
    for record in run_records(run, plan, compare=False):
        key = key_in(record)
        if key is None or key in found or record["id"] not in own:
            continue
        lines = known.get(key, {})
        missing = tuple(name for name, each in weights.items() if name not in lines or lines[name].weights != each)
        if missing:
            found[key] = _Wanted(run, record, key, missing)
        complete += not missing
    return list(found.values()), complete


def _check_columns(scores: Mapping[str, Score]) -> None:
    """Raise Refused for columns that scores cannot have."""
    problems = [
        Problem(f"score {name}", f"'{column.name}' is no name of a column", "allowed: a to z, 0 to 9 and _, 64 at most")
        for name, score in scores.items()
        for column in score.columns
        if not is_column(column.name)
    ]
    if problems:
        raise Refused(problems)


def _score(wanted: _Wanted, scores: Mapping[str, Score], weights: Mapping[str, str]) -> dict[str, str]:
    """Score one song and keep what came of it; returns why scores gave none, by name."""
    from acestep_batch.scores.loading import scored

    file = measured_file(wanted.record) or {}
    try:
        audio, sample_rate = read_audio(wanted.run / str(file["path"]))
    except (OSError, LibsndfileError) as error:
        return dict.fromkeys(wanted.scores, f"its file cannot be read ({one_line(error)})")
    if audio.shape[1] == 0 or not np.isfinite(audio).all():
        return dict.fromkeys(wanted.scores, "its file has no samples, or broken ones")
    song = scored_song(wanted.record, np.ascontiguousarray(audio.T), sample_rate)
    faults = {}
    for name in wanted.scores:
        try:
            values = scored(scores[name], song)
        except Exception as error:  # other people's code, or no memory
            log.exception("score %s failed on %s", name, wanted.record["id"])
            faults[name] = one_line(error)
        else:
            append_score(wanted.run, str(wanted.record["id"]), wanted.key, name, ScoreLine(weights[name], values))
    return faults


def scored_song(record: Mapping[str, Any], samples: np.typing.NDArray[np.float32], sample_rate: int) -> ScoredSong:
    """A record with its audio ``[N, C]`` as a score sees it: with the texts that were asked for.

    Of an edited song these are those that it was led to; an instrumental has no lyrics.
    """
    is_edit = record.get("task") == "edit"
    prompt = (record.get("edit_target_prompt") if is_edit else None) or record.get("prompt")
    lyrics = (record.get("edit_target_lyrics") if is_edit else None) or record.get("lyrics")
    language = record.get("lyrics_language") or record.get("vocal_language")
    return ScoredSong(
        samples,
        sample_rate,
        str(prompt or ""),
        "" if record.get("instrumental") is True else str(lyrics or ""),
        None if language in (None, "", "unknown") else str(language),
    )


def _summed_up(folder: Path, runs: Sequence[Path]) -> list[str]:
    """Bring the summaries of these runs, and of their sweep, up to date; returns why one could not be."""
    files = [SummaryFiles(run, partial(_records, run)) for run in runs]
    if _is_sweep(folder):
        files.append(SummaryFiles(folder, partial(_sweep_records, folder)))
    return [problem for each in files if (problem := each.write(compare=True))]


def _records(run: Path, compare: bool) -> list[Mapping[str, Any]]:
    return run_records(run, read_plan(run), compare=compare)


def _sweep_records(folder: Path, compare: bool) -> list[Mapping[str, Any]]:
    return sweep_records(folder, compare=compare)


def _is_sweep(folder: Path) -> bool:
    return (folder / CELLS).is_dir()
