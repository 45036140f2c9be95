"""Scales, chords and progressions; pitches are MIDI note numbers, 60 is middle C."""

from __future__ import annotations

from dataclasses import dataclass

from training.draws import Draws
from training.words import TONICS

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
"""Semitones above the tonic; minor is the natural one."""
PROGRESSIONS = {
    "major": ((0, 4, 5, 3), (0, 3, 4, 0), (0, 5, 3, 4), (0, 3, 0, 4)),
    "minor": ((0, 5, 6, 0), (0, 3, 4, 0), (0, 5, 3, 4), (0, 6, 5, 4)),
}
"""Degrees of the scale from 0, a chord a bar; all begin on the tonic."""


@dataclass(frozen=True, slots=True)
class Chord:
    root: int
    """Semitones above C, 0 to 11."""
    intervals: tuple[int, ...]
    """Semitones above the root, from 0."""

    @property
    def classes(self) -> frozenset[int]:
        return frozenset((self.root + interval) % 12 for interval in self.intervals)

    def voiced(self, lowest: int) -> list[int]:
        """Every chord tone once, as low as it can lie from `lowest` up, ascending."""
        return sorted(lowest + (pitch - lowest) % 12 for pitch in self.classes)

    def bass(self, lowest: int) -> int:
        """The root, as low as it can lie from `lowest` up."""
        return lowest + (self.root - lowest) % 12


def scale_classes(tonic: str, mode: str) -> frozenset[int]:
    return frozenset((_number(tonic) + step) % 12 for step in SCALES[mode])


def tonic_class(tonic: str) -> int:
    return _number(tonic)


def progression(tonic: str, mode: str, bars: int, sevenths: bool, draws: Draws) -> list[Chord]:
    """A chord for every bar. The dominant of minor is a major chord: it tells the key from its relative major."""
    degrees = draws.one_of(PROGRESSIONS[mode])
    return [_chord(tonic, mode, degrees[bar % len(degrees)], sevenths) for bar in range(bars)]


def nearest_pitch(pitch: float, classes: frozenset[int], low: int, high: int) -> int:
    """The pitch of the classes from `low` to `high` that is nearest; the lower of two."""
    return min((each for each in range(low, high + 1) if each % 12 in classes), key=lambda each: abs(each - pitch))


def _chord(tonic: str, mode: str, degree: int, sevenths: bool) -> Chord:
    scale = SCALES[mode]
    tones = [scale[(degree + third) % 7] + 12 * ((degree + third) // 7) for third in (0, 2, 4, 6)]
    intervals = [tone - tones[0] for tone in tones]
    if mode == "minor" and degree == 4:
        intervals[1] = 4
    return Chord((_number(tonic) + tones[0]) % 12, tuple(intervals if sevenths else intervals[:3]))


def _number(tonic: str) -> int:
    return list(TONICS).index(tonic)
