"""Chooses and loads the engine for a song; torch is imported only when one is loaded."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep_batch.engine.base import Engine, SongRequest
from acestep_batch.engine.checkpoint import LYRIC_VOCAB, commit_of, describe_files
from acestep_batch.engine.embedded_identity import EMBEDDED_WEIGHTS
from acestep_batch.engine.v1.batching import sampling_key


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What has to be loaded for a song: songs with equal keys share one engine."""

    model: str
    device: str
    """As torch names it, such as ``cuda:0``."""
    bf16: bool
    torch_compile: bool
    checkpoint: Path | None
    revision: str | None
    """By which the checkpoint was looked up on the hub; None where a folder was given."""
    lyric_vocab: Path | None
    strict: bool = False
    """Keep to kernels that give the same bits every time; the embedded model has no others."""


def micro_batch_key(request: SongRequest) -> Hashable:
    """Songs with equal keys, of one engine, may be rendered in one call."""
    return sampling_key(request), request.overlapped_decode


def model_files(checkpoint: Path | None, lyric_vocab: Path | None) -> dict[str, str]:
    """The sha256 of everything that the model's sound follows from, by name; the embedded model without a checkpoint.

    Raises OSError for a file that cannot be read.
    """
    if checkpoint is None:
        return {EMBEDDED_WEIGHTS["path"]: EMBEDDED_WEIGHTS["sha256"]}
    facts = describe_files(checkpoint, lyric_vocab=lyric_vocab)
    return {LYRIC_VOCAB if Path(each["path"]).is_absolute() else each["path"]: each["sha256"] for each in facts}


def model_facts(checkpoint: Path | None, lyric_vocab: Path | None, revision: str | None) -> dict[str, Any]:
    """Where the weights come from, for the record: revision as asked, commit as resolved, and every file.

    And the versions of the libraries that turn lyrics into tokens, of which the embedded model needs none.
    """
    if checkpoint is None:
        return {"revision": None, "commit": None, "files": [dict(EMBEDDED_WEIGHTS)], "lyric_libraries": {}}
    from acestep_batch.engine.v1.lyrics import library_versions

    files = [dict(facts) for facts in describe_files(checkpoint, lyric_vocab=lyric_vocab)]
    commit, libraries = commit_of(checkpoint), library_versions()
    return {"revision": revision, "commit": commit, "files": files, "lyric_libraries": libraries}


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
    from acestep_batch.engine.v1.loading import load_engine as load_published
    from acestep_batch.engine.v1.lyrics import LyricTokenizer

    return load_published(
        key.checkpoint,
        LyricTokenizer(key.lyric_vocab or key.checkpoint / LYRIC_VOCAB),
        key.device,
        dtype,
        key.torch_compile,
        label=f"ACE-Step v1 ({key.checkpoint.name})",
        strict=key.strict,
        **model_facts(key.checkpoint, key.lyric_vocab, key.revision),
    )
