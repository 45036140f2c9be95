"""How a run ended, and what a process made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acestep_batch.problems import Problem

MOST_KEPT = 100
"""Records of each kind that are kept in memory, to be shown at the end; all of them are on the disk."""


@dataclass(slots=True)
class RunResult:
    """How a run ended, and what this process made."""

    folder: Path
    songs: int = 0
    """Songs that were this process's to make; those that were not tried have no record."""
    done_before: int = 0
    """Songs of the run that needed nothing."""
    records: list[Mapping[str, Any]] = field(default_factory=list)
    """In the order in which songs finished: the first MOST_KEPT that were made, and the first that failed."""
    made: int = 0
    failed: int = 0
    """Songs that failed and rows that were skipped."""
    skipped: int = 0
    """Rows that were."""
    exit_code: int | None = None
    """Why it ended early: the exit code of an interrupt."""
    set_aside: int = 0
    """Files that gave way and lie in superseded/ now."""
    broken_off: Problem | None = None
    """Why it ended early: a file of the run's own that could not be written."""
    stale_summary: str = ""
    """Why the summary, or the sweep's, does not hold all records."""

    @property
    def not_tried(self) -> int:
        """Songs that the end of the run came before."""
        return self.songs - self.made - (self.failed - self.skipped)

    def count(self, record: Mapping[str, Any]) -> None:
        """Take in what became of a song or a row."""
        is_made = record["status"] == "ok"
        self.made += is_made
        self.failed += not is_made
        self.skipped += "seed" not in record
        if (self.made if is_made else self.failed) <= MOST_KEPT:
            self.records.append(record)
