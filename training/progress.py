"""A stage's clock and its checkpoints: time to go, one line a minute, and a file that is replaced as a whole."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from acestep_batch.outputs.atomic import atomic_path

CHECKPOINTS = Path(__file__).with_name("checkpoints")
"""Ignored by git; every stage reads the earlier ones' files here."""
CHECKPOINT_SECONDS = 300.0
LOG_SECONDS = 60.0


class Chunk:
    """One run of a stage: it ends after ``steps`` steps in all or when ``minutes`` are over, and may go on later.

    There is at least one step in a chunk, unless all are made.
    """

    def __init__(self, first_step: int, steps: int, minutes: float, log_file: Path) -> None:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        self.is_over = first_step >= steps
        self._first_step, self._steps, self._seconds, self._log_file = first_step, steps, minutes * 60, log_file
        self._begun = self._logged = self._saved = time.monotonic()
        self._losses: list[float] = []

    def done(self, step: int, loss: float) -> bool:
        """``step`` steps are made in all; whether to save now: every five minutes, and when the chunk is over.

        Prints the mean loss and the time to go, once a minute and in the end, and writes the same into the log file.
        """
        now = time.monotonic()
        self.is_over = step >= self._steps or now - self._begun >= self._seconds
        self._losses.append(loss)
        if self.is_over or now - self._logged >= LOG_SECONDS:
            self._logged = now
            self._log(step, now - self._begun)
        if not self.is_over and now - self._saved < CHECKPOINT_SECONDS:
            return False
        self._saved = now
        return True

    def _log(self, step: int, seconds: float) -> None:
        each = seconds / (step - self._first_step)
        to_go = max(min((self._steps - step) * each, self._seconds - seconds), 0.0)
        mean = sum(self._losses) / len(self._losses)
        line = {"step": step, "loss": round(mean, 4), "s_per_step": round(each, 3), "to_go_s": round(to_go)}
        self._losses.clear()
        print(", ".join(f"{name} {value}" for name, value in line.items()), flush=True)
        with self._log_file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"unix_s": round(time.time()), **line}) + "\n")


def save(file: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint under a temporary name and put it into its place."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(file, replace=True) as fresh:
        torch.save(dict(content), fresh)


def load(file: Path, device: str = "cpu") -> dict[str, Any]:
    """A checkpoint's content; tensors and plain values only. Raises FileNotFoundError with the stage's file."""
    content: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    return content


def default_device() -> str:
    """``cuda`` where there is a GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"
