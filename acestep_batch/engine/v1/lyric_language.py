"""The language of one lyric line: runs of one script are told apart, classified, and the longest language wins.

The behaviour is that of LangSegment 0.3.5 over py3langid 0.3.0, as the reference implementation (ace-step/ACE-Step at
d612523) sets it up: all languages of py3langid count, and Japanese goes before Chinese in doubt. Odd as some rules are,
they decide which language token a line gets, and the model learned from lines labelled like that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

_LATIN = "a-zA-Zàáâãäåæçèéêëìíîïðñòóôõöùúûüýþÿđơưăảạắằẳẵặấầẩẫậẻẽẹếềểễệỉĩịỏọốồổỗộớờởỡợủũụứừửữựỷỹ"


def _words_in(letters: str) -> re.Pattern[str]:
    return re.compile(rf"(?:[【《（(“‘\"']*[{letters}]+\W*)+")


_RULES = (
    ("tag", re.compile(r"<([a-zA-Z|-]*)>(.*?)</*[a-zA-Z|-]*>")),
    ("ko", _words_in("\uac00-\ud7a3")),
    ("th", _words_in("\u0e00-\u0e7f")),
    ("ru", _words_in("А-Яа-яЁё")),
    ("number", re.compile(r"\W*\d+\W+\d*\W*\d*")),
    ("latin", _words_in(_LATIN)),
    ("quote", re.compile(r"([\"'])(.*?)\1")),
    ("quote", re.compile(r"([【《（(“‘])([^【《（(“‘’”)）》】]{3,})[’”)）》】]\W*")),
)
"""What is taken out of a line, in this order. A two-letter name is the language that the words count as."""

_PLAIN_WHEN_WHOLE = {"number", "quote"}
"""A line that is one such match and nothing else is read as plain text."""

_MARK = re.compile(r"⑥\$*(\d{7,})⑥")
"""Stands for what a rule has taken out; to later rules it is a word without letters. Not allowed in a line itself."""

_SPOKEN_NUMBER_TAGS = {"telephone", "number", "currency", "date"}
_PUNCTUATION = re.compile(r"([^\w\s]+)")
_SENTENCE = re.compile(r"[^。.?？!！]*[。.?？!！]+|[^。.?？!！]+")
_HAN = re.compile("[\u4e00-\u9fff]")
_KANA = re.compile("[\u3040-\u30ff]")

_SHORT = 5
"""Up to this many letters Chinese and Japanese are hard to tell apart, and a quotation is read as plain text."""


def detect_language(line: str) -> str:
    """Code of the language of a line of lyrics, one of py3langid's 97; ``zh`` for a line without letters.

    English yields to any other language in the line. The first call loads py3langid's model (0.35 s).
    """
    counts = _Segmenter(line).counts
    ranking = sorted(counts, key=lambda language: -counts[language]) or ["zh"]
    return ranking[1] if ranking[0] == "en" and len(ranking) > 1 else ranking[0]


@dataclass(slots=True)
class _Run:
    """Text of one language; where there are two candidates, the next run says which it is."""

    text: str
    candidates: tuple[str, ...]
    is_tagged: bool
    """The writer named the language in a ``<xx>`` tag: the run keeps it and stays by itself."""

    @property
    def language(self) -> str:
        return self.candidates[0]


class _Segmenter:
    """Splits one line into runs; ``counts`` holds the characters of each language, Chinese ones twice."""

    def __init__(self, line: str) -> None:
        self.counts: dict[str, int] = {}
        self._runs: list[_Run] = []
        self._undecided: _Run | None = None
        self._taken: list[tuple[str, re.Match[str]]] = []
        self._read(self._take_out(_MARK.sub("", line)), is_line=True)

    def _take_out(self, line: str) -> str:
        for rule, pattern in _RULES:
            whole = pattern.match(line) if rule in _PLAIN_WHEN_WHOLE else None
            if whole is not None and whole[0] == line:
                continue

            def mark(found: re.Match[str], rule: str = rule) -> str:
                self._taken.append((rule, found))
                return f"⑥{len(self._taken) - 1:07d}⑥"

            line = pattern.sub(mark, line)
        return line

    def _read(self, text: str, is_line: bool = False) -> None:
        end = 0
        for mark in _MARK.finditer(text):
            self._read_plain(text[end : mark.start()])
            self._read_taken(*self._taken[int(mark[1])])
            end = mark.end()
        self._read_plain(text[end:], ends_line=is_line)

    def _read_taken(self, rule: str, found: re.Match[str]) -> None:
        if rule == "tag":
            language = "zh" if found[1] in _SPOKEN_NUMBER_TAGS else found[1].lower()
            self._add(found[2], language, is_tagged=True)
        elif rule == "number":
            self._add(found[0], self._runs[0].language if self._runs else "zh")
        elif rule == "latin":
            for sentence in _SENTENCE.findall(found[0]):
                self._add(sentence, _classify(_letters(sentence))[0])
        elif rule == "quote":
            self._read_quote(found[0], _letters(found[2]))
        else:
            self._add(found[0], rule)

    def _read_quote(self, text: str, letters: str) -> None:
        if _MARK.search(text):
            self._read(text)
        elif len(letters) <= _SHORT:
            self._read_plain(text)
        else:
            self._add(text, _classify(letters)[0])

    def _read_plain(self, text: str, ends_line: bool = False) -> None:
        for clause, is_last in _clauses(text):
            self._add(clause, *self._candidates(clause, ends_line and is_last))

    def _candidates(self, clause: str, ends_line: bool) -> tuple[str, ...]:
        letters = _letters(_without_digits(clause))
        language, score = _classify(letters)
        if language != "zh" and all(_HAN.match(letter) for letter in letters.replace(" ", "")):
            language, score = "zh", 1.0
        if len(letters) > _SHORT or not _HAN.search(letters):
            return (language,)
        if score < 0.89 or _KANA.search(letters):
            language = "ja"
        if _KANA.search(letters) or (len(letters) > 2 and score > 0.9):
            return (language,)
        if ends_line:
            return (language,) if len(letters) > 1 else ("zh",)
        before = self._runs[-1].language if self._runs else None
        if clause.rstrip()[-1] in "。.":
            return (before,) if before in {"zh", "ja"} else (language,)
        return ("zh", "ja") if language == "zh" or (len(letters) <= 2 and before == "zh") else ("ja", "zh")

    def _add(self, text: str, *candidates: str, is_tagged: bool = False) -> None:
        if not text.strip():
            return
        run = _Run(_spread_capitals(text) if candidates == ("en",) else text, candidates, is_tagged)
        undecided, self._undecided = self._undecided, None
        if undecided is not None:
            if run.candidates == undecided.candidates:
                run.candidates = run.candidates[:1]
            agrees = len(run.candidates) == 1 and run.language in undecided.candidates
            undecided.candidates = run.candidates if agrees else undecided.candidates[:1]
            self._keep(undecided)
        if len(run.candidates) > 1:
            self._undecided = run
        else:
            self._keep(run)

    def _keep(self, run: _Run) -> None:
        last = self._runs[-1] if self._runs else None
        if last is not None and not run.is_tagged and not last.is_tagged:
            if _is_number(run.text):
                run.candidates = last.candidates
            if run.language == last.language:
                last.text += run.text
                self._count(run)
                return
            if _is_number(last.text):
                run.text = self._runs.pop().text + run.text
        if run.language in _countable_languages():
            self._runs.append(run)
            self._count(run)

    def _count(self, run: _Run) -> None:
        width = 2 if run.language == "zh" else 1
        self.counts[run.language] = self.counts.get(run.language, 0) + width * len(run.text)


def _clauses(text: str) -> Iterator[tuple[str, bool]]:
    """Words with the punctuation around them, and whether they end the text; one or two letters join what follows."""
    pieces = _PUNCTUATION.split(text)
    clause = ""
    for piece, following in pairwise(pieces):
        clause += piece
        if _has_words(clause) and _has_words(following) and len(_letters(_without_digits(clause))) > 2:
            yield clause, False
            clause = ""
    clause += pieces[-1]
    if clause:
        yield clause, True


def _has_words(text: str) -> bool:
    return re.search(r"\w", text) is not None


def _without_digits(text: str) -> str:
    return re.sub(r"\d+", "", text)


def _is_number(text: str) -> bool:
    """Nothing but digits and punctuation, or punctuation alone."""
    return re.fullmatch(r"\d*", _PUNCTUATION.sub("", text).strip()) is not None


def _letters(text: str) -> str:
    """Words parted by single spaces, each run of one character shortened to one."""
    return re.sub(r"(.)\1+", r"\1", re.sub(r"\W+", " ", text)).strip()


def _spread_capitals(text: str) -> str:
    """``iPhone OK`` -> ``i Phone O K``: English is counted with a space before each inner capital and one after all."""
    return re.sub(r"\B([A-Z])", r" \1", text).strip("-") + " "


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_pickled_model(MODEL_FILE, norm_probs=True)


@cache
def _countable_languages() -> frozenset[str]:
    # the reference accepts parts of its first code, "af", too: <a>words</a> count, <b>words</b> do not
    return frozenset(_identifier().nb_classes) | {"", "a", "f"}


def _classify(letters: str) -> tuple[str, float]:
    """Most likely language and its probability, as py3langid's ``classify`` computes them.

    Only the features that occur are summed. py3langid multiplies all 7480 of them in a threaded product, which takes
    four milliseconds a line when the machine is busy, and whose last bits depend on the machine.
    """
    model = _identifier()
    counts = model.instance2fv(letters)
    (occurring,) = counts.nonzero()
    scores = (model.nb_ptc[occurring] * counts[occurring][:, None]).sum(axis=0, dtype="float64") + model.nb_pc
    probabilities = model.norm_probs(scores)
    best = int(probabilities.argmax())
    return model.nb_classes[best], round(float(probabilities[best]), 3)
