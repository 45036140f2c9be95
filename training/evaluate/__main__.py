"""Score generated clips at the gates of the embedded model.

    python -m training.evaluate --clips DIR --generated DIR2 [--json SCORES.json]

DIR is a rendered dataset: four of five clips train the probes, the fifth gives the ceiling. DIR2 has the dataset's
format; its prompts and seeds should be of no clip in DIR. A prompt that comes several times counts once. Ends with 0
where every gate is passed, with 1 otherwise.
SCORES.json is what `training.package` puts into the model card.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from acestep_batch.problems import Refused
from training.evaluate.clips import each_clip, firsts, hear
from training.evaluate.gates import scores
from training.evaluate.seeds import compare
from training.evaluate.table import Scores, table, write_scores
from training.made import read_made


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--clips", type=Path, required=True, help="a rendered dataset")
    parser.add_argument("--generated", type=Path, required=True, help="clips of the model, in the dataset's format")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores here too; replaces the file")
    asked = parser.parse_args(arguments)
    try:
        found = scores(hear(asked.clips), firsts(hear(asked.generated)))
        clips, mels, audios = zip(*each_clip(asked.generated), strict=True)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2
    all_scores = Scores(tuple(found), compare(clips, mels, audios), read_made(asked.generated))
    print(table(all_scores))
    if asked.json is not None:
        write_scores(all_scores, asked.json)
    return 0 if all_scores.passed else 1


if __name__ == "__main__":
    sys.exit(main())
