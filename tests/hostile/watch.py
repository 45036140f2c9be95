"""Sees what this process writes, runs and connects to, by Python's audit events; what C libraries open is unseen."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = Path(__file__).resolve().parents[2] / "acestep_batch"

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NEW_NAMES: Mapping[str, Sequence[tuple[int, int | None]]] = {
    "os.mkdir": [(0, 2)], "os.remove": [(0, 1)], "os.rmdir": [(0, 1)], "os.truncate": [(0, None)], "os.chmod": [(0, 2)],
    "os.chown": [(0, 3)], "os.utime": [(0, 3)], "os.rename": [(0, 2), (1, 3)], "os.link": [(0, 2), (1, 3)], "os.symlink": [(1, 2)],
}  # fmt: skip
"""Events that change what stands under a name: where such names stand, each with the open folder it may start from."""
_RUNNING = frozenset(
    {
        "pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile",
        "os.fork", "os.forkpty", "exec", "compile", "code.__new__", "marshal.loads", "marshal.load", "ctypes.dlopen",
        "webbrowser.open", "builtins.input", "builtins.breakpoint", "sqlite3.connect",
    }
)  # fmt: skip
_CONNECTING = frozenset({"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "urllib.Request"})
_IMPORT = "importlib._bootstrap"
_EXPECTED = {
    **dict.fromkeys(("exec", "code.__new__", "marshal.loads", "ctypes.dlopen"), (_IMPORT,)),
    # They parse lines of the program to underline them, and headers of arrays as literals; nothing of it runs.
    "compile": (_IMPORT, "traceback", "numpy.lib._format_impl", "numpy.lib.format"),
    # py3langid's own model is a pickle; and so come the numbers that the product's own measuring processes send.
    "pickle.find_class": ("py3langid.langid", "multiprocessing.connection"),
    "socket.bind": ("urllib3.util.connection",),  # which asks at its import whether there is IPv6, and sends nothing
}
"""Events that come of the program itself, each with the modules that cause them."""


@dataclass(slots=True)
class Watch:
    """What was seen since ``begin``; the hook stays in the process for good, as Python has it."""

    inside: tuple[str, ...] = ()
    """Folders that may be written to, links resolved."""
    wrote: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    _is_on: bool = False

    def install(self) -> None:
        """Begin to hear events, once for a process."""
        sys.addaudithook(self._hear)

    def begin(self, inside: Sequence[Path]) -> None:
        """Forget what was seen, and note from now on."""
        self.inside = tuple(str(each.resolve()) for each in inside)
        self.wrote, self.ran, self.connected = [], [], []
        self._is_on = True

    def end(self) -> None:
        """Note nothing more."""
        self._is_on = False

    def _hear(self, event: str, given: tuple[Any, ...]) -> None:
        if not self._is_on:
            return
        if event == "open":
            path, _, flags = given
            if flags & _WRITING and not isinstance(path, int):
                self._note_name(event, os.path.realpath(os.fspath(path)))
        elif event in _NEW_NAMES:
            for place, start in _NEW_NAMES[event]:
                if not isinstance(given[place], int):
                    self._note_name(event, _in_its_folder(given[place], -1 if start is None else given[start]))
        elif (
            event in _RUNNING
            and not (event in _EXPECTED and _is_within(_EXPECTED[event]))
            and not _is_own(event, given)
        ):
            self.ran.append(f"{event} {str(given)[:200]}")
        elif event in _CONNECTING and not (event in _EXPECTED and _is_within(_EXPECTED[event])):
            self.connected.append(f"{event} {str(given)[:200]}")

    def _note_name(self, event: str, path: str | bytes) -> None:
        name = os.fsdecode(path)
        if name == os.devnull or any(name == each or name.startswith(each + os.sep) for each in self.inside):
            return
        self.wrote.append(f"{event} {name}")


def _in_its_folder(name: Any, start: int) -> str:
    """A name with the links of its folder resolved, and not its own; ``start`` is an open folder, or -1."""
    folder, last = os.path.split(os.fsdecode(os.fspath(name)))
    begin = os.readlink(f"/proc/self/fd/{start}") if start >= 0 else "."  # noqa: PTH115
    return os.path.join(os.path.realpath(os.path.join(begin, folder)), last)  # noqa: PTH118


def _is_within(modules: tuple[str, ...]) -> bool:
    """Whether one of these modules is at work now."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__") in modules:
            return True
        frame = frame.f_back
    return False


def _is_own(event: str, given: tuple[Any, ...]) -> bool:
    """What the product runs whatever its input is: git, asked for its own commit, and the driver's list of GPUs."""
    if event == "ctypes.dlopen":
        return "nvidia-ml" in str(given[0])
    return event == "subprocess.Popen" and given[1][0] == "git" and Path(given[2] or ".") == PACKAGE
