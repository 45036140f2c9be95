"""What a probe sees of a clip: statistics of its log-mel over time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]
PERCENTILES = (5, 25, 50, 75, 95)
LAGS = (1, 2, 4, 8, 16)
"""Frames of 11.6 ms: attacks, vibrato and decays show in how fast a band changes."""


def features(mel: NDArray[Any]) -> Features:
    """`[2, 128, T]`, natural log -> `[F]`: levels of the bands, changes over time, the balance of the sides.

    Of the mean of the two channels each band's mean, percentiles, mean rise and mean fall over five lags; of their
    difference each band's mean. The clip's own level is taken off first: loudness says nothing.
    """
    both = mel.astype(np.float32)
    both -= both.mean()
    middle, side = both.mean(axis=0), both[0] - both[1]
    found = [middle.mean(axis=1), side.mean(axis=1), *np.percentile(middle, PERCENTILES, axis=1)]
    for lag in LAGS:
        change = middle[:, lag:] - middle[:, :-lag]
        found += [np.maximum(change, 0).mean(axis=1), np.maximum(-change, 0).mean(axis=1)]
    return np.concatenate(found).astype(np.float64)
