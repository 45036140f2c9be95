"""What was tried, in lines and in a table: "N trials, 0 failures, seed S"."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one trial."""

    name: str
    """Enough to repeat it."""
    failures: tuple[str, ...] = ()
    counted: int = 1
    """0 where the fault did not take place, such as a kill after the end: then it is no trial."""
    figures: tuple[tuple[str, float], ...] = ()
    """What was measured, by name; the largest of each is reported."""


@dataclass(frozen=True, slots=True)
class Job:
    """Trials of one kind, not yet made."""

    goal: str
    """Such as L1."""
    what: str
    trials: Callable[[], Iterable[Trial]]
    is_control: bool = False
    """Whether something is broken on purpose, so that there must be failures."""
    skipped: str = ""
    """Why it cannot be tried on this machine."""

    @property
    def title(self) -> str:
        return f"{self.goal} {'control, ' if self.is_control else ''}{self.what}"


@dataclass(frozen=True, slots=True)
class Size:
    """How much of a full run is tried."""

    share: float
    most: int | None = None

    def of(self, full: int) -> int:
        """So many of ``full`` trials, at least one."""
        wanted = max(1, round(full * self.share))
        return wanted if self.most is None else min(wanted, self.most)

    def for_controls(self, trials: int) -> Size:
        """So many trials in a run of any length: what is broken must have its chance to be found."""
        return Size(1.0, trials if self.most is None else min(trials, self.most))


@dataclass(slots=True)
class Result:
    """Trials of one kind that have been made."""

    job: Job
    trials: int = 0
    failed: list[Trial] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Nothing failed; of a control, something did."""
        if self.job.skipped:
            return True
        return bool(self.trials) and bool(self.failed) == self.job.is_control

    @property
    def counts(self) -> str:
        """Trials, failures and figures in words."""
        if self.job.skipped:
            return f"skipped: {self.job.skipped}"
        figures = "".join(f", {name} {value:g}" for name, value in self.figures.items())
        return f"{self.trials:,} trials, {len(self.failed):,} failures{figures}"


def carried_out(job: Job) -> Result:
    """Make the trials of a job."""
    result, started = Result(job), time.monotonic()
    for trial in () if job.skipped else job.trials():
        result.trials += trial.counted
        if trial.failures:
            result.failed.append(trial)
        for name, value in trial.figures:
            result.figures[name] = max(value, result.figures.get(name, value))
    result.seconds = time.monotonic() - started
    return result


def line(result: Result, seed: int) -> str:
    """One line about a job."""
    verdict = "" if result.is_good else "NOT AS IT MUST BE: "
    return f"{verdict}{result.job.title}: {result.counts}, seed {seed} ({result.seconds:.0f} s)"


def details(result: Result, shown: int = 5) -> list[str]:
    """The first failing trials, where there must be none."""
    if result.job.is_control:
        return []
    found = [f"  {trial.name}: {failure[:400]}" for trial in result.failed[:shown] for failure in trial.failures[:4]]
    rest = len(result.failed) - shown
    return [*found, f"  ... and {rest} more failing trials"] if rest > 0 else found


def table(results: Sequence[Result]) -> str:
    """All jobs as a table in Markdown, for docs/reliability.md."""
    lines = ["| goal | what is tried | trials | failures | seconds |", "| --- | --- | ---: | ---: | ---: |"]
    for each in results:
        what = f"{each.job.what}{' (control: must fail)' if each.job.is_control else ''}"
        what += "".join(f"; at most {value:g} {name}" for name, value in each.figures.items())
        what += f" (skipped: {each.job.skipped})" if each.job.skipped else ""
        lines.append(f"| {each.job.goal} | {what} | {each.trials:,} | {len(each.failed):,} | {each.seconds:.0f} |")
    return "\n".join(lines)
