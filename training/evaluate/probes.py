"""A linear probe: ridge regression to one class against the others, its strength chosen without the test clips.

Probes that were taught once are kept in a file of plain arrays, so that songs can be scored without a dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acestep_batch.outputs.atomic import atomic_path
from training.evaluate.features import Features

STRENGTHS = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Of the penalty, for features of variance 1."""
_VALIDATION = 5
"""Every fifth clip chooses the strength."""
_OFFSET = 100.0
"""So large that the penalty hardly holds the offset back."""
_PARTS = ("mean", "scale", "weights")


@dataclass(frozen=True, slots=True)
class Probe:
    classes: tuple[str, ...]
    mean: Features
    scale: Features
    weights: NDArray[np.float64]
    """`[F + 1, classes]`; the last row is the offset."""

    def says(self, given: Features) -> list[str]:
        """The class of each row of `[N, F]`."""
        rows = _rows(given, self.mean, self.scale)
        return [self.classes[index] for index in (rows @ self.weights).argmax(axis=1)]


def train(given: Features, labels: Sequence[str]) -> Probe:
    """From rows `[N, F]` and a label of each."""
    check = np.arange(len(given)) % _VALIDATION == 0
    kept, wanted = [each for each, out in zip(labels, check, strict=True) if not out], np.array(labels)[check]
    best = max(STRENGTHS, key=lambda each: _hits(_fit(given[~check], kept, each), given[check], wanted))
    return _fit(given, labels, best)


def save(probes: Mapping[str, Probe], recipe: str, file: Path) -> None:
    """Replaces ``file``: an `.npz` of float32 arrays, and the hash of the code that the taught clips follow from."""
    arrays: dict[str, NDArray[Any]] = {"recipe": np.array(recipe)}
    for name, probe in probes.items():
        arrays[f"{name}.classes"] = np.array(probe.classes)
        for part in _PARTS:
            arrays[f"{name}.{part}"] = getattr(probe, part).astype(np.float32)
    with atomic_path(file, replace=True) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def load(file: Path) -> tuple[dict[str, Probe], str]:
    """Probes by the aspect that they tell, and the recipe of the clips that taught them."""
    with np.load(file, allow_pickle=False) as arrays:
        names = [name.removesuffix(".classes") for name in arrays if name.endswith(".classes")]
        probes = {
            name: Probe(
                tuple(map(str, arrays[f"{name}.classes"])),
                *(arrays[f"{name}.{part}"].astype(np.float64) for part in _PARTS),
            )
            for name in names
        }
        return probes, str(arrays["recipe"])


def _hits(probe: Probe, given: Features, wanted: NDArray[np.str_]) -> int:
    return int((np.array(probe.says(given)) == wanted).sum())


def _fit(given: Features, labels: Sequence[str], strength: float) -> Probe:
    """Targets are 1 and -1, weighted so that rare classes count as much as frequent ones."""
    classes = tuple(sorted(set(labels)))
    mean, scale = given.mean(axis=0), given.std(axis=0) + 1e-6
    rows = _rows(given, mean, scale)
    index = np.array([classes.index(label) for label in labels])
    targets = np.where(index[:, None] == np.arange(len(classes)), 1.0, -1.0)
    weight = len(index) / (len(classes) * np.bincount(index, minlength=len(classes)))[index]
    rows, targets = rows * np.sqrt(weight)[:, None], targets * np.sqrt(weight)[:, None]
    clips, width = rows.shape
    if clips < width:  # the same solution from the smaller system
        weights = rows.T @ np.linalg.solve(rows @ rows.T + strength * np.eye(clips), targets)
    else:
        weights = np.linalg.solve(rows.T @ rows + strength * np.eye(width), rows.T @ targets)
    return Probe(classes, mean, scale, weights)


def _rows(given: Features, mean: Features, scale: Features) -> NDArray[np.float64]:
    return np.hstack([(given - mean) / scale, np.full((len(given), 1), _OFFSET)])
