"""All scores of a folder of songs: as a table to read, and as the file that goes beside the weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from acestep_batch.outputs.atomic import write_text
from training.evaluate.gates import KEY, KEY_AND_MODE, Score
from training.evaluate.seeds import LEAST_DISTANCE_NAT, Seeds
from training.made import Made

NAMES = {
    "lead": "lead, of 8",
    "accompaniment": "accompaniment, of 6",
    "genre": "genre, of 8",
    "bpm": "tempo within 6 %",
    KEY: "tonic in top 3 of 12",
    KEY_AND_MODE: "key in top 3 of 24",
}


@dataclass(frozen=True, slots=True)
class Scores:
    aspects: tuple[Score, ...]
    seeds: Seeds
    made: Made | None = None
    """What the songs were made with, where their folder says so."""

    @property
    def passed(self) -> bool:
        """Whether every gate is."""
        return bool(self.seeds.passed) and all(each.passed for each in self.aspects if each.gate is not None)

    @property
    def claimed(self) -> tuple[str, ...]:
        """The aspects that passed their gates: nothing else may be said of the model."""
        return tuple(each.name for each in self.aspects if each.passed)


def table(scores: Scores) -> str:
    """A line for each score, then what is known of seeds."""
    lines = [f"{'':20} {'gate':>5} {'ceiling':>8} {'score':>6} {'shuffled':>9} {'clips':>6}"]
    for each in scores.aspects:
        gate = "" if each.gate is None else f"{each.gate:.2f}"
        numbers = f"{gate:>5} {each.ceiling:8.3f} {each.score:6.3f} {each.shuffled:9.3f} {each.clips:6d}"
        lines.append(f"{NAMES.get(each.name, each.name):20} {numbers}  {_verdict(each.passed)}".rstrip())
    seeds = scores.seeds
    between, control = (_nat(each) for each in (seeds.between_seeds_nat, seeds.between_prompts_nat))
    identical = {None: "not measured", True: "identical", False: "DIFFERENT"}[seeds.same_seed_identical]
    lines.append(
        f"mel L1 between seeds {between} (at least {LEAST_DISTANCE_NAT}), between prompts {control}; "
        f"same seed {identical}  {_verdict(seeds.passed)}".rstrip()
    )
    return "\n".join(lines)


def write_scores(scores: Scores, file: Path) -> None:
    """Replaces ``file``; what `read_scores` reads."""
    write_text(file, json.dumps(asdict(scores), indent=1) + "\n", replace=True)


def read_scores(file: Path) -> Scores:
    """Raises OSError, ValueError, KeyError or TypeError where it is no file of `write_scores`."""
    found = json.loads(file.read_text(encoding="utf-8"))
    made = None if found["made"] is None else Made.from_dict(found["made"])
    return Scores(tuple(Score(**each) for each in found["aspects"]), Seeds(**found["seeds"]), made)


def _verdict(passed: bool | None) -> str:
    return {None: "", True: "pass", False: "FAIL"}[passed]


def _nat(distance: float | None) -> str:
    return "not measured" if distance is None else f"{distance:.2f}"
