"""Audio to write: chords with noise, in the shape the engine returns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def song() -> Callable[..., NDArray[np.float32]]:
    """A function that makes `[2, seconds * rate]` float32 from a seed."""

    def make(seconds: float = 0.5, rate: int = 48_000, seed: int = 0) -> NDArray[np.float32]:
        time = np.arange(int(seconds * rate)) / rate
        chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (110, 277.2, 1318.5))
        noise = np.random.default_rng(seed).standard_normal((2, len(time)))
        return (0.2 * chord + 0.02 * noise).astype(np.float32)

    return make
