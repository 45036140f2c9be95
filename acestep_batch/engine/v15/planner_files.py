"""The published planners, and what their folders must hold; no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from acestep_batch.problems import Problem, one_line

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
ARCHITECTURE = "qwen3"


@dataclass(frozen=True, slots=True)
class PublishedPlanner:
    """Where a planner lies on the hub."""

    repository: str
    folder: str
    """Within the repository; empty where it is the repository."""


PLANNERS: Mapping[str, PublishedPlanner] = {
    "0.6b": PublishedPlanner("ACE-Step/acestep-5Hz-lm-0.6B", ""),
    "1.7b": PublishedPlanner("ACE-Step/Ace-Step1.5", "acestep-5Hz-lm-1.7B"),
    "4b": PublishedPlanner("ACE-Step/acestep-5Hz-lm-4B", ""),
}


def planner_problems(folder: Path) -> list[Problem]:
    """Why a folder is no planner; empty where it looks like one. Nothing but its ``config.json`` is read."""
    remedy = "download the folder again"
    missing = [name for name in (CONFIG, TOKENIZER) if not (folder / name).is_file()]
    problems = [Problem(str(folder / name), "is missing", remedy) for name in missing]
    if not any(folder.glob("*.safetensors")):
        problems.append(Problem(str(folder), "holds no weights (*.safetensors)", remedy))
    if CONFIG not in missing:
        try:
            kind = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["model_type"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            message = f"does not say what model it describes ({one_line(error)})"
            problems.append(Problem(str(folder / CONFIG), message, remedy))
        else:
            if kind != ARCHITECTURE:
                message = f"describes a model of type {kind!r:.60}, not {ARCHITECTURE}"
                problems.append(
                    Problem(str(folder / CONFIG), message, "give the folder of an acestep-5Hz-lm checkpoint")
                )
    return problems
