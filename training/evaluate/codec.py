"""How far a codec's mels are from those of the clips that it was given.

    python -m training.evaluate.codec --clips HELDOUT --rebuilt DIR

DIR has the dataset's format; its clips are HELDOUT's, by seed, after the codec. Ends with 1 where the gate is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acestep_batch.problems import Refused, refuse
from training.evaluate.clips import each_clip

MOST_NAT = 0.32
Mel = NDArray[np.float16]


def mel_error(pairs: Iterable[tuple[Mel, Mel]]) -> tuple[float, float]:
    """Root mean square and mean absolute difference in nat over all pairs of log-mels. Of no pair: nan."""
    squares, absolutes, count = 0.0, 0.0, 0
    for given, rebuilt in pairs:
        difference = rebuilt.astype(np.float64) - given.astype(np.float64)
        squares += float(np.square(difference).sum())
        absolutes += float(np.abs(difference).sum())
        count += difference.size
    return (float(np.sqrt(squares / count)), absolutes / count) if count else (float("nan"), float("nan"))


def matching(clips: Path, rebuilt: Path) -> list[tuple[Mel, Mel]]:
    """Mels of both folders with the same seed. Raises `Refused` where a rebuilt clip is of no clip given."""
    given = {clip.seed: mel for clip, mel, _ in each_clip(clips)}
    pairs = []
    for clip, mel, _ in each_clip(rebuilt):
        if clip.seed not in given:
            raise refuse(f"{rebuilt}: clip {clip.clip}", f"seed {clip.seed} is no clip of {clips}", "name its dataset")
        pairs.append((given[clip.seed], mel))
    return pairs


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate.codec", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--clips", type=Path, required=True, help="clips that no stage was trained on")
    parser.add_argument("--rebuilt", type=Path, required=True, help="the same after the codec")
    asked = parser.parse_args(arguments)
    try:
        pairs = matching(asked.clips, asked.rebuilt)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2
    rms, absolute = mel_error(pairs)
    passed = rms <= MOST_NAT
    print(f"{len(pairs)} clips: mel error {rms:.3f} nat rms (at most {MOST_NAT}: {'pass' if passed else 'FAIL'})")
    print(f"mean absolute {absolute:.3f} nat")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
