"""The dataset on the disk: a line of ``clips.jsonl`` for each clip, log-mel and audio in shards of 64."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CLIPS_A_SHARD = 64
MEL_COLUMNS = 1024
"""Of a clip: 11.9 s."""
HOP_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Clips:
    """A rendered dataset; shards are read as they are needed."""

    folder: Path
    lines: list[dict[str, Any]]
    """One for each clip, in order."""

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def shards(self) -> int:
        return -(-len(self.lines) // CLIPS_A_SHARD)

    def mel(self, shard: int) -> np.ndarray:
        """Log-mel ``[64, 2, 128, 1024]`` float16; the last shard may hold fewer clips."""
        mel: np.ndarray = np.load(self.folder / f"mel_{shard:04d}.npy", mmap_mode="r")
        return mel[: len(self.lines) - shard * CLIPS_A_SHARD]

    def audio(self, shard: int) -> np.ndarray:
        """Samples ``[64, 2, 524288]`` int16 at 44.1 kHz; as above."""
        audio: np.ndarray = np.load(self.folder / f"audio_{shard:04d}.npy", mmap_mode="r")
        return audio[: len(self.lines) - shard * CLIPS_A_SHARD]


def read_clips(folder: Path) -> Clips:
    """The dataset in ``folder``. Raises FileNotFoundError or ValueError where it is not one."""
    with (folder / "clips.jsonl").open(encoding="utf-8") as stream:
        lines = [json.loads(line) for line in stream if line.strip()]
    if not lines:
        raise ValueError(f"{folder}: clips.jsonl has no line; render a dataset first")
    clips = Clips(folder, lines)
    for shard in range(clips.shards):
        for name in (f"mel_{shard:04d}.npy", f"audio_{shard:04d}.npy"):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder / name} is missing; render the dataset to its end")
    return clips


def write_clips(folder: Path, lines: list[dict[str, Any]], mel: np.ndarray, audio: np.ndarray) -> None:
    """A dataset of the clips given: log-mel ``[N, 2, 128, T]`` and samples ``[N, 2, T * 512]`` in (-1, 1)."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = np.rint(np.clip(audio, -1, 1) * 32767).astype(np.int16)
    for shard, first in enumerate(range(0, len(lines), CLIPS_A_SHARD)):
        here = slice(first, first + CLIPS_A_SHARD)
        np.save(folder / f"mel_{shard:04d}.npy", mel[here].astype(np.float16))
        np.save(folder / f"audio_{shard:04d}.npy", samples[here])
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "clips.jsonl").write_text(text, encoding="utf-8")


def is_held_out(clip: int) -> bool:
    """Every twentieth clip of a training set is left out of training and measures it."""
    return clip % 20 == 19
