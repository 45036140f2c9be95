"""Random choices that follow from a seed and a name alone, on every machine and with every version of numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from acestep_batch.seeds import derived_bits

T = TypeVar("T")


class Draws:
    """A stream of its own for every pair of seed and name.

    Only the raw bits of PCG64 are used: numpy keeps those the same for ever, its distributions it may change.
    """

    def __init__(self, seed: int, name: str) -> None:
        self._bits = np.random.PCG64(derived_bits(seed, name))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """From `low`, inclusive, to `high`, exclusive."""
        return low + (high - low) * (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability

    def below(self, count: int) -> int:
        """An integer from 0 to `count - 1`."""
        return int(self.uniform() * count)

    def one_of(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Fisher and Yates' shuffle."""
        mixed = list(items)
        for last in range(len(mixed) - 1, 0, -1):
            other = self.below(last + 1)
            mixed[last], mixed[other] = mixed[other], mixed[last]
        return mixed

    def noise(self, length: int) -> NDArray[np.float64]:
        """White noise, uniform from -1 to 1: `[length]`."""
        return (self._bits.random_raw(length) >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0
