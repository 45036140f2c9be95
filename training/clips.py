"""A dataset as the models learn from it: its listing, and shards read as they are needed; its files are ``shards``'."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training import shards
from training.shards import VERSION, Clip, Manifest, audio_path, mel_path, read_manifest


@dataclass(frozen=True, slots=True)
class Clips:
    """A rendered dataset; shards are read as they are needed."""

    folder: Path
    listed: list[Clip]
    """In order."""
    manifest: Manifest

    def __len__(self) -> int:
        return len(self.listed)

    @property
    def shards(self) -> int:
        return -(-len(self.listed) // self.manifest.shard_clips)

    def mel(self, shard: int) -> np.ndarray:
        """Log-mel ``[N, 2, 128, 1024]`` float16."""
        mel: np.ndarray = np.load(mel_path(self.folder, shard), mmap_mode="r")
        return mel[: len(self.listed) - shard * self.manifest.shard_clips]

    def audio(self, shard: int) -> np.ndarray:
        """Samples ``[N, 2, 524288]`` int16 at 44.1 kHz."""
        audio: np.ndarray = np.load(audio_path(self.folder, shard), mmap_mode="r")
        return audio[: len(self.listed) - shard * self.manifest.shard_clips]


def read_clips(folder: Path) -> Clips:
    """The dataset in ``folder``. Raises FileNotFoundError, ValueError or ``Refused`` where it is not one."""
    listed = shards.read_clips(folder)
    if not listed:
        raise ValueError(f"{folder}: clips.jsonl has no line; render a dataset first")
    clips = Clips(folder, listed, read_manifest(folder) or _unnamed(len(listed)))
    for shard in range(clips.shards):
        for file in (mel_path(folder, shard), audio_path(folder, shard)):
            if not file.is_file():
                raise FileNotFoundError(f"{file} is missing; render the dataset to its end")
    return clips


def _unnamed(clips: int) -> Manifest:
    """Of generated songs."""
    return Manifest(version=VERSION, clips=clips, seed=0, grid="few", full_prompts=False, recipe="")


def is_held_out(clip: int) -> bool:
    """Every twentieth clip of a training set is left out of training and measures it."""
    return clip % 20 == 19
