"""What is done: one durable line for each finished song, which only ever grows; damaged lines are told apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.outputs.records import append_jsonl
from acestep_batch.problems import Problem
from acestep_batch.schema import SONG
from acestep_batch.seals import record_sha256
from acestep_batch.shard import Shard

SEAL = "line_sha256"
"""The last key of every line: the sha256 of the line's JSON without it."""


_PLAIN: tuple[type, ...] = (str, int, float, bool, NoneType)
_LIST: tuple[type, ...] = (list,)
_WHOLE: tuple[type, ...] = (int, NoneType)
_NUMBER: tuple[type, ...] = (int, float, NoneType)
_LIST_KINDS = frozenset({"ints", "floats", "names", "seeds"})
_LISTS_OR_NONE = dict.fromkeys(("choices", "codes"), (list, NoneType))
_KINDS: Mapping[str, tuple[type, ...]] = {
    **{
        name: {"int": _WHOLE, "float": _NUMBER, "bool": (bool, NoneType), **_LISTS_OR_NONE}.get(each.kind, _PLAIN)
        for name, each in SONG.items()
        if each.kind not in _LIST_KINDS
    },
    **dict.fromkeys(
        ("index", "take", "seed", "frames", "model_calls", "micro_batch", "clipped_samples", "pid"), _WHOLE
    ),
    **dict.fromkeys(("peak_memory_bytes", "peak_process_bytes"), _WHOLE),
    **dict.fromkeys(("duration_s", "seconds", "text_s", "diffusion_s", "decode_s"), _NUMBER),
    **dict.fromkeys((name for name, each in SONG.items() if each.kind in _LIST_KINDS), _LIST),
    **dict.fromkeys(("files", "audio", "notes", "rungs"), _LIST),
    **dict.fromkeys(("environment", "started_from", "reference_from", "loras"), (dict, NoneType)),
}
"""Types of a record's values, by key; the others are texts, numbers, truth values or null."""


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
        lines = read_plain_file(file).split(b"\n")
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
    try:
        own = record.pop(SEAL, None)
        return record if own == record_sha256(record) and _is_record(record) else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _is_record(record: Mapping[str, Any]) -> bool:
    """Whether a line holds what this product writes. Raises LookupError and others where something is missing.

    Whoever knows the seal can write a line, and what is told by it is looked for on the disk and put into tables.
    """
    for name, value in record.items():
        kinds = _KINDS.get(name, _PLAIN)
        if type(value) not in kinds or (kinds is _WHOLE and value is not None and abs(value) >= 2**63):
            return False
        if kinds is _LIST and name != "audio" and any(type(each) not in _PLAIN for each in value):
            return False
    if not isinstance(record["id"], str) or record["status"] not in ("ok", "failed"):
        return False
    if record["status"] == "failed":
        return isinstance(record["error"], str)
    return bool(record["audio"]) and isinstance(record["identity"], str) and all(map(_is_file, record["audio"]))


def _is_file(file: Mapping[str, Any]) -> bool:
    texts = [file[name] for name in ("path", "format", "file_sha256", "pcm_sha256")]
    return all(isinstance(text, str) and "\0" not in text for text in texts)
