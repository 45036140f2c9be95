"""What a run, a dry run or ``resume --explain`` ends with, as one JSON object for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acestep_batch.problems import Problem

if TYPE_CHECKING:
    from acestep_batch.preflight import Preflight
    from acestep_batch.replan import Work
    from acestep_batch.run_result import RunResult


def result_json(
    folder: Path,
    results: Sequence[RunResult],
    report: Path | None,
    refused_cells: Mapping[str, Sequence[Problem]],
    unscored: Sequence[Problem],
    exit_code: int,
) -> dict[str, Any]:
    """How a run or sweep ended. ``failures`` are the first hundred of each run; all of them stand in the summary."""
    failures = [
        {"cell": result.folder.name if result.folder != folder else None, "id": each["id"], "error": each["error"]}
        for result in results
        for each in result.records
        if each["status"] != "ok"
    ]
    broken = [result.broken_off for result in results if result.broken_off is not None]
    return {
        "exit_code": exit_code,
        "folder": str(folder),
        "summary": str(folder / "summary.parquet"),
        "report": None if report is None else str(report),
        "made": sum(result.made for result in results),
        "failed": sum(result.failed for result in results),
        "not_tried": sum(result.not_tried for result in results),
        "done_before": sum(result.done_before for result in results),
        "set_aside": sum(result.set_aside for result in results),
        "failures": failures,
        "cells_not_made": {name: [str(problem) for problem in found] for name, found in refused_cells.items()},
        "problems": [
            *map(str, broken),
            *(result.stale_summary for result in results if result.stale_summary),
            *map(str, unscored),
        ],
    }


def todo_json(found: Mapping[str, Work], skipped: Mapping[str, str]) -> dict[str, Any]:
    """What would be made, and why; cells by name, or the empty name outside of a sweep."""
    todo = [
        {"cell": cell or None, "id": song_id, "reason": reason}
        for cell, work in found.items()
        for song_id, reason in work.todo.items()
    ]
    return {"to_make": todo, "done": sum(work.finished for work in found.values()), "skipped": dict(skipped)}


def dry_run_json(checked: Sequence[Preflight], exit_code: int) -> dict[str, Any]:
    """What a real run would be given to do."""
    counts = {name: sum(each.counts[name] for each in checked) for name in ("rows", "invalid", "songs")}
    audio_s = sum(each.audio_s for each in checked)
    return {"exit_code": exit_code, "cells": len(checked), **counts, "audio_s": round(audio_s, 3)}
