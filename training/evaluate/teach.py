"""Teach the probes with real clips and keep them, so that tests can score songs without a dataset.

    python -m training.evaluate.teach --clips DIR

DIR is a rendered dataset. Only new kinds of clips make other probes: new weights of the model do not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acestep_batch.problems import Refused, refuse
from training.evaluate.clips import each_clip
from training.evaluate.features import features
from training.evaluate.gates import teach
from training.evaluate.probes import save
from training.recipe import recipe
from training.shards import read_manifest

PROBES = Path(__file__).with_name("probes.npz")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate.teach", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--clips", type=Path, required=True, help="a rendered dataset")
    parser.add_argument("--into", type=Path, default=PROBES)
    asked = parser.parse_args(arguments)
    try:
        manifest = read_manifest(asked.clips)
        if manifest is None or manifest.recipe != recipe():
            raise refuse(f"{asked.clips}/manifest.json", "is not of this recipe", "render the dataset with this code")
        found = [(clip, features(mel)) for clip, mel, _ in each_clip(asked.clips)]
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2
    clips, given = zip(*found, strict=True)
    save(teach(clips, np.stack(given)), manifest.recipe, asked.into)
    print(f"{asked.into}: {len(clips)} clips, {asked.into.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
