"""A stage's clock and its checkpoints: time to go, one line a minute, and a file that is replaced as a whole."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

CHECKPOINTS = Path(__file__).with_name("checkpoints")
"""Ignored by git; every stage reads the earlier ones' files here."""
CHECKPOINT_SECONDS = 300.0
LOG_SECONDS = 60.0


class Chunk:
    """One run of a stage, which ends after ``steps`` steps in all or when ``minutes`` are over, and may go on later."""

    def __init__(self, first_step: int, steps: int, minutes: float, log_file: Path | None = None) -> None:
        self.first_step, self.steps = first_step, steps
        self._seconds, self._log_file = minutes * 60, log_file
        self._begun = self._logged = self._saved = time.monotonic()
        self._losses: list[float] = []
        if log_file is not None:
            log_file.parent.mkdir(parents=True, exist_ok=True)

    def is_over(self, step: int) -> bool:
        """Whether ``step`` is not to be made any more."""
        return step >= self.steps or time.monotonic() - self._begun >= self._seconds

    def note(self, step: int, loss: float, **more: float) -> None:
        """A step is done: prints the mean loss once a minute, with the time to go."""
        self._losses.append(loss)
        now = time.monotonic()
        if now - self._logged < LOG_SECONDS and not self.is_over(step + 1):
            return
        self._logged = now
        each = (now - self._begun) / (step + 1 - self.first_step)
        to_go = min((self.steps - step - 1) * each, max(self._seconds - (now - self._begun), 0.0))
        mean = sum(self._losses) / len(self._losses)
        line = {"step": step + 1, "loss": round(mean, 4), "s_per_step": round(each, 3), "to_go_s": round(to_go), **more}
        self._losses.clear()
        print(", ".join(f"{name} {value}" for name, value in line.items()), flush=True)
        if self._log_file is not None:
            with self._log_file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"unix_s": round(time.time()), **line}) + "\n")

    def wants_checkpoint(self, step: int) -> bool:
        """Whether to save after ``step``: every five minutes, and at the end."""
        if time.monotonic() - self._saved < CHECKPOINT_SECONDS and not self.is_over(step + 1):
            return False
        self._saved = time.monotonic()
        return True


def save(file: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint under a temporary name and put it into its place."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".part")
    with fresh.open("wb") as stream:
        torch.save(dict(content), stream)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)


def load(file: Path, device: str = "cpu") -> dict[str, Any]:
    """A checkpoint's content; tensors and plain values only. Raises FileNotFoundError with the stage's file."""
    content: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    return content


def default_device() -> str:
    """``cuda`` where there is a GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"
