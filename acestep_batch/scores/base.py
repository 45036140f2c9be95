"""What a score gets and gives; other packages offer theirs as entry points of the group `acestep_batch.scores`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from acestep_batch.measure.columns import Column


@dataclass(frozen=True, slots=True)
class ScoredSong:
    """A song as a score sees it.

    `samples` `[N, C]` float32, N > 0, finite, full scale 1; `sample_rate` in Hz; `language` of the lyrics as Whisper
    names it (`en`, `zh`), None where it is not known.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    prompt: str
    lyrics: str
    language: str | None = None

    def at(self, sample_rate: int) -> NDArray[np.float32]:
        """One channel, the mean of all, at another rate: `[N']`."""
        channel = np.asarray(self.samples.mean(axis=1), np.float32)
        common = math.gcd(sample_rate, self.sample_rate)
        if sample_rate == self.sample_rate:
            return channel
        return np.asarray(resample_poly(channel, sample_rate // common, self.sample_rate // common), np.float32)


class Score(Protocol):
    """A loaded model that gives one or several numbers to a song."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """What `score` returns; each becomes a column of the summary."""
        ...

    def score(self, song: ScoredSong) -> Mapping[str, float | None]:
        """A number for each column's name; None where the song does not define it. May raise: that song has none."""
        ...


class ScoreModule(Protocol):
    """The module that an entry point names.

    It may also have a function `missing(folder: Path | None) -> str`, which says in words what is lacking and how to
    get it, or nothing; it is asked before a run, should be quick, and should not import torch.
    """

    def load(self, folder: Path | None, device: str) -> Score:
        """Load onto a torch device, from the folder that a person named; None where nobody did.

        Raises OSError or ValueError saying what is lacking.
        """
        ...
