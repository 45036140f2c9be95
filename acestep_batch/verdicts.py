"""What a verification found, song by song: states, exit code, and the same as JSON; prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from acestep_batch.compare import Tier
from acestep_batch.outputs.records import json_text
from acestep_batch.problems import FAILED, OK, REFUSED, Problem, visible
from acestep_batch.rerender import FileVerdict
from acestep_batch.rerender_v15 import PlanVerdict
from acestep_batch.song_checks import Finding


class State(StrEnum):
    """How a song came out."""

    HOLDS = "ok"
    DIFFERS = "differs"
    DAMAGED = "damaged"
    """Its files are not as they were recorded."""
    MISSING = "missing"
    """No record speaks of it: it was not made yet, or its record is lost."""
    UNCHECKED = "cannot be checked"
    FAILED = "failed in the run"
    """The run recorded its failure: there is nothing to check."""
    NOT_RENDERED = "files hold"
    """It was not rendered again; its files are as they were recorded."""


FAILURES = frozenset({State.DIFFERS, State.DAMAGED, State.MISSING})


@dataclass(slots=True)
class SongVerdict:
    """One song."""

    cell: str
    song_id: str
    has_failed: bool = False
    """In the run itself, with a record that says so."""
    is_missing: bool = False
    """Whether it has no record."""
    findings: list[Finding] = field(default_factory=list)
    files: list[FileVerdict] = field(default_factory=list)
    """One for each audio file that was compared."""
    is_alone: bool = False
    """Whether the run that it was to be compared with has no such song."""
    obstacles: tuple[Problem, ...] = ()
    """Why it could not be compared."""
    plan: PlanVerdict | None = None
    """Of a song that was planned."""
    seconds: float = 0.0

    @property
    def state(self) -> State:
        """The worst of what is known."""
        if self.is_alone or self.plan_fails or any(not file.holds for file in self.files):
            return State.DIFFERS
        if self.findings:
            return State.MISSING if self.is_missing else State.DAMAGED
        if self.obstacles:
            return State.UNCHECKED
        if self.files:
            return State.HOLDS
        return State.FAILED if self.has_failed else State.NOT_RENDERED

    @property
    def plan_fails(self) -> bool:
        """Whether the planner wrote another plan where nothing differs that could move a bit."""
        is_same = any(file.expected.tier is Tier.BIT_IDENTICAL for file in self.files)
        return self.plan is not None and bool(self.plan.differing) and is_same

    @property
    def worst(self) -> FileVerdict | None:
        """The file that says most about the song: one that does not hold, else the one in the lowest tier."""
        order = list(Tier)
        return max(self.files, key=lambda file: (not file.holds, order.index(file.found.tier)), default=None)

    def messages(self) -> Iterator[str]:
        """What is wrong with it, a line each; why it could not be compared is none of it."""
        for file in self.files:
            if not file.holds:
                line = f"{self.song_id}, {file.path}: {file.found.tier}, expected {file.expected.tier} ({file.found})"
                yield visible(f"{line}; {file.note}" if file.note else line)
        if self.plan_fails:
            yield visible(f"{self.song_id}: {self.plan}")
        yield from map(str, self.findings)


@dataclass(slots=True)
class Report:
    """A verification of one folder."""

    folder: Path
    method: str
    """What was compared with what, in words."""
    songs: list[SongVerdict] = field(default_factory=list)
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    """Those that are no song's, each with its cell."""

    @property
    def exit_code(self) -> int:
        """0: all holds. 1: something differs or is damaged. 2: something cannot be checked, and nothing is wrong."""
        states = {song.state for song in self.songs}
        if self.findings or states & FAILURES:
            return FAILED
        return REFUSED if State.UNCHECKED in states else OK

    def obstacles(self) -> dict[Problem, int]:
        """Why songs could not be compared, with the number of songs."""
        return dict(Counter(problem for song in self.songs for problem in song.obstacles))

    def counts(self) -> str:
        """Songs by state and, of those compared, by the tier that they reached."""
        states = Counter(song.state for song in self.songs)
        tiers = Counter(song.worst.found.tier for song in self.songs if song.worst is not None)
        total = f"{len(self.songs):,} {'song' if len(self.songs) == 1 else 'songs'}"
        by_state = ", ".join(f"{states[state]} {state}" for state in State if states[state])
        by_tier = ", ".join(f"{tiers[tier]} {tier}" for tier in Tier if tiers[tier])
        return ": ".join(filter(None, (total, "; ".join(filter(None, (by_state, by_tier))))))

    def reasons(self) -> dict[str, int]:
        """Why less than bit-identity was expected, with the number of songs."""
        found: Counter[str] = Counter()
        for song in self.songs:
            lowered = (file.expected for file in song.files if file.expected.reasons)
            found.update({f"{expected.tier}: {'; '.join(expected.reasons)}" for expected in lowered})
        return dict(found)

    def as_json(self) -> str:
        """The whole report, indented."""
        content = {
            "folder": str(self.folder),
            "exit_code": self.exit_code,
            "method": self.method,
            "counts": dict(Counter(str(song.state) for song in self.songs)),
            "findings": [{"cell": cell, **asdict(finding)} for cell, finding in self.findings],
            "obstacles": [asdict(problem) for problem in self.obstacles()],
            "songs": [_song_json(song) for song in self.songs],
        }
        return json_text(content, indent=2) + "\n"


def _song_json(song: SongVerdict) -> dict[str, Any]:
    return {
        "cell": song.cell,
        "id": song.song_id,
        "state": str(song.state),
        "files": [file.as_json() for file in song.files],
        "findings": [asdict(finding) for finding in song.findings],
        "obstacles": [asdict(problem) for problem in song.obstacles],
        "seconds": round(song.seconds, 3),
    }
