"""What is done: one durable line for each finished song, which only ever grows; damaged lines are told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep_batch.outputs.records import append_jsonl, json_text
from acestep_batch.problems import Problem
from acestep_batch.shard import Shard

SEAL = "line_sha256"
"""The last key of every line: the sha256 of the line's JSON without it."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """All lines of a run, of all its shards."""

    records: tuple[Mapping[str, Any], ...]
    """In the order of the files, and within a file as they were written."""
    damaged: tuple[Problem, ...] = ()
    """Lines that are not as they were written. A torn last line is none of them: it never counted."""


def ledger_files(folder: Path) -> list[Path]:
    """The ledgers of a run: ``records.jsonl``, and one for each shard that has been at work."""
    return sorted(folder.glob("records*.jsonl"))


def append_record(folder: Path, shard: Shard | None, record: Mapping[str, Any]) -> None:
    """Add a line; when this returns, it survives a power cut. Raises OSError."""
    append_jsonl(folder / ledger_name(shard), sealed(record))


def ledger_name(shard: Shard | None) -> str:
    """The file that a process appends to; no other process does."""
    return "records.jsonl" if shard is None else f"records-{shard.index}of{shard.count}.jsonl"


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the hash of itself."""
    return {**record, SEAL: _hash(record)}


def read_ledger(folder: Path) -> Ledger:
    """Read every line of every ledger. Raises OSError for a file that cannot be read."""
    records: list[Mapping[str, Any]] = []
    damaged: list[Problem] = []
    for file in ledger_files(folder):
        lines = file.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            record = _opened(line)
            if record is not None:
                records.append(record)
            elif line and number < len(lines):  # the last line has no end where a crash tore it
                damaged.append(Problem(f"{file}:{number}", "the record is not as it was written", "resume the run"))
    return Ledger(tuple(records), tuple(damaged))


def latest(records: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The record that counts for each song, by the song's id: the last one to be finished."""
    found: dict[str, Mapping[str, Any]] = {}
    for record in sorted(records, key=lambda record: str(record.get("finished_at", ""))):
        found[str(record["id"])] = record
    return found


def _opened(line: bytes) -> Mapping[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or "id" not in record:
        return None
    own = record.pop(SEAL, None)
    return record if own == _hash(record) else None


def _hash(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json_text(record).encode("utf-8")).hexdigest()
