"""Problems a person can act on, and the exception that refuses a run because of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

OK, FAILED, REFUSED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
"""Exit codes: done, some songs failed, refused before any work, interrupted (Ctrl-C), terminated (SIGTERM)."""

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Categories of characters that are not there to be seen: controls, directions, line ends, halves of characters."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it stands, what it is, what to do about it."""

    where: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{self.where}: {self.message}" if self.where else self.message
        return visible(f"{line} -> {self.remedy}" if self.remedy else line)


class Refused(Exception):
    """A run is refused before any work; carries every problem found (exit code 2)."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def visible(text: str) -> str:
    """The text on one line of a terminal or a log: what would break the line, or steer the terminal, as an escape."""
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in _UNSEEN else char
        for char in text
    )


def refuse(where: str, message: str, remedy: str = "") -> Refused:
    """The exception for a single problem."""
    return Refused([Problem(where, message, remedy)])


def one_line(error: BaseException) -> str:
    """An exception in one line: its type and what it says."""
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}"
