"""Where weights lie that songs are made again with, as far as somebody said so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WeightsPlace:
    """Folders and files; what is None is looked for."""

    path: Path | None = None
    """The checkpoint's folder; None looks in the Hugging Face cache."""
    lyric_vocab: Path | None = None
    """Of v1; None takes the one in the checkpoint's folder."""
    bundle: Path | None = None
    """Of 1.5: autoencoder and text encoder; None looks beside the checkpoint and in the cache."""
    planner: Path | None = None
    """Of 1.5; None looks in the Hugging Face cache."""
