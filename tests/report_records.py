"""Records as runs leave them, for tests of what is made of records; no audio behind them unless a test writes some."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acestep_batch.report.source import Source
from acestep_batch.schema import SONG

PARAMETERS = {
    name: list(each.default) if isinstance(each.default, tuple) else each.default for name, each in SONG.items()
}


def made_record(song_id: str = "a", seed: int = 1, **changes: Any) -> dict[str, Any]:
    """The record of a song that was made, all parameters as the schema has them."""
    return {
        "index": 1, "id": song_id, "row": song_id, "identity": f"identity of {song_id} {seed}", "take": 1, "seed": seed,
        "status": "ok", "error": "", "model": "embedded, untrained", "preset": None, "duration_s": 8.0, "seconds": 0.5,
        "files": [f"audio/{song_id}_{seed}.wav"], "pcm_sha256": f"{song_id}{seed}".ljust(64, "0"), "clipped_samples": 0,
        "notes": [], "finished_at": "2026-11-22T10:00:00.000000+00:00", **PARAMETERS, "actual_seeds": [seed], **changes,
    }  # fmt: skip


def skipped_record(song_id: str, error: str) -> dict[str, Any]:
    """The record of a row that is invalid."""
    return {"index": None, "id": song_id, "row": song_id, "status": "failed", "error": error}


def source_of(*records: Mapping[str, Any], folder: Path = Path("/runs/demo/v0001"), key: str = "key") -> Source:
    """A run of these records."""
    return Source(folder, f"{folder.parent.name} {folder.name}", key, "python -m acestep_batch", records)


def sweep_of(keys: Mapping[str, list[Any]], rows: list[str], folder: Path = Path("/runs/demo/v0002")) -> Source:
    """A sweep over two keys: one record for each combination and row."""
    (one, first), (other, second) = keys.items()
    records = []
    for left in first:
        for right in second:
            swept = {f"sweep.{one}": str(left), f"sweep.{other}": str(right)}
            values = {name.removeprefix("+"): value for name, value in ((one, left), (other, right))}
            seed = values.pop("seed", 1)
            for row in rows:
                made = made_record(row, seed, **{name: value for name, value in values.items() if name in SONG})
                identity = f"{row} {left} {right}"
                records.append({"cell": f"{one}={left}_{other}={right}", **swept, **made, "identity": identity})
    return source_of(*records, folder=folder)
