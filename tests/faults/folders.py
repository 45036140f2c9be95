"""What a run's folder must be after a fault, and what it must have become after the run went on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from acestep_batch.ledger import latest, read_ledger
from acestep_batch.lock import LOCKS
from acestep_batch.measurements import key_in, read_measurements
from acestep_batch.outputs.atomic import TEMPORARY_PREFIX
from acestep_batch.outputs.audio_files import decoded, file_sha256
from acestep_batch.outputs.formats import FORMAT_NAMES
from acestep_batch.outputs.tags import read_record
from acestep_batch.record import VOLATILE
from acestep_batch.run_folder import RUN_FILE
from acestep_batch.run_plan import PLAN, read_plan
from acestep_batch.superseded import SUPERSEDED

_AUDIO = frozenset(f".{name}" for name in FORMAT_NAMES)
_GROWING = ("records", "measurements", "run")
"""Files that are appended to begin with these; their last line may be torn."""

Stamp = tuple[int, int]
"""A file's inode and time of last change in nanoseconds."""
MISSING: Stamp = (0, 0)


def version_folder(root: Path) -> Path | None:
    """The newest folder that says what it is; None where the run did not come so far."""
    found = sorted(root.glob(f"*/v*/{RUN_FILE}"))
    return found[-1].parent if found else None


def run_folders(root: Path) -> list[Path]:
    """The runs of the newest version: itself, or its cells; only those that have a plan."""
    version = version_folder(root)
    return [] if version is None else sorted(path.parent for path in version.rglob(PLAN))


def unsound(root: Path) -> Iterator[str]:
    """Files below an output root that stand under a final name and are not whole."""
    for path in _files(root):
        try:
            _read(path)
        except Exception as error:
            yield f"{path.relative_to(root)} is not whole ({type(error).__name__}: {error})"


def _read(path: Path) -> None:
    if path.name.startswith(TEMPORARY_PREFIX):
        return
    if path.suffix in _AUDIO:
        record = (read_record(path) or {})["record"]
        if decoded(path)[1] != round(record["duration_s"] * record["sample_rate"]):
            raise ValueError("samples are missing")
    elif path.suffix == ".json":
        json.loads(path.read_bytes())
    elif path.suffix == ".jsonl":
        lines = path.read_bytes().split(b"\n")
        if lines.pop() and not path.name.startswith(_GROWING):
            raise ValueError("its last line has no end")
        for line in lines:
            json.loads(line)
    elif path.suffix == ".yaml":
        yaml.safe_load(path.read_text(encoding="utf-8"))
    elif path.suffix == ".csv":
        pd.read_csv(path)
    elif path.suffix == ".parquet":
        pd.read_parquet(path)


def finished(root: Path, unbroken: Path) -> dict[Path, Stamp]:
    """The files of every song that the ledgers below a root call finished, and that is asked for in this form."""
    found = {}
    for folder in run_folders(root):
        asked = {each.song.song_id: each.identity for each in read_plan(_twin(folder, root, unbroken))}
        for song_id, record in latest(read_ledger(folder).records).items():
            if record["status"] == "ok" and record["identity"] == asked.get(song_id):
                found.update({folder / name: stamp(folder / name) for name in record["files"]})
    return found


def _twin(folder: Path, root: Path, unbroken: Path) -> Path:
    ours, theirs = version_folder(root), version_folder(unbroken)
    assert ours is not None
    assert theirs is not None
    return theirs / folder.relative_to(ours)


def stamp(path: Path) -> Stamp:
    """What changes when a file is written again, even with the same bytes."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return MISSING
    return (found.st_ino, found.st_mtime_ns)


def differences(root: Path, unbroken: Path, ignored: Container[str] = ()) -> Iterator[str]:
    """In what the newest version below one root differs from that below another, but for volatile fields.

    Superseded files are compared as a whole, for a run that was broken off spreads them over more folders. Of files
    whose names are in ``ignored`` the content does not count.
    """
    ours, theirs = version_folder(root), version_folder(unbroken)
    if ours is None or theirs is None:
        yield f"there is no run below {root if ours is None else unbroken}"
        return
    yield from _multisets("superseded files", _superseded(ours), _superseded(theirs))
    names = {path.relative_to(ours): path for path in _compared(ours)}
    others = {path.relative_to(theirs): path for path in _compared(theirs)}
    yield from _multisets("files", Counter(map(str, names)), Counter(map(str, others)))
    for name in sorted(names.keys() & others.keys()):
        left, right = _content(names[name]), _content(others[name])
        if left != right and name.name not in ignored:
            yield f"{name}: {_difference(left, right)}"
    for folder in run_folders(root):
        yield from _ledger_differences(folder, _twin(folder, root, unbroken))
        yield from _measurement_differences(folder, _twin(folder, root, unbroken))


def _ledger_differences(folder: Path, unbroken: Path) -> Iterator[str]:
    ledger = read_ledger(folder)
    yield from map(str, ledger.damaged)
    left, right = latest(ledger.records), latest(read_ledger(unbroken).records)
    for song_id in sorted(each.song.song_id for each in read_plan(folder)):
        found = stable(left.get(song_id)), stable(right.get(song_id))
        if found[0] != found[1]:
            yield f"{folder.name}: record of {song_id}: {_difference(*found)}"
        if song_id in left:
            yield from _missing(folder, left[song_id])


def _measurement_differences(folder: Path, unbroken: Path) -> Iterator[str]:
    """Songs of which something else was measured, or nothing; in which order they were does not count."""
    ours, theirs = read_measurements(folder), read_measurements(unbroken)
    yield from map(str, ours.damaged)
    records = latest(read_ledger(folder).records)
    for each in read_plan(folder):
        key = key_in(records.get(each.song.song_id, {}))
        if key is not None and ours.lines.get(key) != theirs.lines.get(key):
            yield f"{folder.name}: what was measured of {each.song.song_id} differs"


def _missing(folder: Path, record: Mapping[str, Any]) -> Iterator[str]:
    """Files that a record names and that are not there, or not as it says."""
    environment = record["environment"]
    named = {each["path"]: each["file_sha256"] for each in record.get("audio", ())}
    for name, sha256 in (named | {environment["file"]: environment["sha256"]}).items():
        if not (folder / name).exists() or file_sha256(folder / name) != sha256:
            yield f"{folder.name}: {name} is not the file that the record of {record['id']} names"


def _compared(version: Path) -> list[Path]:
    """Files whose content follows from the command alone, ledgers apart."""
    return [
        path
        for path in _files(version)
        if SUPERSEDED not in path.parts
        and not (path.name.startswith(("records", "measurements", "environment")) or path.suffix == ".log")
    ]


def _files(root: Path) -> list[Path]:
    return [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".lock" and LOCKS not in path.parts
    ]


def _superseded(version: Path) -> Counter[tuple[str, str]]:
    """Files that were set aside. Copies of what is there again do not count.

    As long as a run has no record, a file may be a song whose record is lost, and is kept.
    """
    found: Counter[tuple[str, str]] = Counter()
    for folder in version.rglob(SUPERSEDED):
        for path in _files(folder):
            inside = Path(*path.relative_to(folder).parts[1:])
            if _content(path) != _content(folder.parent / inside):
                found[str(inside), file_sha256(path)] += 1
    return found


def _content(path: Path) -> Any:
    """What a file says, without volatile fields; of one that cannot be read, why."""
    try:
        return _said(path)
    except Exception as error:
        return f"cannot be read ({type(error).__name__}: {error})"


def _said(path: Path) -> Any:
    if path.suffix in _AUDIO:
        return {"samples": decoded(path)[0], "tags": stable(read_record(path))}
    if path.suffix == ".json" and path.name != RUN_FILE:
        return stable(json.loads(path.read_bytes()))
    if path.suffix in (".csv", ".parquet"):
        table = pd.read_csv(path, dtype=str) if path.suffix == ".csv" else pd.read_parquet(path)
        kept = table.drop(columns=[name for name in table if name in VOLATILE])
        return {str(name): kept[name].astype(str).tolist() for name in kept}
    return path.read_bytes()


def stable(value: Any) -> Any:
    """A record without its volatile fields, at any depth."""
    if isinstance(value, Mapping):
        return {name: stable(each) for name, each in value.items() if name not in VOLATILE}
    return [stable(each) for each in value] if isinstance(value, list | tuple) else value


def _difference(left: Any, right: Any) -> str:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        names = [name for name in left.keys() | right.keys() if left.get(name) != right.get(name)]
        return "; ".join(f"{name}: {_difference(left.get(name), right.get(name))}" for name in sorted(names)[:3])
    return f"{str(left)[:120]} is not {str(right)[:120]}"


def _multisets(what: str, ours: Counter[Any], theirs: Counter[Any]) -> Iterator[str]:
    for sign, found in (("too many", ours - theirs), ("missing", theirs - ours)):
        if found:
            yield f"{what}: {sign}: {_some(found)}"


def _some(found: Iterable[object]) -> str:
    listed = sorted(map(str, found))
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
