"""A command in a forked child: everything is imported before, its output goes to files, its engine is a sine."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .syscalls import Call, Decide, Watch, hand_over

Work = Callable[[], int]
"""What a child does; gives its exit code."""

PATIENCE_S = 600.0
"""No run of these trials takes a tenth of it: one that does hangs."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended."""

    code: int
    """Its exit code; of one that was killed, the negative number of the signal."""
    out: str
    err: str
    seconds: float
    calls: tuple[Call, ...] = ()
    """Its mutating calls below the watched folder, where it was watched."""

    @property
    def has_traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.err + self.out


class Child:
    """A running child."""

    def __init__(self, pid: int, logs: Path, watch: Watch | None) -> None:
        self.pid, self.logs, self.watch = pid, logs, watch
        self.started = time.monotonic()

    def wait(self, kill_after_s: float | None = None) -> Ended:
        """Wait for the end, or for so long and then kill it with SIGKILL."""
        until = self.started + (PATIENCE_S if kill_after_s is None else kill_after_s)
        has_ended = self.watch.serve(until) if self.watch is not None else self._ended_before(until)
        if not has_ended:
            os.kill(self.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        seconds = time.monotonic() - self.started
        calls = ()
        if self.watch is not None:
            calls = tuple(self.watch.calls)
            self.watch.close()
        out, err = (self.logs.with_suffix(f".{name}").read_text("utf-8", "replace") for name in ("out", "err"))
        return Ended(code, out, err, seconds, calls)

    def _ended_before(self, until: float) -> bool:
        process = os.pidfd_open(self.pid)
        try:
            import select

            return bool(select.select([process], [], [], max(0.0, until - time.monotonic()))[0])
        finally:
            os.close(process)


def start(work: Work, logs: Path, variables: Mapping[str, str], watched: tuple[Path, Decide] | None = None) -> Child:
    """Fork a child that does the work.

    Args:
        logs: its output goes to this name with ``.out`` and ``.err``.
        variables: of its environment.
        watched: a folder, and what decides about each mutating call below it.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os._exit(_child(work, logs, variables, theirs if watched else None))
        watch = None
        if watched is not None:
            theirs.close()
            _, (listener, *_), _, _ = socket.recv_fds(ours, 1, 1)
            watch = Watch(pid, listener, *watched)
    return Child(pid, logs, watch)


def _child(work: Work, logs: Path, variables: Mapping[str, str], listener_to: socket.socket | None) -> int:
    try:
        for descriptor, name in ((1, "out"), (2, "err")):
            file = os.open(logs.with_suffix(f".{name}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(file, descriptor)
            os.close(file)
        os.environ.update(variables)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if listener_to is not None:
            hand_over(listener_to)
            listener_to.close()
        return work()
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
