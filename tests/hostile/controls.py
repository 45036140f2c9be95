"""Misbehaviour that the watch must find: each control does, in place of a command, what no input may bring about."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from .case import LONGEST_S, MOST_BYTES, Case


class _Harmless:
    """What a pickle may build too; that it may call anything is the harm."""


def _writes_outside() -> int:
    Path("../outside/new.txt").write_text("x", encoding="utf-8")
    return 0


def _writes_beside_its_root() -> int:
    Path("pwned").touch()
    return 0


def _writes_through_a_link() -> int:
    Path("outputs").mkdir()
    Path("outputs/link").symlink_to(Path("../outside").resolve())
    Path("outputs/link/precious.txt").write_text("x", encoding="utf-8")
    return 0


def _renames_what_is_precious() -> int:
    Path("../outside/x.wav").rename("../outside/y.wav")
    return 0


def _deletes_unseen() -> int:
    os.remove("precious.txt", dir_fd=os.open("../outside", os.O_RDONLY))
    return 0


def _unpickles() -> int:
    pickle.loads(pickle.dumps(_Harmless()))
    return 0


def _evaluates() -> int:
    return int(eval("0"))


def _runs_a_command() -> int:
    return subprocess.run([sys.executable, "-c", ""], check=False).returncode


def _runs_a_shell() -> int:
    return os.system("true")


def _connects() -> int:
    with socket.socket() as unused:
        unused.connect_ex(("127.0.0.1", 9))
    return 0


def _raises() -> int:
    raise KeyError("field")


def _prints_a_traceback() -> int:
    import traceback

    try:
        _raises()
    except KeyError:
        traceback.print_exc()
    return 2


def _refuses_without_a_remedy() -> int:
    print("error: songs.json: is wrong", file=sys.stderr)
    return 2


def _refuses_in_silence() -> int:
    return 2


def _refuses_in_two_lines() -> int:
    print("error: songs.json row 1: is wrong\nreally -> put it right", file=sys.stderr)
    return 2


def _takes_it() -> int:
    return 0


def _fails_late() -> int:
    print("error: songs.json row 1: is wrong -> put it right", file=sys.stderr)
    return 1


def _steers_the_terminal() -> int:
    print("error: songs.json row 1: \x1b[31m -> put it right", file=sys.stderr)
    return 2


def _steers_the_output() -> int:
    print("the title \u202e of it")
    return 0


def _takes_its_time() -> int:
    import time

    until = time.process_time() + 1.2 * LONGEST_S
    while time.process_time() < until:
        pass
    return 0


def _takes_memory() -> int:
    return len(bytearray(b"x") * int(1.2 * MOST_BYTES)) * 0


def _kills_the_process() -> int:
    os._exit(0)


def _hangs() -> int:
    import threading

    threading.Event().wait()
    return 0


def _control(instead: Callable[[], int], says: tuple[str, ...] | None) -> Case:
    name = instead.__name__.strip("_").replace("_", "-")
    return Case("control", name, _nothing, (), says, instead=instead)


def _nothing(folder: Path) -> None:
    """The control needs no files."""


REFUSAL = ("songs.json",)
EXPECTED: Mapping[Callable[[], int], tuple[tuple[str, ...] | None, str]] = {
    _writes_outside: (None, "wrote: open"),
    _writes_beside_its_root: (None, "touched: work/pwned"),
    _writes_through_a_link: (None, "touched: outside/precious.txt"),
    _renames_what_is_precious: (None, "wrote: os.rename"),
    _deletes_unseen: (None, "touched: outside/precious.txt"),
    _unpickles: (None, "ran: pickle.find_class"),
    _evaluates: (None, "ran: compile"),
    _runs_a_command: (None, "ran: subprocess.Popen"),
    _runs_a_shell: (None, "ran: os.system"),
    _connects: (None, "connected: socket.connect"),
    _raises: (REFUSAL, "an exception escaped"),
    _prints_a_traceback: (REFUSAL, "a traceback"),
    _refuses_without_a_remedy: (REFUSAL, "no remedy"),
    _refuses_in_silence: (REFUSAL, "no error was named"),
    _refuses_in_two_lines: (REFUSAL, "not a line of ours"),
    _takes_it: (REFUSAL, "was not refused"),
    _fails_late: (REFUSAL, "was not refused"),
    _steers_the_terminal: (REFUSAL, "steers the terminal"),
    _steers_the_output: (None, "steers the terminal"),
    _takes_its_time: (None, "took 2."),
    _takes_memory: (None, "MiB"),
    _kills_the_process: (None, "killed the process (0)"),
    _hangs: (None, "did not end"),
}
"""What each does: what a refusal would have to say, where it claims to be one, and the complaint that it must draw."""

CONTROLS: Mapping[str, tuple[Case, str]] = {
    case.id: (case, complaint)
    for case, complaint in ((_control(instead, says), found) for instead, (says, found) in EXPECTED.items())
}
"""By id, each with the complaint that it must draw."""
