"""Lines of lyrics with a given number of syllables, and the vowel that a syllable is sung on."""

from __future__ import annotations

from training.draws import Draws

WORDS = (
    *("day", "night", "sun", "moon", "rain", "light", "home", "road", "sea", "fire", "wind", "star", "song", "dream"),
    *("heart", "hand", "eyes", "time", "love", "gold", "blue", "we", "you", "my", "the", "in", "go", "run", "fly"),
    *("sing", "stay", "call", "fall", "wait", "turn", "hold", "know", "see", "a-way", "a-lone", "mor-ning", "eve-ning"),
    *("sum-mer", "win-ter", "ri-ver", "moun-tain", "o-cean", "o-ver", "un-der", "ne-ver", "al-ways", "danc-ing"),
    *("fall-ing", "shi-ning", "walk-ing", "ci-ty", "win-dow", "shad-ow", "to-night", "be-gin", "re-mem-ber"),
    *("to-mor-row", "for-ev-er", "to-geth-er", "me-lo-dy"),
)
"""Hyphens part syllables; they are not written in lyrics."""
_BY_SYLLABLES = {count: tuple(word for word in WORDS if word.count("-") + 1 == count) for count in (1, 2, 3)}


def line(syllables: int, draws: Draws) -> tuple[str, list[str]]:
    """A line with so many syllables, as it is written and syllable by syllable."""
    chosen: list[str] = []
    left = syllables
    while left:
        count = 1 + draws.below(min(left, 3 if draws.chance(0.4) else 2))
        word = draws.one_of(_BY_SYLLABLES[count])
        if not chosen or word != chosen[-1]:
            chosen.append(word)
            left -= count
    return " ".join(word.replace("-", "") for word in chosen), [part for word in chosen for part in word.split("-")]


def vowel(syllable: str) -> str:
    """Its first of a, e, i, o, u, where y counts as i; a for none."""
    return next((letter.replace("y", "i") for letter in syllable.lower() if letter in "aeiouy"), "a")
