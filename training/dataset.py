"""Render a dataset: compositions from consecutive seeds to shards of audio and log-mel.

    python -m training.dataset --out DIR --clips N --seed S [--workers K] [--grid few|many] [--full-prompts]

A run that was stopped goes on where it was; more clips of the same seed are added to what is there. Each worker keeps
one core busy where `OMP_NUM_THREADS=1`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acestep_batch.problems import Refused, refuse
from acestep_batch.seeds import derived_bits
from training.composer import compose
from training.events import Composition
from training.recipe import recipe
from training.shards import (
    VERSION,
    Clip,
    Manifest,
    is_whole,
    mel_path,
    read_manifest,
    write_listing,
    write_shard,
)
from training.tempo import GRIDS

Rendered = tuple[NDArray[np.float16], NDArray[np.int16]]


def clip_seed(seed: int, clip: int) -> int:
    """The seed of a clip, below 2^53, so that JSON holds it; two datasets of different seeds share none."""
    return derived_bits(seed, f"clip {clip}") >> 11


def clip_of(composition: Composition, clip: int) -> Clip:
    tags = composition.tags
    return Clip(
        clip=clip,
        seed=composition.seed,
        prompt=composition.prompt,
        lyrics=composition.lyrics,
        bpm=round(tags.tempo.bpm, 4),
        key=tags.key,
        lead=tags.lead,
        accompaniment=tags.accompaniment,
        drums=tags.drums,
        genre=tags.genre,
        mood=tags.mood,
        beats_per_bar=tags.beats_per_bar,
    )


def rendered(grid: str, seed: int) -> Rendered:
    """Mel `[2, 128, 1024]` and audio `[2, 524288]` of the clip of this seed."""
    from training.analysis import Analysis  # torch takes seconds to import: not for a refusal
    from training.synth import render

    audio = render(compose(seed, grid))
    return Analysis().mel(audio), audio


def render_dataset(folder: Path, manifest: Manifest, workers: int = 1) -> Iterator[int]:
    """Renders what is missing, and yields the number of each shard that was written.

    Raises `Refused` where the folder holds another dataset.
    """
    before, size = read_manifest(folder), manifest.shard_clips
    _check(folder, before, manifest)
    if before is None or manifest.clips > before.clips:
        seeds = [clip_seed(manifest.seed, clip) for clip in range(manifest.clips)]
        clips = [clip_of(compose(seed, manifest.grid, manifest.full_prompts), i) for i, seed in enumerate(seeds)]
        if before is not None and before.clips % size:
            mel_path(folder, before.clips // size).unlink(missing_ok=True)  # it grows: no longer whole
        write_listing(folder, manifest, clips)
    total = max(manifest.clips, before.clips if before else 0)
    with _mapping(workers) as over:
        for shard, first in enumerate(range(0, total, size)):
            if is_whole(folder, shard):
                continue
            seeds = [clip_seed(manifest.seed, clip) for clip in range(first, min(first + size, total))]
            mels, audios = zip(*over(partial(rendered, manifest.grid), seeds), strict=True)
            write_shard(folder, shard, np.stack(mels), np.stack(audios))
            yield shard


def _check(folder: Path, before: Manifest | None, manifest: Manifest) -> None:
    if before is None:
        return
    for name in ("seed", "grid", "full_prompts", "recipe", "shard_clips"):
        if getattr(before, name) != getattr(manifest, name):
            said = f"{getattr(before, name)}, and now {getattr(manifest, name)} is asked for"
            raise refuse(
                f"{folder}/manifest.json: {name}", said, "take another folder, or the code and options of then"
            )


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[[Callable[[int], Rendered], Iterable[int]], Iterable[Rendered]]]:
    if workers == 1:
        yield map
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield pool.map


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.dataset", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--clips", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1, help="processes that render")
    parser.add_argument("--grid", choices=GRIDS, default="few", help="tempi, see training/tempo.py")
    parser.add_argument("--full-prompts", action="store_true", help="every prompt names everything, for evaluation")
    asked = parser.parse_args(arguments)
    if asked.clips < 1 or asked.workers < 1:
        parser.error("--clips and --workers are at least 1")
    manifest = Manifest(VERSION, asked.clips, asked.seed, asked.grid, asked.full_prompts, recipe())
    began = time.monotonic()
    try:
        for shard in render_dataset(asked.out, manifest, asked.workers):
            print(f"{mel_path(asked.out, shard)}: {time.monotonic() - began:.0f} s", flush=True)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
