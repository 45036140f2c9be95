"""Stage 3: turns the dataset into what the transformer is trained on: latents and token ids, in one cached file.

python -m training.latents DATASET
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from acestep_batch.engine.embedded_text import embedded_lyric_ids
from acestep_batch.engine.v1.limits import NATIVE_SAMPLE_RATE, SAMPLES_PER_FRAME
from training.clips import Clips, is_held_out, read_clips
from training.codec import encode, fingerprint, load_codec
from training.draws import Draws
from training.progress import CHECKPOINTS, load, save
from training.prompts import prompt
from training.shards import Clip
from training.tokens import build_tokenizer

LATENTS_FILE = "latents.pt"
PROMPTS = 8
"""Of each clip."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """All clips, of which ``held_out`` are not trained on."""

    latents: Tensor
    """float16 ``[N, 8, 16, F]``."""
    text_ids: list[list[list[int]]]
    """Of each clip's prompts; the first is the one that the dataset lists."""
    lyric_ids: list[list[int]]
    """Empty for a clip without lyrics."""
    loop_frames: list[int]
    """After how many frames of each clip it may begin again without a break in the beat."""
    variances: Tensor
    """Of the log-mel, for each of a frame's 128 numbers."""
    tokenizer: str
    """The JSON of the ``tokenizers`` library."""
    dataset: dict[str, Any]
    """Its manifest."""
    codec: str
    """The fingerprint of the codec that encoded it."""

    @property
    def trained(self) -> list[int]:
        return [clip for clip in range(len(self.text_ids)) if not is_held_out(clip)]

    @property
    def held_out(self) -> list[int]:
        return [clip for clip in range(len(self.text_ids)) if is_held_out(clip)]


def prepare(clips: Clips, checkpoints: Path) -> TrainingSet:
    """Encode every clip; the words are those of the training clips' prompts."""
    codec, variances = load_codec(checkpoints)
    latents = []
    for shard in range(clips.shards):
        mel = torch.from_numpy(np.array(clips.mel(shard), dtype=np.float32))
        latents.append(encode(codec, mel).half())
    prompts = [prompts_of(clip, clips.manifest.grid) for clip in clips.listed]
    tokenizer = build_tokenizer(each for clip, own in enumerate(prompts) if not is_held_out(clip) for each in own)
    return TrainingSet(
        latents=torch.cat(latents),
        text_ids=[[encoding.ids for encoding in tokenizer.encode_batch(own)] for own in prompts],
        lyric_ids=[embedded_lyric_ids(clip.lyrics) if clip.lyrics else [] for clip in clips.listed],
        loop_frames=[loop_frames(clip.bpm, clip.beats_per_bar, latents[0].shape[-1]) for clip in clips.listed],
        variances=variances,
        tokenizer=tokenizer.to_str(),
        dataset=asdict(clips.manifest),
        codec=fingerprint(codec.state_dict()),
    )


def prompts_of(clip: Clip, grid: str) -> list[str]:
    """The clip's own prompt, and others that say the same in other words, or less of it."""
    others = (prompt(clip.tags, Draws(clip.seed, f"prompt {number}"), grid) for number in range(1, PROMPTS))
    return [clip.prompt, *others]


def loop_frames(bpm: float, beats_per_bar: int, frames: int) -> int:
    """The most frames, of ``frames``, that are a whole number of bars; all of them where no number of bars is one."""
    bar = beats_per_bar * 60 / bpm * NATIVE_SAMPLE_RATE / SAMPLES_PER_FRAME
    for bars in range(int(frames / bar + 0.01), 0, -1):
        if abs(bars * bar - round(bars * bar)) < 0.02:
            return round(bars * bar)
    return frames


def load_training_set(checkpoints: Path) -> TrainingSet:
    """What ``main`` has cached. Raises FileNotFoundError."""
    return TrainingSet(**load(checkpoints / LATENTS_FILE))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.latents", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    given = parser.parse_args(arguments)
    begun = time.monotonic()
    clips = read_clips(given.dataset)
    prepared = prepare(clips, given.checkpoints)
    save(
        given.checkpoints / LATENTS_FILE,
        {field.name: getattr(prepared, field.name) for field in fields(TrainingSet)},
    )
    words = Tokenizer.from_str(prepared.tokenizer).get_vocab_size()
    shape, longest = list(prepared.latents.shape), max(map(len, prepared.lyric_ids))
    seconds = time.monotonic() - begun
    print(f"latents {shape}, {words} tokens for prompts, longest lyrics {longest} tokens ({seconds:.0f} s)")


if __name__ == "__main__":
    main()
