"""How much memory songs need with the published v1 on a GPU, and how many fit: estimates, nothing is rendered.

    python -m benchmarks.memory

Prints the tables of `docs/performance.md`, section "Memory"; needs neither weights nor a GPU. A song attends to 1,000
vectors (a prompt, and lyrics of about 1,500 letters) and has two branches, which is default guidance.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

from acestep_batch.engine.v1.limits import latent_frames
from acestep_batch.engine.v1.memory import (
    decoding_bytes,
    denoising_bytes,
    loaded,
    needed_bytes,
    songs_that_fit,
    weights_bytes,
)
from acestep_batch.engine.v1.sizes import PUBLISHED

GB = 10**9
TOKENS, BRANCHES = 1000, 2
DURATIONS_S = (60, 240)
BATCHES = (1, 4, 8)
MEMORIES_GB = (8, 12, 16, 24, 40, 80)
MOST_SONGS = 64


def needs() -> str:
    """Gigabytes by duration and batch in bfloat16: of the parts, and of all with the margin."""
    model, width = loaded(PUBLISHED, "cuda", bf16=True), 2
    rows = []
    for duration_s in DURATIONS_S:
        for songs in BATCHES:
            frames = latent_frames(duration_s)
            together = min(songs, model.at_once.songs(frames))
            parts = (
                weights_bytes(PUBLISHED, width),
                denoising_bytes(PUBLISHED, frames, TOKENS, songs, BRANCHES, width),
                decoding_bytes(PUBLISHED, frames, width, model.at_once.mel_frames, together),
                needed_bytes(model, frames, TOKENS, BRANCHES, songs),
            )
            rows.append([f"{duration_s} s", songs, *(f"{part / GB:.1f}" for part in parts)])
    return table(["song", "batch", "weights", "denoising", "decoding", "in all, with the margin"], rows)


def fits() -> str:
    """Songs at once by type, duration and memory."""
    rows = []
    for name, bf16 in (("bfloat16", True), ("float32", False)):
        model = loaded(PUBLISHED, "cuda", bf16)
        for duration_s in DURATIONS_S:
            frames = latent_frames(duration_s)
            counts = (
                songs_that_fit(model, memory * GB, frames, TOKENS, BRANCHES, MOST_SONGS) for memory in MEMORIES_GB
            )
            rows.append([name, f"{duration_s} s", *counts])
    return table(["type", "song", *(f"{memory} GB" for memory in MEMORIES_GB)], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown whose columns but the first are aligned to the right."""
    lines = [head, ["---", *(["---:"] * (len(head) - 1))], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def main() -> int:
    argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.splitlines()[0]).parse_args()
    print(needs(), fits(), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
