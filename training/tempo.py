"""The tempi that clips have, and which of them a number of beats per minute stands for.

A beat is a whole number of half latent frames, so that an attack falls on the same place of a frame beat after beat,
and sixteenths fall on whole mel frames. A model that works on latent frames then sees tempo as an exact period.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.words import LEAST_BPM, MOST_BPM, TEMPO_ENDS_BPM

SAMPLE_RATE = 44_100
HOP = 512
"""Samples of a mel frame."""
LATENT_FRAME = 8 * HOP
CLIP_MEL_FRAMES = 1024
CLIP_SAMPLES = CLIP_MEL_FRAMES * HOP
GRIDS: dict[str, tuple[float, ...]] = {
    "few": (4, 5, 6, 7, 9),
    "many": (4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8, 8.5, 9, 9.5, 10),
}
"""Latent frames of a beat. Of `few`, no tempo is near another or its octave: to be right by chance is rare."""


@dataclass(frozen=True, slots=True)
class Tempo:
    latent_frames: float
    """Of a beat."""

    @property
    def beat_samples(self) -> int:
        return int(self.latent_frames * LATENT_FRAME)

    @property
    def bpm(self) -> float:
        return 60 * SAMPLE_RATE / self.beat_samples

    @property
    def word(self) -> str:
        """`slow`, `mid-tempo` or `fast`."""
        return next(word for word, (low, high) in TEMPO_ENDS_BPM.items() if low <= self.bpm < high)


def nearest(bpm: float, grid: str) -> Tempo:
    """The tempo of the grid that has the least ratio to `bpm`: of `many`, at most 6 % from 62 to 170."""
    return min((Tempo(frames) for frames in GRIDS[grid]), key=lambda tempo: abs(math.log(tempo.bpm / bpm)))


def numbers(tempo: Tempo, grid: str) -> tuple[int, ...]:
    """Integers that stand for `tempo`: on `few` its own alone, on `many` every one that is nearest to it."""
    if grid == "few":
        return (round(tempo.bpm),)
    return tuple(bpm for bpm in range(LEAST_BPM, MOST_BPM + 1) if nearest(bpm, grid) == tempo)
