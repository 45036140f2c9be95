"""Notices while songs are rendered that a stage takes much longer than it should, and says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

TIMES_EXPECTED = 10
"""A stage that takes so many times the longest of its kind so far is reported."""
FIRST_S = 600.0
"""What the first stage of a kind may take: kernels are compiled, weights are paged in."""
LEAST_S = 20.0
"""Nothing shorter is worth a word."""


@dataclass(slots=True)
class Stages:
    """The stage at work, and how long stages of its kind have taken; no clock of its own."""

    first_s: float = FIRST_S
    least_s: float = LEAST_S
    _longest: dict[str, float] = field(default_factory=dict)
    _now: tuple[str, float] | None = None
    _report_at: float = 0.0

    def begin(self, kind: str, now: float) -> None:
        """A stage begins, which ends the one before."""
        self.end(now)
        self._now = (kind, now)
        expected = self._longest.get(kind)
        self._report_at = now + (self.first_s if expected is None else max(self.least_s, TIMES_EXPECTED * expected))

    def end(self, now: float) -> None:
        """Nothing is at work."""
        if self._now is not None:
            kind, since = self._now
            self._longest[kind] = max(self._longest.get(kind, 0.0), now - since)
        self._now = None

    def overdue(self, now: float) -> str | None:
        """What to say about the stage at work, if there is something; each time twice as long after the last."""
        if self._now is None or now < self._report_at:
            return None
        kind, since = self._now
        expected = self._longest.get(kind)
        usual = "the first of its kind" if expected is None else f"the longest so far took {expected:.1f} s"
        self._report_at = now + (now - since)
        return f"{kind} has been at work for {now - since:.0f} s; {usual}"


@contextmanager
def reported(stages: Stages, say: Callable[[str], None], every_s: float = 1.0) -> Iterator[None]:
    """Look at the stages now and then, in a thread of its own, for as long as the block runs."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(every_s):
            if line := stages.overdue(time.monotonic()):
                say(line)

    thread = threading.Thread(target=look, name="stall", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
