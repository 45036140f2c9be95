"""The words that the trained embedded model knows, and advice on a prompt that has others; no other model is judged."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from acestep_batch.engine import embedded_identity
from acestep_batch.lint import Advice

MODEL = "embedded"
_WORD = re.compile(r"[^\W\d_]+|\d+")
"""As its tokenizer splits a prompt; other characters are no words."""
_BPM = re.compile(r"(?<!\d)(\d++)\s*+bpm\b")
"""Digits are looked at once, however many there are."""
_SHOWN, _LONGEST = 8, 40


@dataclass(frozen=True, slots=True)
class DemoWords:
    """What was trained on."""

    phrases: Mapping[str, Mapping[str, tuple[str, ...]]]
    """Aspect, such as `lead`, to value to what says so; the plain phrase first."""
    tempi_bpm: tuple[int, ...]
    """The numbers that stood before `bpm`."""


def demo_words(model: str) -> DemoWords | None:
    """Those of the weights in the package; None for another model, and where the package has no trained weights."""
    if model != MODEL or not embedded_identity.is_trained():
        return None
    file = embedded_identity.TRAINED / embedded_identity.WORDS_FILE
    found = json.loads(file.read_text(encoding="utf-8"))
    phrases = {
        aspect: {value: tuple(said) for value, said in values.items()} for aspect, values in found["phrases"].items()
    }
    return DemoWords(phrases, tuple(found["tempi_bpm"]))


class PromptWords:
    """Advice on prompts, for one list of words."""

    def __init__(self, words: DemoWords) -> None:
        phrases = (each for values in words.phrases.values() for said in values.values() for each in said)
        self._known = {"bpm", *(word for phrase in phrases for word in _WORD.findall(_normal(phrase)))}
        self._tempi = tuple(map(str, words.tempi_bpm))

    def advise(self, prompt: str) -> tuple[Advice, ...]:
        """At most two pieces: on words that it does not know, and on tempi that it was not trained on."""
        text = _normal(prompt)
        tempi = dict.fromkeys(_BPM.findall(text))
        others = dict.fromkeys(_WORD.findall(_BPM.sub(" ", text)))
        unknown = [word for word in others if word not in self._known]
        untrained = [f"{bpm} bpm" for bpm in tempi if bpm not in self._tempi]
        found = []
        if unknown:
            message = (
                f"{_listed(unknown)}: the embedded demo model does not know this; docs/embedded.md lists its words"
            )
            found.append(Advice("unknown-words", "prompt", message))
        if untrained:
            message = f"{_listed(untrained)}: the embedded demo model was trained on {', '.join(self._tempi)} bpm alone"
            found.append(Advice("untrained-tempo", "prompt", message))
        return tuple(found)


def words_table(words: DemoWords) -> str:
    """Aspect, value and synonyms as lines of a Markdown table."""
    lines = ["| aspect | plain word | also |", "| --- | --- | --- |"]
    for aspect, values in words.phrases.items():
        for said in values.values():
            lines.append(f"| {aspect} | `{said[0]}` | {', '.join(f'`{each}`' for each in said[1:])} |")
    tempi = ", ".join(f"`{bpm} bpm`" for bpm in words.tempi_bpm)
    return "\n".join([*lines, f"| tempo | {tempi} |  |"])


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _listed(words: Iterable[str]) -> str:
    each = [word if len(word) <= _LONGEST else f"{word[:_LONGEST]}..." for word in words]
    return ", ".join(each[:_SHOWN]) + (", ..." if len(each) > _SHOWN else "")
