"""How far a transcript is from the lyrics: the word error rate, for any script."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_MARKS = re.compile(r"\[[^\]]*\]|\([^)]*\)")
"""`[verse]` is no word, and what stands in parentheses is often not sung."""
_ALONE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Scripts without blanks between words: Thai, Lao, Burmese, Khmer, Kana, Han. Each character counts as a word."""
_WORD = re.compile(rf"[{_ALONE}]|[^\W_{_ALONE}]+(?:['’][^\W_{_ALONE}]+)*")


def words(text: str) -> list[str]:
    """The words of a text, without case, punctuation, accents' encoding and marks of structure."""
    plain = unicodedata.normalize("NFKC", _MARKS.sub(" ", text)).casefold().replace("’", "'")
    return _WORD.findall(plain)


def error_rate(lyrics: str, heard: str) -> float | None:
    """Words to insert, delete and replace, over the words of the lyrics: 0 is perfect, and there is no upper limit.

    None for lyrics without words. In scripts without blanks it is the character error rate.
    """
    wanted = words(lyrics)
    return distance(wanted, words(heard)) / len(wanted) if wanted else None


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Levenshtein's distance of two sequences: insertions, deletions and replacements cost 1."""
    row = list(range(len(other) + 1))
    for count, item in enumerate(one, 1):
        previous, row[0] = row[0], count
        for index, candidate in enumerate(other, 1):
            cost = min(row[index] + 1, row[index - 1] + 1, previous + (item != candidate))
            previous, row[index] = row[index], cost
    return row[-1]
