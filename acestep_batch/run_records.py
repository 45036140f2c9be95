"""What counts of a finished or half-finished run or sweep, read from its folder: records and measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from acestep_batch.ledger import latest, read_ledger
from acestep_batch.measurements import Joined, joined, judged_records, read_measurements
from acestep_batch.preflight import CELLS
from acestep_batch.record import WITHDRAWN
from acestep_batch.run_folder import read_run_file
from acestep_batch.run_plan import PLAN, PlannedSong, read_plan
from acestep_batch.score_lines import read_scores


def run_records(folder: Path, plan: Sequence[PlannedSong], *, compare: bool = True) -> list[Mapping[str, Any]]:
    """What counts of a run: the planned songs' records in their order, then rows that were skipped, and what was
    measured of each and said by scores (``measurements.judged_records``, as is ``compare``)."""
    return judged_records(_joined(folder, plan, fingerprints=compare), compare=compare)


def _joined(folder: Path, plan: Sequence[PlannedSong], *, fingerprints: bool) -> list[Joined]:
    records = latest(read_ledger(folder).records)
    found: list[Mapping[str, Any]] = []
    for each in plan:
        record = records.pop(each.song.song_id, None)
        if record is not None and record.get("identity") == each.identity:
            found.append({**record, "index": each.song.index, "same_as": each.same_as})
    found += (each for each in records.values() if each.get("identity") is None and WITHDRAWN not in each)
    return joined(found, read_measurements(folder, fingerprints=fingerprints).lines, read_scores(folder))


def sweep_records(folder: Path, *, compare: bool = True) -> list[Mapping[str, Any]]:
    """What counts of a sweep: the records of all its cells, each with its cell, its swept values, and paths from the
    sweep's folder; and what was measured, compared over all cells."""
    found: list[Joined] = []
    for cell in sorted((folder / CELLS).iterdir()):
        own = read_run_file(cell) if cell.is_dir() else None
        if own is None or not (cell / PLAN).exists():
            continue
        swept = {"cell": cell.name, **{f"sweep.{key}": value for key, value in own.get("swept", {}).items()}}
        for song in _joined(cell, read_plan(cell), fingerprints=compare):
            record = song.record
            files = [
                name if Path(name).is_absolute() else (CELLS + "/" + cell.name + "/" + name)
                for name in record.get("files", ())
            ]
            shown = {**swept, **record, **({"files": files} if "files" in record else {})}
            found.append(replace(song, record=shown))
    return [
        {**record, "loudness_copy": f"{CELLS}/{record['cell']}/{copy}"}
        if (copy := record.get("loudness_copy"))
        else record
        for record in judged_records(found, compare=compare)
    ]
