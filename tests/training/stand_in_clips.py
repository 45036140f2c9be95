"""A tiny dataset in the place of a rendered one: seeded tones and clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from acestep_batch.engine.v1.vocoder import VocoderConfig
from training.shards import Clip, Manifest, write_listing, write_shard

COLUMNS = 128
"""Of a clip, an eighth of what a real one has."""


def stand_in(folder: Path, clips: int = 21, columns: int = COLUMNS) -> Path:
    """A dataset of ``clips`` short clips in ``folder``."""
    draw = np.random.default_rng(0)
    seconds = np.arange(columns * 512) / 44100
    audio = np.empty((clips, 2, len(seconds)), np.float32)
    listed = []
    for clip in range(clips):
        bpm, pitch_hz = (90, 120)[clip % 2], 220 * 2 ** (int(draw.integers(12)) / 12)
        clicks = np.exp(-40 * (seconds % (60 / bpm))) * draw.standard_normal(len(seconds))
        tone = np.sin(2 * np.pi * pitch_hz * seconds)
        audio[clip] = 0.2 * tone + 0.2 * clicks + 0.002 * draw.standard_normal((2, len(seconds)))
        lyrics = "[verse]\nla la" if clip % 3 else ""
        listed.append(
            Clip(
                clip=clip,
                seed=clip,
                prompt=f"pop, piano, {bpm} bpm",
                lyrics=lyrics,
                bpm=bpm,
                key="C major",
                lead="piano",
                accompaniment="bass",
                drums=True,
                genre="pop",
                mood="happy",
                beats_per_bar=4,
            )
        )
    mel = VocoderConfig().mel_transform()(torch.from_numpy(audio).flatten(0, 1)).unflatten(0, (clips, 2))
    write_listing(folder, Manifest(1, clips, 0, "few", False, ""), listed)
    write_shard(folder, 0, mel.numpy().astype(np.float16), np.rint(audio * 32767).astype(np.int16))
    return folder
