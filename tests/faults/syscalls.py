"""Every mutating system call of a process, held until somebody decides: Linux' seccomp user notification, by ctypes.

The process that is watched installs a filter and hands its listener over a socket; the kernel then stops each of its
threads at every call that could change a file, also in libsndfile and Arrow, which no hook in Python sees. Knows
nothing of runs. Only x86_64 Linux; ``why_not`` says so elsewhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)

WRITING = {"write": 1, "pwrite64": 18, "writev": 20, "pwritev": 296, "ftruncate": 77, "fallocate": 285,
           "fsync": 74, "fdatasync": 75, "fchmod": 91, "copy_file_range": 326, "sendfile": 40}  # fmt: skip
"""Calls whose first argument is a descriptor (of ``copy_file_range`` the third is meant), by name: their numbers."""
NAMING = {"truncate": (76, 0), "rename": (82, 0, 1), "renameat": (264, 1, 3), "renameat2": (316, 1, 3),
          "link": (86, 0, 1), "linkat": (265, 1, 3), "unlink": (87, 0), "unlinkat": (263, 1), "mkdir": (83, 0),
          "mkdirat": (258, 1), "rmdir": (84, 0), "symlink": (88, 1), "symlinkat": (266, 2), "chmod": (90, 0),
          "fchmodat": (268, 1), "utimensat": (280, 1)}  # fmt: skip
"""Calls with paths: their numbers, and which arguments are paths."""
OPENING = {"open": (2, 0, 1), "openat": (257, 1, 2), "creat": (85, 0, None)}
"""Calls that may make a file: number, which argument is the path, which the flags; only those that write count."""

_BY_NUMBER = {
    **{number: name for name, number in WRITING.items()},
    **{numbers[0]: name for name, numbers in (*NAMING.items(), *OPENING.items())},
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_SYS_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER = 317, 1, 8
_SYS_KCMP, _SYS_PIDFD_OPEN, _SYS_PIDFD_GETFD = 312, 434, 438
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_NO_NEW_PRIVILEGES = 38
_PAGE = 4096


class Do(Enum):
    """What becomes of a call, apart from an error number."""

    GO_ON = "go on"
    KILL = "kill"
    """The process dies at the call, which does not happen."""
    TEAR = "tear"
    """Half of what it writes is written, then the process dies; a call that writes nothing dies like KILL."""


@dataclass(frozen=True, slots=True)
class Call:
    """A mutating call below the watched folder."""

    number: int
    """Counted from 1 over all threads."""
    name: str
    paths: tuple[str, ...]
    thread: int
    """The system's number of the thread that calls."""
    is_retried_sync: bool = False
    """Whether it syncs an open file whose sync was made to fail before."""

    def __str__(self) -> str:
        return f"call {self.number}, {self.name} of {' to '.join(self.paths)}"


Decide = Callable[[Call], Do | int]
"""Gives ``Do``, or the error number that the call fails with."""


def why_not() -> str:
    """Why calls cannot be watched on this machine; empty where they can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "needs Linux on x86_64"
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        pid = os.fork()
        if pid == 0:
            try:
                hand_over(theirs)
            except OSError as error:
                os._exit(error.errno or 1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return f"seccomp user notification: {os.strerror(status)}" if status else ""


def hand_over(to: socket.socket) -> None:
    """In the process to be watched: from here on each mutating call waits for who reads the socket. Raises OSError."""
    _check(_LIBC.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    program = _filter()
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    listener = _check(_LIBC.syscall(_SYS_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.c_char_p(header)))
    socket.send_fds(to, [b"l"], [listener])
    os.close(listener)


def _check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _filter() -> bytes:
    """The BPF program: a notification for each number, and for opening calls only where their flags say writing."""

    def instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("HBBI", code, yes, no, value)

    load, equal, has, answer = 0x20, 0x15, 0x45, 0x06
    numbers = [*WRITING.values(), *(each[0] for each in NAMING.values()), OPENING["creat"][0]]
    code = [instruction(load, 0)]
    for name in ("open", "openat"):
        number, _, flags = OPENING[name]
        assert flags is not None
        code += [instruction(equal, number, 0, 4), instruction(load, 16 + 8 * flags), instruction(has, _WRITES, 0, 1),
                 instruction(answer, _NOTIFY), instruction(answer, _ALLOW)]  # fmt: skip
    code += [instruction(equal, number, len(numbers) - place) for place, number in enumerate(numbers)]
    return b"".join([*code, instruction(answer, _ALLOW), instruction(answer, _NOTIFY)])


class Watch:
    """Decides about every mutating call of one process below one folder; below ``/`` that is every such call at all."""

    def __init__(self, pid: int, listener: int, folder: Path, decide: Decide) -> None:
        self.pid, self.listener, self.decide = pid, listener, decide
        self.folder = str(folder).rstrip("/")
        self.calls: list[Call] = []
        self._failed_syncs: list[int] = []
        """The open files whose sync was made to fail, as descriptors of ours."""

    def serve(self, until: float | None = None) -> bool:
        """Serve calls up to a ``time.monotonic()``, or until the process has ended: whether it has."""
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        while True:
            events = poll.poll(None if until is None else max(0.0, until - time.monotonic()) * 1000)
            if not events:
                return False
            if not events[0][1] & select.POLLIN:  # nobody is left who could call
                return True
            self._serve_one()

    def close(self) -> None:
        """Let go of the process; what it still calls fails with ENOSYS."""
        for descriptor in (self.listener, *self._failed_syncs):
            os.close(descriptor)

    def _serve_one(self) -> None:
        buffer = bytearray(80)
        try:
            fcntl.ioctl(self.listener, _RECEIVE, buffer, True)
        except OSError as error:
            if error.errno == errno.ENOENT:  # killed meanwhile
                return
            raise
        notice, thread, _, number, _, _, *arguments = struct.unpack("QIIiIQ6Q", buffer)
        call = self._call(thread, _BY_NUMBER[number], arguments)
        verdict = Do.GO_ON if call is None else self.decide(call)
        if isinstance(verdict, Do) and verdict is not Do.GO_ON:
            if verdict is Do.TEAR and call is not None and call.name == "write":
                self._write_half(thread, arguments)
            os.kill(self.pid, signal.SIGKILL)
            return
        failure = verdict if isinstance(verdict, int) else 0
        if failure and call is not None and call.name in ("fsync", "fdatasync") and call.paths[0]:
            self._failed_syncs.append(self._borrowed(arguments[0]))
        with contextlib.suppress(OSError):  # killed meanwhile
            fcntl.ioctl(self.listener, _ANSWER, struct.pack("QqiI", notice, 0, -failure, 0 if failure else 1))

    def _call(self, thread: int, name: str, arguments: Sequence[int]) -> Call | None:
        """The call, where it is about the folder."""
        if name in WRITING:
            paths = [_link(thread, f"fd/{arguments[2 if name == 'copy_file_range' else 0]}")]
        else:
            places = NAMING[name][1:] if name in NAMING else OPENING[name][1:2]
            paths = [_path(thread, arguments[place]) for place in places]
        if not any(path == self.folder or path.startswith(self.folder + "/") for path in paths):
            return None
        is_retried = name in ("fsync", "fdatasync") and bool(paths[0]) and self._has_failed(arguments[0])
        call = Call(len(self.calls) + 1, name, tuple(paths), thread, is_retried)
        self.calls.append(call)
        return call

    def _has_failed(self, descriptor: int) -> bool:
        if not self._failed_syncs:
            return False
        own = self._borrowed(descriptor)
        try:
            me = os.getpid()
            return any(_LIBC.syscall(_SYS_KCMP, me, me, 0, own, failed) == 0 for failed in self._failed_syncs)
        finally:
            os.close(own)

    def _borrowed(self, descriptor: int) -> int:
        """The watched process' open file as a descriptor of ours."""
        process = _check(_LIBC.syscall(_SYS_PIDFD_OPEN, self.pid, 0))
        try:
            return _check(_LIBC.syscall(_SYS_PIDFD_GETFD, process, descriptor, 0))
        finally:
            os.close(process)

    def _write_half(self, thread: int, arguments: Sequence[int]) -> None:
        own = self._borrowed(arguments[0])
        try:
            os.write(own, _memory(thread, arguments[1], arguments[2] // 2))
        finally:
            os.close(own)


def _link(thread: int, name: str) -> str:
    try:
        return str(Path(f"/proc/{thread}/{name}").readlink())
    except OSError:
        return ""


def _memory(thread: int, address: int, length: int) -> bytes:
    with Path(f"/proc/{thread}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(length) or b""


def _path(thread: int, address: int) -> str:
    """A path argument; a relative one is taken from the process' working directory."""
    found = b""
    while address and b"\0" not in found and len(found) < 2 * _PAGE:
        start = address + len(found)
        found += _memory(thread, start, _PAGE - start % _PAGE)
    path = os.fsdecode(found.split(b"\0")[0])
    return path if path.startswith("/") or not path else f"{_link(thread, 'cwd')}/{path}"
