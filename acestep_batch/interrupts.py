"""Ctrl-C and SIGTERM while songs are rendered: the first ends the run in order, the second at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from acestep_batch.problems import INTERRUPTED, TERMINATED


class Stopped(KeyboardInterrupt):
    """Somebody asked the run to end; what is rendered is still to be written."""


@dataclass(slots=True)
class Interrupts:
    """What has been asked for so far."""

    code: int | None = None
    """The exit code of the first signal; None while there was none."""

    def check(self) -> None:
        """Raises Stopped once somebody has asked for the end."""
        if self.code is not None:
            raise Stopped


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Take SIGINT and SIGTERM (and Windows' Ctrl-Break) over; the first is noted, the second ends the process.

    A process that ends at once leaves nothing half-written under a final name: no file gets its name before it is
    whole. Only the main thread may do this.
    """
    asked = Interrupts()

    def note(number: int, frame: FrameType | None) -> None:
        code = TERMINATED if number == signal.SIGTERM else INTERRUPTED
        if asked.code is not None:
            os._exit(code)
        asked.code = code
        # The write is a plain one: a signal may come in the middle of another print.
        os.write(2, b"\nstopping: finishing what is rendered (once more to stop at once)\n")

    names = ("SIGINT", "SIGTERM", "SIGBREAK")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
