"""Whether another seed makes another clip of the same prompt, and the same seed the same clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from training.shards import Clip

LEAST_DISTANCE_NAT = 1.0


@dataclass(frozen=True, slots=True)
class Seeds:
    """None where the clips have no such pair."""

    between_seeds_nat: float | None
    """Mean mel L1 of clips with one prompt and two seeds."""
    between_prompts_nat: float | None
    """Of clips with two prompts: what clearly different is."""
    same_seed_identical: bool | None
    """Whether all clips with one prompt and one seed have the same samples."""

    @property
    def passed(self) -> bool | None:
        if self.between_seeds_nat is None or self.same_seed_identical is None:
            return None
        return self.between_seeds_nat >= LEAST_DISTANCE_NAT and self.same_seed_identical


def compare(clips: Sequence[Clip], mels: Sequence[NDArray[np.float16]], audios: Sequence[NDArray[np.int16]]) -> Seeds:
    """Every pair with the same prompt and lyrics; pairs of different ones are neighbours in the list."""
    seeds, prompts, identical = [], [], []
    for one, other in combinations(range(len(clips)), 2):
        same_text = (clips[one].prompt, clips[one].lyrics) == (clips[other].prompt, clips[other].lyrics)
        if same_text and clips[one].seed == clips[other].seed:
            identical.append(bool(np.array_equal(audios[one], audios[other])))
        elif same_text:
            seeds.append(distance(mels[one], mels[other]))
        elif other == one + 1:
            prompts.append(distance(mels[one], mels[other]))
    return Seeds(_mean(seeds), _mean(prompts), all(identical) if identical else None)


def distance(one: NDArray[np.float16], other: NDArray[np.float16]) -> float:
    """Mean absolute difference of two log-mels in nat."""
    return float(np.abs(one.astype(np.float32) - other.astype(np.float32)).mean())


def _mean(distances: list[float]) -> float | None:
    return float(np.mean(distances)) if distances else None
