"""Drum patterns of the genres, and swing."""

from __future__ import annotations

from collections.abc import Mapping

from training.draws import Draws
from training.events import Hit, Section
from training.prompts import Tags

STEPS_PER_BEAT = 4
PATTERNS: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "pop": (
        {"kick": "X.......X.x.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
        {"kick": "X.....x.X.......", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
    ),
    "rock": (
        {"kick": "X.x.....X.x.....", "snare": "....X.......X...", "open": "x...x...x...x..."},
        {"kick": "X.......X.......", "snare": "....X.......X.x.", "open": "x...x...x...x..."},
    ),
    "electronic": (
        {"kick": "X...X...X...X...", "clap": "....X.......X...", "open": "..x...x...x...x."},
        {"kick": "X...X...X...X...", "hat": "..x...x...x...x.", "clap": "....x.......x..x"},
    ),
    "jazz": (
        {"kick": "x.......x.......", "ride": "X...X.x.X...X.x.", "hat": "....x.......x..."},
        {"kick": "x...x...x...x...", "ride": "X...X...X.x.X...", "hat": "....x.......x..."},
    ),
    "folk": (
        {"kick": "X.......X.......", "shaker": "x.x.x.x.x.x.x.x.", "rim": "....x.......x..."},
        {"kick": "X...x...X...x...", "shaker": "x.xxx.xxx.xxx.xx"},
    ),
    "classical": (
        {"timpani": "X.......X.......", "ride": "x...x...x...x..."},
        {"timpani": "X...x...X...x.x.", "triangle": "x...x...x...x..."},
    ),
    "hip hop": (
        {"boom": "X......x..x.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.xxx.x."},
        {"boom": "X.....x...x.....", "clap": "....X.......X...", "hat": "x.x.x.x.x.x.xxxx"},
    ),
    "ambient": (
        {"boom": "x.......x.......", "shaker": "x...x...x...x..."},
        {"kick": "x...............", "rim": "x...x...x...x..."},
    ),
}
"""Sixteenths of a bar of four beats: X is strong, x weak. A bar of three is without the last beat."""
SWING_BEATS = 2 / 3
"""Where jazz plays what is written half a beat after the beat."""


def drums(tags: Tags, sections: tuple[Section, ...], draws: Draws) -> list[Hit]:
    """Hits of all bars where there are drums; an outro keeps what falls on beats, a chorus begins with a crash."""
    if not tags.drums:
        return []
    pattern = draws.one_of(PATTERNS[tags.genre])
    hits = []
    for section in sections:
        for bar in range(section.first_bar, section.first_bar + section.bars):
            first = bar * tags.beats_per_bar
            for drum, steps in pattern.items():
                for step, letter in enumerate(steps[: tags.beats_per_bar * STEPS_PER_BEAT]):
                    if letter == "." or (section.tag == "outro" and step % STEPS_PER_BEAT):
                        continue
                    velocity = 1.0 if letter == "X" else 0.65 if step % STEPS_PER_BEAT == 0 else 0.45
                    hits.append(Hit(first + step / STEPS_PER_BEAT, drum, velocity))
        if section.tag == "chorus" and tags.genre not in ("ambient", "classical"):
            hits.append(Hit(section.first_bar * tags.beats_per_bar, "crash", 0.8))
    return hits


def swung(start_beats: float, genre: str) -> float:
    """Where a note that is written at `start_beats` is played."""
    if genre == "jazz" and start_beats % 1 == 0.5:
        return start_beats - 0.5 + SWING_BEATS
    return start_beats
