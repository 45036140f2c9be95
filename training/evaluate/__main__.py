"""Score generated clips at the gates of the embedded model.

    python -m training.evaluate --clips DIR --generated DIR2

DIR is a rendered dataset: four of five clips train the probes, the fifth gives the ceiling. DIR2 has the dataset's
format; its prompts and seeds should be of no clip in DIR. Ends with 0 where every gate is passed, with 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from acestep_batch.problems import Refused
from training.evaluate.clips import each_clip, hear
from training.evaluate.gates import Score, scores
from training.evaluate.seeds import LEAST_DISTANCE_NAT, Seeds, compare

NAMES = {"bpm": "tempo within 6 %", "key": "key in top 3 of 24"}


def table(found: Sequence[Score], seeds: Seeds) -> str:
    """A line for each score, then what is known of seeds."""
    lines = [f"{'':20} {'gate':>5} {'ceiling':>8} {'score':>6} {'shuffled':>9} {'clips':>6}"]
    for each in found:
        gate = "" if each.gate is None else f"{each.gate:.2f}"
        numbers = f"{gate:>5} {each.ceiling:8.3f} {each.score:6.3f} {each.shuffled:9.3f} {each.clips:6d}"
        lines.append(f"{NAMES.get(each.name, each.name):20} {numbers}  {_verdict(each.passed)}".rstrip())
    between, control = (_nat(each) for each in (seeds.between_seeds_nat, seeds.between_prompts_nat))
    identical = {None: "not measured", True: "identical", False: "DIFFERENT"}[seeds.same_seed_identical]
    lines.append(
        f"mel L1 between seeds {between} (at least {LEAST_DISTANCE_NAT}), between prompts {control}; "
        f"same seed {identical}  {_verdict(seeds.passed)}".rstrip()
    )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--clips", type=Path, required=True, help="a rendered dataset")
    parser.add_argument("--generated", type=Path, required=True, help="clips of the model, in the dataset's format")
    asked = parser.parse_args(arguments)
    try:
        found = scores(hear(asked.clips), hear(asked.generated))
        clips, mels, audios = zip(*each_clip(asked.generated), strict=True)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2
    seeds = compare(clips, mels, audios)
    print(table(found, seeds))
    return 0 if seeds.passed and all(each.passed for each in found if each.gate is not None) else 1


def _verdict(passed: bool | None) -> str:
    return {None: "", True: "pass", False: "FAIL"}[passed]


def _nat(distance: float | None) -> str:
    return "not measured" if distance is None else f"{distance:.2f}"


if __name__ == "__main__":
    sys.exit(main())
