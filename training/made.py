"""What a folder of generated songs was made with: weights, settings and prompts; scores and the model card quote it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from acestep_batch.outputs.atomic import write_text

MADE_FILE = "made.json"


@dataclass(frozen=True, slots=True)
class Made:
    weights: dict[str, str]
    """Path of every file of the packaged layout to its sha256."""
    preset: str
    settings: tuple[str, ...]
    """``NAME=VALUE`` words beside the preset."""
    prompts_seed: int
    """Of the dataset whose prompts they are."""
    prompts: int

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Made:
        """Raises TypeError or KeyError where it is none."""
        return cls(**{**found, "settings": tuple(found["settings"])})


def layout_hashes(folder: Path) -> dict[str, str]:
    """Path to sha256 of every file below ``folder``."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def hashes_of(facts: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Path to sha256, of facts as ``file_facts`` has them."""
    return {each["path"]: each["sha256"] for each in facts}


def write_made(made: Made, folder: Path) -> None:
    write_text(folder / MADE_FILE, json.dumps(asdict(made), indent=1) + "\n", replace=True)


def read_made(folder: Path) -> Made | None:
    """None where the folder does not say. Raises ValueError, TypeError or KeyError where it cannot be read."""
    file = folder / MADE_FILE
    return Made.from_dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None
