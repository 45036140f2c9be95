"""Chooses and loads the engine for a song; torch is imported only when one is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from acestep_batch.engine.base import Engine


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What has to be loaded for a song: songs with equal keys share one engine."""

    model: str
    device: str
    """As torch names it, such as ``cuda:0``."""
    bf16: bool
    torch_compile: bool
    checkpoint: Path | None
    lyric_vocab: Path | None


def load_engine(key: EngineKey) -> Engine:
    """Load the weights.

    Raises:
        Refused: a weight file does not fit its component.
    """
    import torch

    dtype = torch.bfloat16 if key.bf16 else torch.float32
    if key.checkpoint is None:
        from acestep_batch.engine.embedded import load_embedded_engine

        return load_embedded_engine(key.device, dtype, key.torch_compile)
    from acestep_batch.engine.checkpoint import LYRIC_VOCAB, describe_files
    from acestep_batch.engine.v1.loading import load_engine as load_published
    from acestep_batch.engine.v1.lyrics import LyricTokenizer

    vocab = key.lyric_vocab or key.checkpoint / LYRIC_VOCAB
    return load_published(
        key.checkpoint,
        LyricTokenizer(vocab),
        key.device,
        dtype,
        key.torch_compile,
        label=f"ACE-Step v1 ({key.checkpoint.name})",
        files=[dict(facts) for facts in describe_files(key.checkpoint, lyric_vocab=key.lyric_vocab)],
    )
