"""L7: several processes on one folder, whole runs and shards mixed, some of them killed: no song is made twice."""

from __future__ import annotations

import math
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from acestep_batch import execute
from acestep_batch.problems import REFUSED

from . import broken
from .cases import ALONE, Workspace
from .children import Ended
from .crew import Crew
from .folders import differences, finished, unsound
from .kills import Prepare, changed
from .report import Job, Size, Trial

INTERLEAVINGS = 200
CONTROLS = 20
MOST_RUNNERS = 8
TIME = "lock_s.txt"
MOST_LOST = 2
"""Songs of a killed process that are made again: the one being written and the one denoised beside it."""
NAMING_SHARDS = ("config.yaml", "overrides.yaml", "run.json", "seals.json")
"""Files that hold the command of whoever began."""
SPREAD_S = 0.15
"""Runners start within this time, which is what one run takes."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """Runners that meet in one folder."""

    seed: str
    kind: str
    """``same`` command, ``shards``, or ``mixed``."""
    is_killed: bool = False
    """Whether one of them is killed on the way."""
    prepare: Prepare = broken.nothing

    def runners(self) -> list[tuple[float, tuple[str, ...]]]:
        """When each starts, in seconds, in order, and what it adds to the command line."""
        random = Random(self.seed)
        of, found = random.randint(2, 4), []
        for _ in range(random.randint(2, MOST_RUNNERS)):
            shard = f"shard={random.randint(1, of)}/{of}"
            is_whole = self.kind == "same" or (self.kind == "mixed" and random.random() < 0.5)
            found.append((random.uniform(0, SPREAD_S), () if is_whole else (shard,)))
        return sorted(found)


def jobs(crew: Crew, seed: int, size: Size) -> Iterator[Job]:
    """The trials of the goal."""
    kinds = (("same", "the same command"), ("shards", "shards"), ("mixed", "whole runs and shards"))
    each = size.of(INTERLEAVINGS // (2 * len(kinds)))
    for is_killed in (False, True):
        for kind, what in kinds:
            meetings = [Meeting(f"{seed}-{kind}-{number}", kind, is_killed) for number in range(each)]
            killed = ", one of them killed" if is_killed else ""
            yield Job(
                "L7", f"2 to {MOST_RUNNERS} processes in one folder{killed}: {what}", partial(crew.map, _met, meetings)
            )
    controls = [
        Meeting(f"{seed}-control-{number}", "same", prepare=broken.locks_nothing)
        for number in range(size.for_controls(CONTROLS).of(CONTROLS))
    ]
    yield Job("L7", "locks that hold nothing", partial(crew.map, _met, controls), is_control=True)


def _met(space: Workspace, meeting: Meeting) -> Trial:
    unbroken = space.unbroken(ALONE)
    space.reset(ALONE)
    random = Random(f"{meeting.seed} killed")
    runners, began = [], time.monotonic()
    for number, (start_s, words) in enumerate(meeting.runners()):
        time.sleep(max(0.0, began + start_s - time.monotonic()))
        runners.append(space.run(ALONE, prepare=meeting.prepare, words=words, logs=f"log{number}"))
    killed = random.randrange(len(runners)) if meeting.is_killed else None
    ended = {} if killed is None else {killed: runners[killed].wait(random.uniform(0, 2 * SPREAD_S))}
    ended |= {number: each.wait() for number, each in enumerate(runners) if number != killed}
    failures = [*unsound(space.out)]
    pids = {each.pid for each in runners}
    for number, each in ended.items():
        failures += _rude(each, pids, may_be_killed=number == killed)
    songs = Counter(space.batches())
    twice = sum(count - 1 for count in songs.values())
    if twice > (0 if killed is None else MOST_LOST):
        failures.append(f"made more than once: {[song for song, count in songs.items() if count > 1]}")
    kept = finished(space.out, unbroken)
    again = space.run(ALONE, prepare=partial(_time_the_lock, space.folder / TIME)).wait()
    if again.code != 0 or again.has_traceback:
        failures.append(f"the next run ended with {again.code}: {again.err[-300:]}")
    failures += [
        *changed(kept),
        *differences(space.out, unbroken, frozenset(() if meeting.kind == "same" else NAMING_SHARDS)),
    ]
    refused = sum(each.code == REFUSED for each in ended.values())
    took_s = float((space.folder / TIME).read_text(encoding="ascii"))
    figures = (("processes refused", refused), ("ms to take the lock afterwards", math.ceil(1000 * took_s)))
    return Trial(f"{meeting.kind}, seed {meeting.seed}", tuple(failures), figures=figures)


def _time_the_lock(file: Path) -> None:
    """In the child: note how many seconds it takes to get the run's lock."""
    locked = execute.run_lock

    @contextmanager
    def timed(*arguments: Any) -> Iterator[None]:
        began = time.monotonic()
        with locked(*arguments):
            file.write_text(str(time.monotonic() - began), encoding="ascii")
            yield

    execute.run_lock = timed


def _rude(ended: Ended, pids: set[int], may_be_killed: bool) -> Iterator[str]:
    """How a process must not end that meets others."""
    if ended.has_traceback:
        yield f"showed a traceback: {ended.err[-300:]}"
    if ended.code == REFUSED:
        host = socket.gethostname()
        if not any(f"process {pid} on {host} is at work in this folder" in ended.err for pid in pids):
            yield f"refused, but not with the other's host and process: {ended.err[-300:]}"
        if ended.err.count("error: ") != 1:
            yield f"said more than one thing: {ended.err[-300:]}"
    elif ended.code != 0 and not (may_be_killed and ended.code == -signal.SIGKILL):
        yield f"ended with {ended.code}: {ended.err[-300:]}"
