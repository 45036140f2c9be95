"""A clip's tags to a prompt, and a prompt back to the tags that it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from training import words
from training.draws import Draws
from training.tempo import Tempo, numbers

KEPT = 0.7
"""Of the tags of a prompt that is not full."""
FULL = 0.5
"""Of all prompts say everything."""
_BPM = re.compile(r"(\d+) ?bpm")


@dataclass(frozen=True, slots=True)
class Tags:
    """What a clip is: values are keys of `training.words`."""

    lead: str
    accompaniment: str
    drums: bool
    genre: str
    mood: str
    tempo: Tempo
    tonic: str
    mode: str
    beats_per_bar: int

    @property
    def key(self) -> str:
        """As in `C# minor`."""
        return f"{self.tonic} {self.mode}"


def prompt(tags: Tags, draws: Draws, grid: str, full: bool = False) -> str:
    """Phrases in any order, separated by commas; unless `full`, half of all prompts leave some out, but never all.

    The first synonym is taken half the time. A full prompt names everything, the tempo by its number.
    """
    phrases = {
        "lead": _phrase(words.LEADS[tags.lead], draws),
        "accompaniment": _phrase(words.ACCOMPANIMENTS[tags.accompaniment], draws),
        "drums": _phrase(words.DRUMS[tags.drums], draws),
        "genre": _phrase(words.GENRES[tags.genre], draws),
        "mood": _phrase(words.MOODS[tags.mood], draws),
        "bpm": f"{draws.one_of(numbers(tags.tempo, grid))} bpm",
        "key": f"{_phrase(words.TONICS[tags.tonic], draws)} {tags.mode}",
    }
    full = draws.chance(FULL) or full
    kept = [name for name in phrases if full or draws.chance(KEPT)] or ["lead"]
    said = [phrases[name] for name in kept]
    if draws.chance(0.3):
        said.append(_phrase(words.TEMPOS[tags.tempo.word], draws))
    if words.METRES[tags.beats_per_bar] and (full or draws.chance(KEPT)):
        said.append(_phrase(words.METRES[tags.beats_per_bar], draws))
    return ", ".join(draws.shuffled(said))


def understood(text: str) -> dict[str, str | bool | int]:
    """What a prompt says: aspect (`lead`, `key`, `bpm`, ...) to value, as `training.words` names it.

    Phrases are what stands between commas, in either case. Others are ignored, as the model ignores them.
    """
    found: dict[str, str | bool | int] = {}
    for phrase in (part.strip().lower() for part in text.split(",")):
        if phrase in _MEANINGS:
            aspect, value = _MEANINGS[phrase]
            found[aspect] = value
        elif match := _BPM.fullmatch(phrase):
            found["bpm"] = int(match[1])
    return found


def _phrase(phrases: tuple[str, ...], draws: Draws) -> str:
    return phrases[0] if draws.chance(0.5) else draws.one_of(phrases)


def _meanings() -> dict[str, tuple[str, str | bool | int]]:
    listed: Mapping[str, Mapping[str, tuple[str, ...]] | Mapping[bool, tuple[str, ...]] | Mapping[int, tuple[str, ...]]]
    listed = {
        "lead": words.LEADS,
        "accompaniment": words.ACCOMPANIMENTS,
        "drums": words.DRUMS,
        "genre": words.GENRES,
        "mood": words.MOODS,
        "tempo": words.TEMPOS,
        "beats_per_bar": words.METRES,
    }
    found: dict[str, tuple[str, str | bool | int]] = {}
    for aspect, synonyms in listed.items():
        for value, phrases in synonyms.items():
            found.update((phrase.lower(), (aspect, value)) for phrase in phrases)
    for tonic, spellings in words.TONICS.items():
        for mode in words.MODES:
            found.update((f"{each} {mode}".lower(), ("key", f"{tonic} {mode}")) for each in spellings)
    return found


_MEANINGS = _meanings()
