"""What is done: one durable line for each finished song, which only ever grows; damaged lines are told apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep_batch.outputs.records import append_jsonl
from acestep_batch.problems import Problem
from acestep_batch.seals import record_sha256
from acestep_batch.shard import Shard

SEAL = "line_sha256"
"""The last key of every line: the sha256 of the line's JSON without it."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """All lines of a run, of all its shards."""

    records: tuple[Mapping[str, Any], ...]
    """In the order in which they were finished. Within a file that is the order of its lines, whatever the clock said
    when they were written; only lines of different files are ordered by their time."""
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
    return {**record, SEAL: record_sha256(record)}


def read_ledger(folder: Path) -> Ledger:
    """Read every line of every ledger. Raises OSError for a file that cannot be read."""
    records: list[tuple[str, Mapping[str, Any]]] = []
    damaged: list[Problem] = []
    for file in ledger_files(folder):
        time = ""
        lines = file.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            record = _opened(line)
            if record is not None:
                time = max(time, str(record.get("finished_at", "")))
                records.append((time, record))
            elif line and number < len(lines):  # the last line has no end where a crash tore it
                damaged.append(Problem(f"{file}:{number}", "the record is not as it was written", "resume the run"))
    records.sort(key=lambda each: each[0])
    return Ledger(tuple(record for _, record in records), tuple(damaged))


def latest(records: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The record that counts for each song, by the song's id: the last one, in the order of ``read_ledger``."""
    return {str(record["id"]): record for record in records}


def _opened(line: bytes) -> Mapping[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or "id" not in record:
        return None
    own = record.pop(SEAL, None)
    return record if own == record_sha256(record) else None
