"""Which songs of a run are nearly the same: a small fingerprint of each, all compared with all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRAMES_PER_S = 2
BANDS = 10
"""Neighbouring bands of powers are taken together until so many are left."""
LEAST_FRAMES = 10
"""5 s: shorter songs have too little in common to say anything."""
_FLOOR = 1e-4
"""Powers so far (40 dB) below a song's loudest count as silence."""
_STEP_DB = 0.5
_ROWS, _COLUMNS = 256, 1024
"""So many songs are compared with so many others at once, which bounds the memory."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The song of a run that is most like another, and how much: the correlation, at most 1."""

    name: str
    similarity: float


def fingerprint(band_powers: NDArray[np.float32], frames_per_s: float) -> bytes:
    """Fingerprint of `[T, bands]`: how loud 10 bands are in every half second, each against its own mean.

    One signed byte for each band and half second, in steps of 0.5 dB: 5 kB for 4 minutes. Level and tone of the whole
    song are no part of it; what happens when is. Empty below 5 s.
    """
    length = frames_per_s / FRAMES_PER_S
    count = int(len(band_powers) / length)
    if count < LEAST_FRAMES:
        return b""
    edges = np.rint(np.arange(count) * length).astype(np.int64)
    powers = np.add.reduceat(band_powers[: round(count * length)], edges, axis=0, dtype=np.float64)
    powers = powers.reshape(count, BANDS, -1).sum(axis=2)
    if powers.max() <= 0:
        return b""
    levels = 10 * np.log10(np.maximum(powers / powers.max(), _FLOOR))
    levels -= levels.mean(axis=0)
    steps: NDArray[np.int8] = np.clip(np.rint(levels / _STEP_DB), -127, 127).astype(np.int8)
    return steps.tobytes()


def nearest(fingerprints: Mapping[str, bytes]) -> dict[str, Nearest]:
    """For each song, by name, the other song that is most like it; songs without a fingerprint are left out.

    Two songs are compared from their beginnings to the end of the shorter one; a song that starts later is another
    song. Songs that never change (a constant tone) are like nothing. All pairs are compared, as products of matrices of
    whole numbers, which float64 holds exactly: every machine finds the same. 1,000 songs of 4 minutes take seconds.
    """
    names = [name for name, each in fingerprints.items() if each]
    if len(names) < 2:
        return {}
    lengths = np.array([len(fingerprints[name]) for name in names])
    values = np.zeros((len(names), lengths.max()), np.int8)
    for row, name in zip(values, names, strict=True):
        row[: len(fingerprints[name])] = np.frombuffer(fingerprints[name], np.int8)
    ends, end_of = np.unique(lengths, return_inverse=True)
    energies = np.stack([np.cumsum(np.square(row, dtype=np.int64))[ends - 1] for row in values])
    found = {}
    for start in range(0, len(names), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(names)))
        common = np.minimum(end_of[rows][:, None], end_of[None])
        norms = np.sqrt(energies[rows[:, None], common] * energies[np.arange(len(names))[None], common])
        products = _products(values[rows], values)
        similarities = np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)
        similarities[np.arange(len(rows)), rows] = -np.inf
        for row, other in zip(rows, similarities.argmax(axis=1), strict=True):
            found[names[row]] = Nearest(names[other], float(min(similarities[row - start, other], 1.0)))
    return found


def _products(some: NDArray[np.int8], others: NDArray[np.int8]) -> NDArray[np.float64]:
    """Inner products of ``[R, L]`` and ``[N, L]`` as ``[R, N]``; only a block of the others is ever held as floats."""
    left = some.astype(np.float64)
    blocks = [left @ others[at : at + _COLUMNS].astype(np.float64).T for at in range(0, len(others), _COLUMNS)]
    return np.concatenate(blocks, axis=1)
