"""Recorded calls of the reference as rows of a manifest, and what becomes of these on their way to the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parity.pack import chosen_steps_of, seeds_of
from parity.tasks import TASK_DEFAULTS
from support import CPU_TARGET, checked, plain_run, written

from acestep_batch.engine.tasks import Source
from acestep_batch.linking import linked
from acestep_batch.plan import Song
from acestep_batch.schema import SONG
from acestep_batch.song_tasks import SOURCE_TASKS
from acestep_batch.songs import songs_of
from acestep_batch.source_files import SourceFiles
from acestep_batch.source_finding import Places


def row_of(case: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded call as a row; what its pipeline takes where nothing is given is given."""
    params = {name: value for name, value in case["params"].items() if value is not None}
    row = {name: value for name, value in {**TASK_DEFAULTS, **params}.items() if name in SONG}
    seeds = case.get("retake_seeds") or []
    if row.get("task") == "text2music" or len(set(seeds)) < len(seeds):
        seeds = seeds[:1]
    task = "audio2audio" if row.get("audio2audio_enable") else row.get("task", "text2music")
    own = {"retake_seeds": seeds} if task != "text2music" and seeds else {}
    steps = list(chosen_steps_of(params.get("oss_steps")))
    return {**row, **own, "id": case["id"], "actual_seeds": seeds_of(case["params"]), "oss_steps": steps}


def songs_of_row(row: Mapping[str, Any], folder: Path, sources: Path) -> tuple[list[Song], list[str]]:
    """The songs of a row with their sources, which lie in ``sources``; and what is wrong, in words."""
    run = plain_run(base={"bf16": False, "rng": "reference"}, lint="off")
    (found,) = checked(written(folder, "songs.json", json.dumps([row])), run)
    if found.problems:
        return [], [str(problem) for problem in found.problems]
    made = linked(songs_of([found], run, CPU_TARGET), Places(sources, folder), run.hw, CPU_TARGET)
    return made.songs, [str(problem) for own in made.problems.values() for problem in own]


def sources_of(songs: Sequence[Song]) -> dict[str, Source]:
    """The content of what songs start from."""
    found, failed = SourceFiles(Path(), {}).load(songs)
    assert not failed
    assert found.keys() == {song.song_id for song in songs if song.generation.task in SOURCE_TASKS}
    return found
