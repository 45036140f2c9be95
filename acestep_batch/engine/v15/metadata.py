"""The metadata of a song as the planner writes and reads it: the block of its chain of thought; no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

import yaml

from acestep_batch.engine.v15.constants import (
    BPM,
    CODEBOOK_SIZE,
    KEYSCALES,
    LANGUAGES,
    PLANNED_DURATION_S,
    TIMESIGNATURES,
)
from acestep_batch.engine.v15.plan_text import END_OF_THINKING, END_OF_TURN, THINK
from acestep_batch.problems import Problem, Refused

Fields = Mapping[str, int | str]
"""Field names to values, as a text states them: not checked."""

WHOLE_NUMBERS = ("bpm", "duration")
WRITTEN = ("bpm", "caption", "duration", "keyscale", "language", "timesignature")
"""The fields in the order of a chain of thought, which is the alphabet's."""
READ = (*WRITTEN, "genres")

_CODE = re.compile(r"<\|audio_code_(\d+)\|>", re.ASCII)
_THOUGHTS = tuple(re.compile(f"<{tag}>(.*?)</{tag}>", re.DOTALL) for tag in ("think", "reasoning"))
_KEYSCALES = {keyscale.casefold(): keyscale for keyscale in KEYSCALES}
_TIMESIGNATURES = {f"{beats}/4": beats for beats in TIMESIGNATURES[:-1]} | {"6/8": "6"}


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of a song; every value is in range and in its one spelling, None where it is not known."""

    bpm: int | None = None
    caption: str | None = None
    duration: int | None = None
    """Whole seconds."""
    keyscale: str | None = None
    language: str | None = None
    timesignature: str | None = None

    def known(self) -> dict[str, int | str]:
        """The fields that have a value."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def thought_text(known: Fields) -> str:
    """A finished chain of thought, tags included: a YAML block with sorted keys, as the planner was trained on.

    Long captions are wrapped at 80 columns; values that YAML would misread (``no``) are in quotes. Fields that have no
    place there (genres) are left out.
    """
    block = {name: _as_written(name, known[name]) for name in WRITTEN if name in known}
    text = yaml.dump(block, allow_unicode=True, sort_keys=True).strip() if block else ""
    return f"{THINK}\n{text}\n{END_OF_THINKING}"


def _as_written(name: str, value: int | str) -> int | str:
    text = str(value)
    if name == "timesignature" and text.endswith("/4"):
        text = text.removesuffix("/4")
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else value if isinstance(value, int) else text


def read_fields(text: str) -> dict[str, int | str]:
    """The fields that the planner's text states, as the reference reads them: not YAML, and nothing is checked.

    A field starts at the margin with its name and a colon, indented lines continue it; quotes stay. Whole numbers
    become numbers, anything else stays text.
    """
    read: dict[str, int | str] = {}
    for name, parts in _values_of(_thought(text)).items():
        if name in READ and (value := " ".join(part for part in parts if part)):
            is_number = name in WHOLE_NUMBERS and re.fullmatch(r"[+-]?\d{1,9}", value, re.ASCII)
            read[name] = int(value) if is_number else value
    return read


def _thought(text: str) -> str:
    for pattern in _THOUGHTS:
        if match := pattern.search(text):
            return match[1]
    return _CODE.split(text, maxsplit=1)[0]


def _values_of(block: str) -> dict[str, list[str]]:
    """The lines of every field's value; of a field that stands there twice, the last."""
    values: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in block.split("\n"):
        if line.startswith("<") or not line.strip():
            continue
        if line[0] in " \t":
            lines.append(line.strip())
        elif ":" in line:
            name, _, value = line.partition(":")
            lines = values[name.strip().lower()] = [value.strip()]
    return values


def read_codes(text: str) -> tuple[int, ...]:
    """The audio codes anywhere in a text; those beyond the codebook become its last."""
    return tuple(min(int(code[:9]), CODEBOOK_SIZE - 1) for code in _CODE.findall(text))


def read_lyrics(text: str) -> str:
    """The lyrics that follow a chain of thought; empty where there is none."""
    after = text.partition(END_OF_THINKING)[2].strip().removesuffix(END_OF_TURN).strip()
    return after.removeprefix("# Lyric").strip()


def checked(read: Fields) -> tuple[Metadata, tuple[str, ...]]:
    """What of the planner's fields is usable, and a note about each one that is not."""
    values: dict[str, int | str] = {}
    notes = []
    for name in WRITTEN:
        if name not in read:
            continue
        value = canonical(name, read[name])
        if value is None:
            notes.append(f"the planner's {name} is not usable and was dropped: {read[name]!r:.60}")
        else:
            values[name] = value
    return Metadata(**values), tuple(notes)  # type: ignore[arg-type]  # canonical keeps to the types of the fields


def canonical(name: str, value: int | str) -> int | str | None:
    """The one spelling of a field's value; None where it has no meaning or is out of range."""
    if name in WHOLE_NUMBERS:
        allowed = BPM if name == "bpm" else PLANNED_DURATION_S
        return value if isinstance(value, int) and value in allowed else None
    text = _unquoted(str(value).strip())
    if name == "caption":
        return " ".join(text.replace("\N{REPLACEMENT CHARACTER}", "").split()) or None
    if name == "keyscale":
        return _KEYSCALES.get(" ".join(text.split()).casefold())
    if name == "language":
        return text.lower() if text.lower() in LANGUAGES else None
    return text if text in TIMESIGNATURES else _TIMESIGNATURES.get(text)


def _unquoted(text: str) -> str:
    """A planner that learned from YAML puts some values in quotes."""
    if text[:1] not in ("'", '"'):
        return text
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        return text
    return value if isinstance(value, str) and value.strip() else text


def given_metadata(
    bpm: int | None, keyscale: str, timesignature: str, duration: float | None, language: str, where: str = ""
) -> Metadata:
    """What a user states of a song; an empty text or ``N/A`` states nothing.

    The length is cut to whole seconds here and may be shorter than the planner itself would choose.

    Raises:
        Refused: a value is out of range; all of them are named.
    """
    asked: dict[str, int | str] = {} if bpm is None else {"bpm": bpm}
    texts = {"keyscale": keyscale, "timesignature": timesignature, "language": language}
    asked |= {name: text for name, text in texts.items() if text.strip().casefold() not in ("", "n/a")}
    values = {name: canonical(name, value) for name, value in asked.items()}
    problems = [
        Problem(where, f"{name}: {asked[name]!r:.60} is not one of {_ALLOWED[name]}", "correct it or leave it empty")
        for name, value in values.items()
        if value is None
    ]
    if duration is not None:
        values["duration"] = int(duration)
        if not 0 < duration <= PLANNED_DURATION_S[-1]:
            remedy = f"give at most {PLANNED_DURATION_S[-1]} s, or none and let the planner choose"
            problems.append(Problem(where, f"duration: {duration} s is out of range", remedy))
    if problems:
        raise Refused(problems)
    return Metadata(**values)  # type: ignore[arg-type]  # as in checked


_ALLOWED: Mapping[str, str] = {
    "bpm": f"{BPM[0]} to {BPM[-1]}",
    "keyscale": "A to G, then nothing, #, b, ♯ or ♭, then major or minor, such as F# minor",
    "timesignature": ", ".join(TIMESIGNATURES),
    "language": ", ".join(LANGUAGES),
}
