"""L1: processes killed with SIGKILL, at any moment and at every mutating system call; nothing acknowledged is lost."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

from . import broken
from .cases import CASES, EDITED, MEASURED, SHORT, Case, Workspace
from .crew import Crew
from .folders import MISSING, Stamp, differences, finished, stamp, unsound
from .report import Job, Size, Trial
from .syscalls import Do, why_not

KILLS = 1000
AGAIN = 0.3
"""Share of the killed runs whose resumed run is killed too."""
CONTROLS = 40
ROUND = 20
"""Trials between two looks at how many kills have landed."""
REDONE = "micro-batches done again"
MOST_REDONE = 2
"""The one that was being written, and the one that was denoised beside it."""

Prepare = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Point:
    """A mutating call of a case, and what happens there."""

    case: Case
    call: int
    do: Do
    prepare: Prepare = broken.nothing


def jobs(crew: Crew, seed: int, size: Size) -> Iterator[Job]:
    """The trials of the goal."""
    reason = why_not()
    yield Job(
        "L1", "SIGKILL at any moment, mid-run", partial(_at_any_moment, crew, seed, size.of(KILLS)), skipped=reason
    )
    for case in CASES:
        for do, what in ((Do.KILL, "at every mutating system call"), (Do.TEAR, "in the middle of every write")):
            trials = partial(_at_calls, crew, seed, size, case, do, broken.nothing)
            yield Job("L1", f"SIGKILL {what}: {case.name}", trials, skipped=reason)
    some = size.for_controls(CONTROLS)
    for case, prepare, what in (
        (SHORT, broken.writes_in_place, "files written under their final names"),
        (EDITED, broken.forgets_its_records, "a resume that does not read its records"),
    ):
        trials = partial(_at_calls, crew, seed, some, case, Do.KILL, prepare)
        yield Job("L1", what, trials, is_control=True, skipped=reason)


def _at_calls(crew: Crew, seed: int, size: Size, case: Case, do: Do, prepare: Prepare) -> Iterator[Trial]:
    (names,) = crew.map(calls_of, [case])
    points = [
        Point(case, number, do, prepare) for number, name in enumerate(names, 1) if do is Do.KILL or name == "write"
    ]
    yield from crew.map(_at_call, Random(seed).sample(points, size.of(len(points))))


def calls_of(space: Workspace, case: Case) -> list[str]:
    """The names of the case's mutating calls."""
    space.unbroken(case)
    space.reset(case)
    return [call.name for call in space.run(case, lambda call: Do.GO_ON).wait().calls]


def _at_call(space: Workspace, point: Point) -> Trial:
    unbroken = space.unbroken(point.case)
    space.reset(point.case)

    ended = space.run(
        point.case, lambda call: point.do if call.number == point.call else Do.GO_ON, prepare=point.prepare
    ).wait()
    name = f"{point.case.name}, {point.do.value} at {ended.calls[-1] if ended.calls else 'no call'}"
    if ended.code != -signal.SIGKILL:  # how often the summary is written depends on the clock
        return Trial(name, () if ended.code == 0 else (f"ended with {ended.code}: {ended.err[-300:]}",), counted=0)
    return _resumed(space, point.case, unbroken, name, point.prepare)


def _at_any_moment(crew: Crew, seed: int, wanted: int) -> Iterator[Trial]:
    landed = 0
    for first in count(0, ROUND):
        for trial in crew.map(_killed, [f"{seed}-{number}" for number in range(first, first + ROUND)]):
            if landed < wanted or trial.failures:
                yield trial
            landed += trial.counted
        if landed >= wanted:
            return


def _killed(space: Workspace, seed: str) -> Trial:
    """Kill a run at a moment that the seed chooses, perhaps its resumed run too, and let it go on."""
    random = Random(seed)
    case = random.choice((*CASES, MEASURED))
    unbroken = space.unbroken(case)
    space.reset(case)
    landed, failures, kept = 0, [], {}
    while True:
        moment_s = random.uniform(0, 1.05) * space.duration_s(case)
        ended = space.run(case, lambda call: Do.GO_ON).wait(kill_after_s=moment_s)
        landed += ended.code == -signal.SIGKILL and bool(ended.calls) and any(differences(space.out, unbroken))
        failures += changed(kept)
        if ended.code == 0 or random.random() > AGAIN:
            break
        kept = finished(space.out, unbroken)
    done = _resumed(space, case, unbroken, f"{case.name}, seed {seed}", broken.nothing)
    return Trial(done.name, (*failures, *done.failures), landed, done.figures)


def _resumed(space: Workspace, case: Case, unbroken: Path, name: str, prepare: Prepare) -> Trial:
    """Look at what a kill left, let the run go on, and look again."""
    failures = [f"after the kill, {each}" for each in unsound(space.out)]
    kept, before = finished(space.out, unbroken), space.batches()
    ended = space.run(case, prepare=prepare).wait()
    if ended.code != 0 or ended.has_traceback:
        failures.append(f"the resumed run ended with {ended.code}: {ended.err[-300:]}")
    failures += [*changed(kept), *differences(space.out, unbroken)]
    redone = sum(batch in before for batch in space.batches()[len(before) :])
    if redone > MOST_REDONE:
        failures.append(f"{redone} micro-batches were done again")
    return Trial(name, tuple(failures), figures=((REDONE, redone),))


def changed(kept: Mapping[Path, Stamp]) -> Iterator[str]:
    """Files of finished songs that are no longer the very same ones."""
    for path, before in kept.items():
        now = stamp(path)
        if now != before or now == MISSING:
            yield f"{path.name} of a finished song {'is lost' if now == MISSING else 'was written again'}"
