"""One process at a time on a run folder, or one for each shard of it; the system lets go of a dead process's lock."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from acestep_batch.outputs.atomic import naming
from acestep_batch.outputs.records import json_text
from acestep_batch.problems import Refused, refuse
from acestep_batch.shard import Shard

LOCKS = ".locks"
"""Folder of the locks, inside the run's. A file there is no lock by itself: only its owner's hold on it is."""


@contextmanager
def run_lock(folder: Path, shard: Shard | None) -> Iterator[None]:
    """Hold the run's folder against every other process; with a shard, only against the same shard's.

    A whole run and a shard keep each other out, and so do shards of different counts.

    Raises:
        Refused: another process is at work there; names its host and process.
    """
    locks = folder / LOCKS
    locks.mkdir(exist_ok=True)
    own = "run" if shard is None else f"shard-{shard.index}of{shard.count}"
    with ExitStack() as own_locks:
        with held(locks / "entry.lock", wait_s=60):  # one process at a time looks around
            rivals = [own] if shard is None else [own, "run"]
            rivals += [file.stem for file in sorted(locks.glob("shard-*.lock")) if _is_rival(file.stem, shard)]
            others = ExitStack()
            with others:
                for name in dict.fromkeys(rivals):
                    (own_locks if name == own else others).enter_context(held(locks / f"{name}.lock"))
                owner = locks / f"{own}.json"
                with naming(owner):
                    owner.write_text(json_text({"host": socket.gethostname(), "pid": os.getpid()}), encoding="utf-8")
        yield


def is_alone(folder: Path, shard: Shard | None) -> bool:
    """Whether no other process is at work in a folder whose lock this one holds; asked within ``plan.lock``."""
    if shard is None:
        return True
    own = f"shard-{shard.index}of{shard.count}"
    with ExitStack() as others:
        for file in sorted((folder / LOCKS).glob("shard-*.lock")):
            if file.stem != own:
                try:
                    others.enter_context(held(file))
                except Refused:
                    return False
    return True


def _is_rival(name: str, shard: Shard | None) -> bool:
    return shard is None or not name.endswith(f"of{shard.count}")


@contextmanager
def held(file: Path, wait_s: float = 0) -> Iterator[None]:
    """Hold one lock file, waiting for it so many seconds. Raises Refused where another process has it."""
    lock = FileLock(file)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        raise _taken(file) from None
    except (OSError, NotImplementedError) as error:
        raise refuse(str(file), f"cannot be locked ({error})", "choose another folder with output.root=") from error
    try:
        yield
    finally:
        lock.release()


def _taken(file: Path) -> Refused:
    try:
        owner = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        who = f"process {owner['pid']} on {owner['host']}"
    except (OSError, ValueError, LookupError, TypeError):
        who = "another process"
    part = "" if file.stem in ("run", "entry") else f" ({file.stem})"
    message = f"{who} is at work in this folder{part}"
    return refuse(str(file.parent.parent), message, "wait for it, or stop it; its lock goes with it")
