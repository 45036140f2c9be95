"""One hostile input: the files and the command that bring it in, and what must come of it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TINY = ("model=embedded", "hw=cpu", "infer_step=1", "audio_duration=0.1", "lint=off", "measure=false",
        "report=false")  # fmt: skip
"""A run of a fraction of a second."""
LONGEST_S, MOST_BYTES = 2.0, 512 * 2**20
"""What one input may take: seconds of CPU time, and memory beyond what the process had."""

Files = Mapping[str, str | bytes]
Prepare = Callable[[Path], None]
"""Puts the input into the working folder; beside it lies ``../outside``, which nobody may touch."""
Check = Callable[["Outcome"], None]
"""Asserts what must hold of the outcome beyond what holds for all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one command: exit code, what it printed, and what the watch saw of it."""

    folder: Path
    """The working folder, as the command left it."""
    code: int | None
    """None where an exception escaped; then ``err`` ends with its traceback."""
    out: str
    err: str
    wrote: Sequence[str]
    ran: Sequence[str]
    connected: Sequence[str]
    touched: Sequence[str]
    """Names outside the output root whose content, kind or place is not what it was."""
    cpu_s: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Case:
    """One hostile input."""

    group: str
    name: str
    prepare: Prepare
    words: tuple[str, ...]
    says: tuple[str, ...] | None
    """What a refusal must say, such as the file and the field; None where the input must be inert."""
    check: Check | None = None
    codes: tuple[int, ...] = (0,)
    """The exit codes of an inert input."""
    root: str = "outputs"
    instead: Callable[[], int] | None = None
    """What is done in place of the command, by the controls alone."""

    @property
    def id(self) -> str:
        """Unique in the corpus."""
        return f"{self.group}-{self.name}"


def refused(
    group: str, name: str, files: Files | Prepare, *words: str, says: Sequence[str], check: Check | None = None
) -> Case:
    """An input that must be refused before any work, saying all of ``says``."""
    return Case(group, name, _writer(files), words, tuple(says), check)


def inert(
    group: str,
    name: str,
    files: Files | Prepare,
    *words: str,
    check: Check | None = None,
    codes: tuple[int, ...] = (0,),
    root: str = "outputs",
) -> Case:
    """An input that must be taken as what it is, and do nothing else."""
    return Case(group, name, _writer(files), words, None, check, codes, root)


def _writer(files: Files | Prepare) -> Prepare:
    if not isinstance(files, Mapping):
        return files
    given = dict(files)

    def prepare(folder: Path) -> None:
        for name, content in given.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)

    return prepare


_LINE = re.compile(
    r"(error|warning|note|lint|slow|failed): |\.\.\. and [\d,]+ more|[\d,]+ problems$|nothing was rendered$"
    r"|loading \S+ on |\[\d+/\d+\] "
    # libmpg123 speaks of damaged frames by itself, and libsndfile gives no way to silence it.
    r"|Note: |Warning: Xing |\[src/libmpg123/|$"
)
_REMEDY = re.compile(r" -> |; allowed: | \(did you mean |: was .*, is now ")


def complaints(case: Case, outcome: Outcome) -> list[str]:
    """Everything about an outcome that must not be; empty where the product held its promise."""
    found = [f"{what}: {each}" for what in ("wrote", "ran", "connected", "touched") for each in getattr(outcome, what)]
    if outcome.code is None:
        return [*found, f"an exception escaped: {outcome.err[-2000:]}"]
    lines = outcome.err.splitlines()
    if "Traceback" in outcome.err + outcome.out:
        found.append(f"a traceback: {(outcome.err + outcome.out)[-2000:]}")
    found += [f"not a line of ours: {line[:300]!r}" for line in lines if not _LINE.match(line)]
    found += [f"steers the terminal: {line[:300]!r}" for line in (*lines, *outcome.out.splitlines()) if _steers(line)]
    if outcome.cpu_s > LONGEST_S:
        found.append(f"took {outcome.cpu_s:.1f} s")
    if outcome.peak_bytes > MOST_BYTES:
        found.append(f"took {outcome.peak_bytes / 2**20:.0f} MiB")
    if case.says is None:
        if outcome.code not in case.codes:
            found.append(f"ended with {outcome.code}: {outcome.err[-2000:] or outcome.out[-500:]}")
    else:
        found += _no_refusal(case.says, outcome, lines)
    if not found and case.check is not None:
        try:
            case.check(outcome)
        except AssertionError as error:
            found.append(f"check: {error}")
        except Exception as error:
            found.append(f"check: {type(error).__name__}: {error}")
    return found


def _steers(line: str) -> bool:
    return any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in line)


def _no_refusal(says: Sequence[str], outcome: Outcome, lines: Sequence[str]) -> list[str]:
    if outcome.code != 2:
        return [f"was not refused but ended with {outcome.code}: {(outcome.err or outcome.out)[-500:]}"]
    errors = [line for line in lines if line.startswith("error: ")]
    found = [] if errors else ["no error was named"]
    found += [f"no remedy: {line[:300]!r}" for line in errors if not _REMEDY.search(line)]
    return found + [f"does not say {each!r}: {outcome.err[-600:]!r}" for each in says if each not in outcome.err]
