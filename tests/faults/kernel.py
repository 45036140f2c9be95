"""The same faults from strace's fault injection, which answers for the kernel: both ways must end alike.

Watching calls is our own code; this is a sample that shows it does what the system would do. strace counts the calls of
a name in each thread, so the watched run gets its faults by the same count.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from acestep_batch.ledger import latest, read_ledger

from .cases import SHORT, Workspace
from .children import Ended
from .crew import Crew
from .errors import ERRORS
from .folders import differences, run_folders, unsound
from .report import Job, Size, Trial
from .syscalls import Call, Decide, Do, why_not

NAMES = ("fsync", "link", "unlink", "rename", "mkdir")
"""Calls of which a run makes few elsewhere."""
SAMPLE = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the so manieth call of a name in every thread: an error, or 0 for a kill."""

    name: str
    count: int
    error: int

    def injection(self) -> str:
        """As strace wants it."""
        what = f"error={errno.errorcode[self.error]}" if self.error else "signal=KILL"
        return f"inject={self.name}:{what}:when={self.count}"

    def decide(self) -> Decide:
        """As the watch wants it."""
        seen: Counter[int] = Counter()

        def decide(call: Call) -> Do | int:
            if call.name != self.name:
                return Do.GO_ON
            seen[call.thread] += 1
            if seen[call.thread] != self.count:
                return Do.GO_ON
            return self.error or Do.KILL

        return decide


def jobs(crew: Crew, seed: int, size: Size) -> Iterator[Job]:
    """The trials: part of L1 and L2."""
    reason = why_not() or ("" if shutil.which("strace") else "needs strace")
    random = Random(seed)
    for goal, errors in (("L1", (0,)), ("L2", ERRORS)):
        everything = [Fault(name, count, error) for name in NAMES for count in range(1, 21) for error in errors]
        faults = random.sample(everything, min(len(everything), size.of(SAMPLE)))
        what = f"{'SIGKILL' if goal == 'L1' else '6 errors'} from strace as from the watch: {SHORT.name}"
        yield Job(goal, what, partial(crew.map, _both_ways, faults), skipped=reason)


def _both_ways(space: Workspace, fault: Fault) -> Trial:
    unbroken = space.unbroken(SHORT)
    space.reset(SHORT)
    watched = _outcome(space, space.run(SHORT, fault.decide(), watched=Path("/")).wait())
    space.reset(SHORT)
    ended = _traced(space, fault)
    outcome = _outcome(space, ended)
    failures = [*unsound(space.out)]
    if watched != outcome:
        failures.append(f"the watch led to {watched}, strace to {outcome}")
    again = space.run(SHORT).wait()
    if again.code != 0 or again.has_traceback or ended.has_traceback:
        failures.append(f"the resumed run ended with {again.code}: {again.err[-300:]}")
    failures += differences(space.out, unbroken)
    return Trial(f"{SHORT.name}, {fault.injection()}", tuple(failures), int(ended.code != 0))


def _traced(space: Workspace, fault: Fault) -> Ended:
    """The run under strace, which it waits for before it begins."""

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    child = space.run(SHORT, prepare=stop)
    _wait_for(child.pid, r"^State:\tT")
    words = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={fault.name}", "-e", fault.injection()]
    with subprocess.Popen([*words, "-p", str(child.pid)], stderr=subprocess.DEVNULL):
        _wait_for(child.pid, r"^TracerPid:\t[1-9]")
        os.kill(child.pid, signal.SIGCONT)
        return child.wait()


def _wait_for(pid: int, line: str) -> None:
    """Until the system says this of a process."""
    while not re.search(line, Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.MULTILINE):
        time.sleep(0.001)


def _outcome(space: Workspace, ended: Ended) -> tuple[object, ...]:
    """What can be seen of a run from outside: its exit code, its files, and what it recorded of each song."""
    names = sorted(re.sub(r"\.tmp-\w+", ".tmp", str(path.relative_to(space.out))) for path in space.out.rglob("*"))
    folders = run_folders(space.out)
    records = latest(read_ledger(folders[0]).records) if folders else {}
    return ended.code, names, sorted((song, record["status"]) for song, record in records.items())
