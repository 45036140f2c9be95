"""Stage 6: puts the trained weights, their hashes, words and scores, and a model card into the package.

    python -m training.package --scores SCORES.json

``SCORES.json`` is what ``training.evaluate --json`` wrote of songs of these weights. From then on ``model=embedded`` is
this model; deleting the folder brings the untrained one back.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from acestep_batch.engine.checkpoint import file_facts
from acestep_batch.engine.embedded_identity import FACTS_FILE, TRAINED, TRAINED_LABEL, WORDS_FILE
from training.codec import GATE_NAT
from training.evaluate.seeds import LEAST_DISTANCE_NAT
from training.evaluate.table import NAMES, Scores, read_scores, write_scores
from training.layout import write_layout
from training.made import Made, hashes_of
from training.progress import CHECKPOINTS
from training.tempo import GRIDS
from training.word_list import word_list

CARD, SCORES_FILE = "MODEL_CARD.md", "scores.json"


def package(checkpoints: Path, scores: Scores, into: Path, grid: str) -> None:
    """Replace the folder ``into`` by the weights of ``checkpoints``, which were trained on tempi of ``grid``.

    Raises ValueError where the weights are too large, or ``scores`` are of the songs of others; ``into`` stays.
    """
    fresh = checkpoints / "package"
    shutil.rmtree(fresh, ignore_errors=True)
    run = write_layout(checkpoints, fresh)
    files = sorted(file for file in fresh.rglob("*") if file.is_file())
    facts = [dict(each) for each in file_facts(fresh, files, cache=checkpoints)]
    if scores.made is None or scores.made.weights != hashes_of(facts):
        raise ValueError("the scores are not of these weights: generate songs with them, and evaluate those")
    words = word_list(grid)
    _write(fresh / CARD, card(run, scores, facts, words["tempi_bpm"]))
    _write(fresh / FACTS_FILE, json.dumps(facts, indent=1) + "\n")
    _write(fresh / WORDS_FILE, json.dumps(words, indent=1) + "\n")
    write_scores(scores, fresh / SCORES_FILE)
    shutil.rmtree(into, ignore_errors=True)
    shutil.move(fresh, into)


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", newline="\n")


def card(run: dict[str, Any], scores: Scores, facts: list[dict[str, Any]], tempi_bpm: list[int]) -> str:
    """The model card: data, licence, recipe, scores and limits of what ``write_layout`` wrote."""
    recipes = [
        f"From step {step:,}: {', '.join(f'{name} {value}' for name, value in recipe.items())}."
        for step, recipe in run["history"]
    ]
    weights = "\n".join(f"| `{each['path']}` | {each['size']:,} | `{each['sha256']}` |" for each in facts)
    codec = f"{run['codec_nat']:.3f} nat on held-out clips; the gate is at most {GATE_NAT}"
    tempi = ", ".join(map(str, tempi_bpm))
    return f"""# Card of the {TRAINED_LABEL}

A model of some ten million weights that ships inside `acestep_batch`, so that its commands have something to play
without a download. Its transformer and text encoder have the classes of ACE-Step v1, its codec and vocoder are small
ones of their own, and it has none of v1's weights: it is not ACE-Step, and says nothing of its quality.

## Data and licence

Clips of 11.9 s, composed and synthesised by the code in `training/` from seeds: {run["clips"]:,} for the codec, and for
the transformer as many as its recipe says. No recording, no sound library and nobody else's music was used. The weights
have the licence of this repository, Apache-2.0.

## Recipe

`training/README.md` and `training/MODELS.md` have the commands. {run["step"]:,} steps of flow matching.
{chr(10).join(recipes)}
The vocoder was trained for {run["vocoder_steps"]:,} steps. On other hardware the same recipe gives other bits.

## Scores

Shares of songs whose sound fits their prompt, of prompts and seeds that were not trained on; beside them the same songs
against the prompts of others, and real clips. `training/README.md` says how they are measured. {_songs(scores.made)}

{score_table(scores)}

{claims(scores)} What did not pass is claimed nowhere.

Codec: mel error {codec}. {of_seeds(scores)}

## Limits

- It knows the words of `{WORDS_FILE}`, listed in `docs/embedded.md`; any other word is one unknown token.
- Its tempi are {tempi} bpm; what other numbers do was not measured.
- It was trained on pieces of 11.9 s, and on their bars repeated up to 30 s; all scores are of 11.9 s. Longer songs may
  lose their tempo towards the end; `training/MODELS.md` has what was measured.
- What lyrics do was not measured; nobody will understand the words.
- It was made to show what prompts, seeds and settings do. Its songs are no music to publish.

## Files

| file | bytes | sha256 |
| --- | --- | --- |
{weights}
"""


def score_table(scores: Scores) -> str:
    """Every score in Markdown, those without a gate too."""
    lines = [
        "|  | gate | score | shuffled prompts | real clips | songs |  |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in scores.aspects:
        gate = "none" if each.gate is None else f"{each.gate:.2f}"
        numbers = f"{each.score:.2f} | {each.shuffled:.2f} | {each.ceiling:.2f} | {each.clips}"
        verdict = {None: "", True: "passed", False: "not reached"}[each.passed]
        lines.append(f"| {NAMES.get(each.name, each.name)} | {gate} | {numbers} | {verdict} |")
    return "\n".join(lines)


def _songs(made: Made | None) -> str:
    if made is None:
        return ""
    settings = "".join(f", {word}" for word in made.settings)
    prompts = f"{made.prompts} prompts of dataset seed {made.prompts_seed}"
    return f"Songs of 11.9 s of {prompts}, preset `{made.preset}`{settings}."


def claims(scores: Scores) -> str:
    """What the card says of the gates that were passed."""
    names = [NAMES.get(name, name) for name in scores.claimed]
    return f"Claimed, because the gate was passed: {'; '.join(names) or 'nothing'}."


def of_seeds(scores: Scores) -> str:
    """What the card says of seeds."""
    seeds = scores.seeds
    if seeds.between_seeds_nat is None or seeds.same_seed_identical is None:
        return "What another seed does was not measured."
    same = "the same samples" if seeds.same_seed_identical else "OTHER samples"
    return (
        f"The same seed gives {same}; another seed gives a song {seeds.between_seeds_nat:.2f} nat of mel away; "
        f"the gate is at least {LEAST_DISTANCE_NAT}."
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.package", description=__doc__)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    parser.add_argument("--into", type=Path, default=TRAINED)
    parser.add_argument(
        "--grid", choices=GRIDS, default="few", help="tempi of the dataset, as training.dataset has them"
    )
    given = parser.parse_args(arguments)
    package(given.checkpoints, read_scores(given.scores), given.into, given.grid)
    total = sum(file.stat().st_size for file in given.into.rglob("*") if file.is_file())
    print(f"{given.into}: {total:,} bytes")


if __name__ == "__main__":
    main()
