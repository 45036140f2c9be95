"""L2: every mutating system call refused by the system, once and from there on; said in one line, nothing lost."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from random import Random

from . import broken
from .cases import EDITED, SHORT, Case, Workspace
from .children import Ended
from .crew import Crew
from .folders import differences, finished, unsound
from .kills import Prepare, changed
from .report import Job, Size, Trial
from .syscalls import Call, Do, why_not

ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EMFILE)
CONTROLS = 120


@dataclass(frozen=True, slots=True)
class Fault:
    """From which call of a case on, or at which alone, which error comes."""

    case: Case
    call: int
    error: int
    stays: bool
    prepare: Prepare = broken.nothing

    def decide(self, call: Call) -> Do | int:
        """The error, or nothing."""
        hit = call.number >= self.call if self.stays else call.number == self.call
        return self.error if hit else Do.GO_ON


def jobs(crew: Crew, seed: int, size: Size) -> Iterator[Job]:
    """The trials of the goal."""
    reason = why_not()
    for case in (SHORT, EDITED):
        for stays, when in ((False, "once"), (True, "from there on")):
            trials = partial(_trials, crew, seed, size, case, stays, broken.nothing)
            yield Job("L2", f"every mutating system call fails {when}, 6 errors: {case.name}", trials, skipped=reason)
    some = size.for_controls(CONTROLS)
    for prepare, where, what in (
        (broken.retries_syncs, "", "a writer that tries a failed fsync again"),
        (broken.swallows_ledger_errors, "records.jsonl", "a ledger that says nothing when it cannot be written"),
    ):
        trials = partial(_trials, crew, seed, some, SHORT, False, prepare, where)
        yield Job("L2", what, trials, is_control=True, skipped=reason)


def _trials(
    crew: Crew, seed: int, size: Size, case: Case, stays: bool, prepare: Prepare, where: str = ""
) -> Iterator[Trial]:
    """Faults drawn from those at calls that name ``where``."""
    (calls,) = crew.map(_calls, [case])
    numbers = [number for number, call in enumerate(calls, 1) if where in call]
    faults = [Fault(case, number, error, stays, prepare) for number in numbers for error in ERRORS]
    yield from crew.map(_refused, Random(seed).sample(faults, min(size.of(len(faults)), len(faults))))


def _calls(space: Workspace, case: Case) -> list[str]:
    """The case's mutating calls in words."""
    space.unbroken(case)
    space.reset(case)
    return [str(call) for call in space.run(case, lambda call: Do.GO_ON).wait().calls]


def _refused(space: Workspace, fault: Fault) -> Trial:
    unbroken = space.unbroken(fault.case)
    space.reset(fault.case)
    ended = space.run(fault.case, fault.decide, prepare=fault.prepare).wait()
    hit = [call for call in ended.calls if fault.decide(call) is not Do.GO_ON]
    when = "from" if fault.stays else "at"
    name = f"{fault.case.name}, {errno.errorcode[fault.error]} {when} {hit[0] if hit else 'no call'}"
    if not hit:  # how often the summary is written depends on the clock
        return Trial(name, counted=0)
    failures = [f"after the fault, {each}" for each in unsound(space.out)]
    failures += manners(space, fault.case, ended)
    if ended.code == 0:
        failures += [f"ended with 0, but {each}" for each in differences(space.out, unbroken) if ".tmp-" not in each]
    kept = finished(space.out, unbroken)
    failures += changed(kept)
    again = space.run(fault.case, prepare=fault.prepare).wait()
    if again.code != 0 or again.has_traceback:
        failures.append(f"the resumed run ended with {again.code}: {again.err[-300:]}")
    failures += [*changed(kept), *differences(space.out, unbroken)]
    return Trial(name, tuple(failures))


def manners(space: Workspace, case: Case, ended: Ended) -> Iterator[str]:
    """How a run must behave that the system refuses something."""
    if ended.code not in (0, 1, 2):
        yield f"ended with {ended.code}: {ended.err[-300:]}"
    if ended.has_traceback:
        yield f"showed a traceback: {ended.err[-300:]}"
    if any(call.is_retried_sync for call in ended.calls):
        yield "a failed fsync was tried again on the same open file"
    said = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    failed = [line for line in ended.out.splitlines() if line.startswith("failed: ")]
    if len(said) > 1:
        yield f"said {len(said)} errors: {said}"
    if ended.code in (1, 2):
        songs = [row["id"] for row in case.rows]
        named = [
            line for line in said if str(space.out) in line or "output.root" in line or "out of memory" in line
        ] + [line for line in failed if any(f"failed: {song}: " in line for song in songs)]
        if not named:
            yield f"ended with {ended.code}, but named neither a file nor a song: {ended.err[-300:]}"
    if ended.code == 2 and "songs made" in ended.out:
        yield "refused the run after it had begun"
