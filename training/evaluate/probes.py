"""A linear probe: ridge regression to one class against the others, its strength chosen without the test clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluate.features import Features

STRENGTHS = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Of the penalty, for features of variance 1."""
_VALIDATION = 5
"""Every fifth clip chooses the strength."""
_OFFSET = 100.0
"""So large that the penalty hardly holds the offset back."""


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
