"""Stage 6: puts the trained weights, their hashes and a model card into the package.

    python -m training.package --scores SCORES.txt

``SCORES.txt`` is what ``training.evaluate`` printed of songs of these weights. From then on ``model=embedded`` is this
model; deleting the folder brings the untrained one back.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from acestep_batch.engine.checkpoint import file_facts
from acestep_batch.engine.embedded_identity import FACTS_FILE, TRAINED, TRAINED_LABEL
from training.codec import GATE_NAT
from training.layout import write_layout
from training.progress import CHECKPOINTS

CARD = "MODEL_CARD.md"


def package(checkpoints: Path, scores: str, into: Path) -> None:
    """Replace the folder ``into`` by the weights of ``checkpoints``."""
    fresh = into.with_name(f"{into.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    run = write_layout(checkpoints, fresh)
    files = sorted(file for file in fresh.rglob("*") if file.is_file())
    facts = [dict(each) for each in file_facts(fresh, files, cache=checkpoints)]
    (fresh / CARD).write_text(card(run, scores, facts), encoding="utf-8", newline="\n")
    (fresh / FACTS_FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8", newline="\n")
    shutil.rmtree(into, ignore_errors=True)
    fresh.rename(into)


def card(run: dict[str, Any], scores: str, facts: list[dict[str, Any]]) -> str:
    """The model card: data, licence, recipe, scores and limits of what ``write_layout`` wrote."""
    recipes = [
        f"From step {step:,}: {', '.join(f'{name} {value}' for name, value in recipe.items())}."
        for step, recipe in run["history"]
    ]
    weights = "\n".join(f"| `{each['path']}` | {each['size']:,} | `{each['sha256']}` |" for each in facts)
    codec = f"{run['codec_nat']:.3f} nat on held-out clips (gate {GATE_NAT})"
    return f"""# Card of the {TRAINED_LABEL}

A model of some ten million weights that ships inside `acestep_batch`, so that its commands have something to play
without a download. It has the classes of ACE-Step v1 and none of its weights: it is not ACE-Step, and says nothing of
its quality.

## Data and licence

{run["clips"]:,} clips of 11.9 s, composed and synthesised by the code in `training/` from seeds. No recording, no sound
library and nobody else's music was used. The weights have the licence of this repository, Apache-2.0.

## Recipe

`training/README.md` and `training/MODELS.md` have the commands. {run["step"]:,} steps of flow matching.
{chr(10).join(recipes)}
The vocoder was trained for {run["vocoder_steps"]:,} steps. On other hardware the same recipe gives other bits.

## Scores

Codec: {codec}. Songs of prompts and seeds that were not trained on:

```
{scores.strip()}
```

What has no `pass` in this table is not claimed anywhere.

## Limits

- It knows the words of `training/words.py`; any other word is one unknown token and does nothing by itself.
- It was trained on pieces of 11.9 s, and on their bars repeated up to 30 s; all scores are of 11.9 s.
- Words of lyrics move the melody's syllables at most; nobody will understand them.
- It was made to show what prompts, seeds and settings do. Its songs are no music to publish.

## Files

| file | bytes | sha256 |
| --- | --- | --- |
{weights}
"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.package", description=__doc__)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    parser.add_argument("--into", type=Path, default=TRAINED)
    given = parser.parse_args(arguments)
    package(given.checkpoints, given.scores.read_text(encoding="utf-8"), given.into)
    total = sum(file.stat().st_size for file in given.into.rglob("*") if file.is_file())
    print(f"{given.into}: {total:,} bytes")


if __name__ == "__main__":
    main()
