"""Stage 3: turns the dataset into what the transformer is trained on: latents and token ids, in one cached file.

python -m training.latents DATASET
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from acestep_batch.engine.embedded_text import embedded_lyric_ids
from training.clips import Clips, is_held_out, read_clips
from training.codec import encode, load_codec
from training.progress import CHECKPOINTS, load, save
from training.tokens import build_tokenizer

LATENTS_FILE, TOKENIZER_FILE = "latents.pt", "text_tokenizer.json"


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """All clips, of which ``held_out`` are not trained on."""

    latents: Tensor
    """float16 ``[N, 8, 16, F]``."""
    text_ids: list[list[int]]
    lyric_ids: list[list[int]]
    """Empty for a clip without lyrics."""
    variances: Tensor
    """Of the log-mel, for each of a frame's 128 numbers."""
    tokenizer: str
    """The JSON of the ``tokenizers`` library."""

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
    tokenizer = build_tokenizer(line["prompt"] for clip, line in enumerate(clips.lines) if not is_held_out(clip))
    return TrainingSet(
        latents=torch.cat(latents),
        text_ids=[encoding.ids for encoding in tokenizer.encode_batch([line["prompt"] for line in clips.lines])],
        lyric_ids=[embedded_lyric_ids(line["lyrics"]) if line["lyrics"] else [] for line in clips.lines],
        variances=variances,
        tokenizer=tokenizer.to_str(),
    )


def load_training_set(checkpoints: Path) -> TrainingSet:
    """What ``main`` has cached. Raises FileNotFoundError."""
    content = load(checkpoints / LATENTS_FILE)
    return TrainingSet(**content)


def load_tokenizer(checkpoints: Path) -> Tokenizer:
    """The prompt tokenizer."""
    return Tokenizer.from_file(str(checkpoints / TOKENIZER_FILE))


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
        {name: getattr(prepared, name) for name in ("latents", "text_ids", "lyric_ids", "variances", "tokenizer")},
    )
    (given.checkpoints / TOKENIZER_FILE).write_text(prepared.tokenizer, encoding="utf-8")
    words = Tokenizer.from_str(prepared.tokenizer).get_vocab_size()
    shape, longest = list(prepared.latents.shape), max(map(len, prepared.lyric_ids))
    seconds = time.monotonic() - begun
    print(f"latents {shape}, {words} tokens for prompts, longest lyrics {longest} tokens ({seconds:.0f} s)")


if __name__ == "__main__":
    main()
