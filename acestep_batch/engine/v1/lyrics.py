"""Lyrics to the token ids of ACE-Step v1: each line cleaned in its language, then split by the lyric vocabulary."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path

from acestep_batch.problems import Problem, Refused, refuse

from .limits import LYRIC_LANGUAGES
from .lyric_cleaning import clean_line
from .lyric_language import detect_language

LIBRARIES = ("py3langid", "num2words", "pypinyin", "cutlet", "fugashi", "unidic-lite", "hangul-romanize")
"""What a line's language and words follow from: another version can change the tokens, and with them the song."""

_STRUCTURE_TAG = re.compile(r"\[.*?\]")
_START = "[START]"
_SPACE = "[SPACE]"
"""Between words, and at the end of every line."""
_SHOWN_CHARS = 60
"""Of a line that an error quotes."""


@dataclass(frozen=True, slots=True)
class LyricLine:
    """One line that is not blank, ready for the model."""

    language: str
    """One of ``LYRIC_LANGUAGES``."""
    preprocessed: str
    ids: list[int]
    """Language token and word pieces; without the token that ends the line."""


def prepare_line(line: str, lyrics_language: str | None = None) -> tuple[str, str]:
    """Language and cleaned text of one line; needs no vocabulary.

    A line that starts with a structure tag such as ``[verse]`` is English. Any other is in ``lyrics_language``, or
    where that is None in the language detected; one that the vocabulary has no token for is written as English.
    """
    line = line.strip()
    if _STRUCTURE_TAG.match(line):
        language = "en"
    elif lyrics_language is not None:
        language = lyrics_language
    else:
        detected = detect_language(line)
        language = detected if detected in LYRIC_LANGUAGES else "en"
    return language, clean_line(line, language)


def library_versions() -> dict[str, str]:
    """The installed version of each of ``LIBRARIES``. Raises importlib.metadata.PackageNotFoundError."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def lyric_problems(lyrics: str, lyrics_language: str | None = None) -> list[Problem]:
    """Every line that cannot be tokenized; needs no vocabulary.

    The libraries that detect languages and clean lines load here (half a second) and take about 0.15 ms a line.
    """
    problems = []
    for number, line in enumerate(lyrics.split("\n"), start=1):
        if line.strip():
            try:
                prepare_line(line, lyrics_language)
            except Exception as error:  # whatever a library raises, the line must not be lost without a word
                problems.append(_problem(number, line, error))
    return problems


class LyricTokenizer:
    """The published lyric vocabulary (``vocab.json`` of ace-step/ACE-Step at d612523) applied to prepared lines."""

    def __init__(self, vocab_path: Path) -> None:
        """Raises ``Refused`` when the file is missing or is another vocabulary."""
        from tokenizers import Tokenizer

        remedy = "give the published lyric vocabulary, vocab.json of ace-step/ACE-Step"
        if not vocab_path.is_file():
            raise refuse(str(vocab_path), "there is no lyric vocabulary here", remedy)
        try:
            self._tokenizer = Tokenizer.from_file(str(vocab_path))
        except Exception as error:  # tokenizers has no exception type of its own
            raise refuse(str(vocab_path), f"is not a vocabulary of the tokenizers library ({error})", remedy) from error
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        needed = [_START, _SPACE, *(_language_token(language) for language in LYRIC_LANGUAGES)]
        missing = [token for token in needed if token not in vocabulary]
        if missing:
            raise refuse(str(vocab_path), f"the vocabulary lacks the tokens {', '.join(missing)}", remedy)
        self._start, self._space = vocabulary[_START], vocabulary[_SPACE]

    def __call__(self, lyrics: str, lyrics_language: str | None = None) -> list[int]:
        """Token ids of whole lyrics: the start token, then every line and the token that ends it.

        A blank line is the ending token alone; so is the empty text, which the model wants masked instead: that is the
        caller's to see to. Raises ``Refused`` with every line that cannot be tokenized, and for an unknown
        ``lyrics_language``.
        """
        if lyrics_language is not None and lyrics_language not in LYRIC_LANGUAGES:
            problem = f"{lyrics_language!r} is not a language of the lyric encoder"
            raise refuse("lyrics_language", problem, f"use {', '.join(LYRIC_LANGUAGES)}")
        ids = [self._start]
        problems: list[Problem] = []
        for number, line in enumerate(lyrics.split("\n"), start=1):
            if line.strip():
                try:
                    ids += self.line(line, lyrics_language).ids
                except Exception as error:  # as in lyric_problems
                    problems.append(_problem(number, line, error))
            ids.append(self._space)
        if problems:
            raise Refused(problems)
        return ids

    def line(self, line: str, lyrics_language: str | None = None) -> LyricLine:
        """One line that is not blank. Raises what the cleaning libraries raise."""
        language, preprocessed = prepare_line(line, lyrics_language)
        text = _language_token(language) + preprocessed
        return LyricLine(language, preprocessed, self._tokenizer.encode(text.replace(" ", _SPACE)).ids)


def _language_token(language: str) -> str:
    return "[zh-cn]" if language == "zh" else f"[{language}]"


def _problem(number: int, line: str, error: Exception) -> Problem:
    text = line.strip()
    shown = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return Problem(
        "lyrics",
        f"line {number}: {shown!r} cannot be tokenized ({reason})",
        "write it in other words, or name its language with lyrics_language",
    )
