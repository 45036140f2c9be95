"""How one parameter is declared, read from text or data, and checked; knows no particular parameter."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from acestep_batch import reading

RANDOM = "random"
_CODE = re.compile(r"<\|audio_code_(\d+)\|>")
_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers from ``low`` to ``high``, both included unless ``above`` excludes ``low``; and those in ``also``."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    also: tuple[float, ...] = ()

    def __contains__(self, number: float) -> bool:
        if not math.isfinite(number):
            return False
        inside = (self.low < number if self.above else self.low <= number) and number <= self.high
        return inside or number in self.also

    def __str__(self) -> str:
        if math.isinf(self.low) and math.isinf(self.high):
            text = "any finite number"
        elif math.isinf(self.high):
            text = f"above {self.low:g}" if self.above else f"{self.low:g} or more"
        else:
            text = f"{plain_number(self.low)} to {plain_number(self.high)}"
        return " or ".join([*(plain_number(number) for number in self.also), text])


def plain_number(number: float) -> str:
    """The shortest decimal text of a number, never in scientific notation for whole numbers."""
    return str(int(number)) if float(number).is_integer() else repr(number)


@dataclass(frozen=True, slots=True)
class Parameter:
    """Name, type, default, ranges, meaning and source of one parameter, stated once where it is declared.

    ``kind`` is one of ``float``, ``int``, ``bool``, ``str``, ``choice``, ``ints``, ``floats``, ``names``,
    ``seeds``, ``choices``, ``codes``.
    ``guide`` is the control guide's recommended range: outside of it is a lint warning, outside ``hard`` an error.
    """

    name: str
    kind: str
    default: Any
    meaning: str
    source: str
    hard: Range | None = None
    guide: Range | None = None
    choices: tuple[str, ...] = ()
    nullable: bool = False
    unit: str = ""
    aliases: tuple[str, ...] = ()
    only: str = ""
    """The one family of models that reads it; empty where all do."""

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        texts = {
            "bool": "true or false",
            "str": "text",
            "ints": f"a list of whole numbers, each {self.hard}, as [1, 2, 3] or 1;2;3",
            "floats": f"a list of numbers, each {self.hard}, as [1, 0.5] or 1;0.5",
            "names": "a list of texts, as [a, b] or a;b, or none",
            "seeds": f"a whole number {self.hard}, a list of them, or {RANDOM}",
            "codes": f"audio codes, each {self.hard}, as [1, 2, 3], 1;2;3 or <|audio_code_1|><|audio_code_2|>",
            "choice": ", ".join(self.choices),
            "choices": "one or several of " + ", ".join(self.choices),
            "int": f"a whole number, {self.hard}",
            "float": f"a number, {self.hard}",
        }
        text = texts[self.kind]
        extra = ", ".join(self.choices) if self.kind in ("int", "float") and self.choices else ""
        return text + (f", or {extra}" if extra else "") + (", or null" if self.nullable else "")

    def parse(self, raw: object) -> Any:
        """The value that ``raw`` (text of a cell, or a JSON or YAML value) means.

        Raises:
            ValueError: ``raw`` is not of this kind or lies outside the hard range; the message says what is allowed.
        """
        if raw is None and self.nullable:
            return None
        try:
            return _PARSERS[self.kind](self, raw)
        except (TypeError, ValueError, OverflowError) as error:
            reason = str(error) or "cannot be read"
            raise ValueError(
                f"{shown(raw)} {reason}; allowed: {self.allowed}{_did_you_mean(raw, self.choices)}"
            ) from None


def shown(raw: object) -> str:
    """A value as a message quotes it: short, and on one line."""
    text = repr(raw)
    return text if len(text) <= 60 else text[:57] + "..."


def named(names: Sequence[str]) -> str:
    """Names as a message lists them: the first five, and none of them long."""
    first = [name if len(name) <= 60 else f"{name[:57]}..." for name in names[:5]]
    return ", ".join(first) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """`` (did you mean X?)`` for the nearest known word, or nothing."""
    candidates = list(known)
    word = str(word)
    matches = difflib.get_close_matches(word.lower(), candidates, n=1, cutoff=0.6) or [
        name for name in candidates if len(word) >= 3 and word.lower() in name
    ]
    return f" (did you mean {matches[0]}?)" if matches else ""


def _did_you_mean(raw: object, choices: tuple[str, ...]) -> str:
    return did_you_mean(raw, choices) if choices and isinstance(raw, str) else ""


def _float(parameter: Parameter, raw: object) -> Any:
    if isinstance(raw, str) and raw in parameter.choices:
        return raw
    return _inside(parameter, reading.number(raw))


def _int(parameter: Parameter, raw: object) -> Any:
    if isinstance(raw, str) and raw in parameter.choices:
        return raw
    return _inside(parameter, reading.whole(raw))


def _inside(parameter: Parameter, value: float) -> float:
    if parameter.hard is not None and value not in parameter.hard:
        raise ValueError("is outside the allowed range")
    return value


def _bool(parameter: Parameter, raw: object) -> bool:
    return reading.truth(raw)


def _str(parameter: Parameter, raw: object) -> str:
    return reading.text(raw)


def _choice(parameter: Parameter, raw: object) -> str:
    word = "off" if raw is False else raw  # YAML reads a plain off as false
    if isinstance(word, str) and word.strip().lower() in parameter.choices:
        return word.strip().lower()
    raise ValueError("is not one of the choices")


def _ints(parameter: Parameter, raw: object) -> tuple[int, ...]:
    return _all_inside(parameter, tuple(reading.whole(item) for item in reading.items(raw)))


def _codes(parameter: Parameter, raw: object) -> tuple[int, ...] | None:
    """Whole numbers, or the tokens that stand for them in texts; None for an empty text."""
    found = _ints(parameter, _CODE.sub(r" \1 ", raw).strip() if isinstance(raw, str) else raw)
    if not found and not isinstance(raw, str):
        raise ValueError("names nothing")
    return found or None


def _floats(parameter: Parameter, raw: object) -> tuple[float, ...]:
    return _all_inside(parameter, tuple(reading.number(item) for item in reading.items(raw)))


def _all_inside(parameter: Parameter, numbers: tuple[_Number, ...]) -> tuple[_Number, ...]:
    for number in numbers:
        if parameter.hard is not None and number not in parameter.hard:
            raise ValueError(f"holds {number}, which is outside the allowed range")
    return numbers


def _names(parameter: Parameter, raw: object) -> tuple[str, ...]:
    """Names may hold blanks and commas, as paths do, so that only semicolons stand between them."""
    if raw is None:
        return ()
    listed = raw.split(";") if isinstance(raw, str) and not raw.lstrip().startswith("[") else reading.items(raw)
    texts = [reading.text(item).strip() for item in listed]
    return tuple(text for text in texts if text.lower() not in ("", "none"))


def _seeds(parameter: Parameter, raw: object) -> tuple[int, ...] | str:
    if isinstance(raw, str) and raw.strip().lower() == RANDOM:
        return RANDOM
    seeds = _ints(parameter, raw)
    if len(set(seeds)) != len(seeds):
        raise ValueError("names a seed twice")
    return seeds


def _choices(parameter: Parameter, raw: object) -> tuple[str, ...]:
    chosen = tuple(_choice(parameter, item) for item in reading.items(raw))
    if not chosen:
        raise ValueError("names nothing")
    return tuple(dict.fromkeys(chosen))


_PARSERS: Mapping[str, Any] = {
    "float": _float,
    "int": _int,
    "bool": _bool,
    "str": _str,
    "choice": _choice,
    "ints": _ints,
    "floats": _floats,
    "names": _names,
    "seeds": _seeds,
    "choices": _choices,
    "codes": _codes,
}


def declare(
    kind: str,
    default: Any,
    meaning: str,
    source: str,
    *,
    hard: Range | None = None,
    guide: Range | None = None,
    choices: tuple[str, ...] = (),
    nullable: bool = False,
    unit: str = "",
    aliases: tuple[str, ...] = (),
    only: str = "",
) -> Any:
    """A dataclass field that carries its own Parameter (all but the name, which is the field's)."""
    parameter = Parameter("", kind, default, meaning, source, hard, guide, choices, nullable, unit, aliases, only)
    return field(default=default, metadata={"parameter": parameter})


def parameters_of(section: type) -> dict[str, Parameter]:
    """The parameters that a section's dataclass declares, by name and in order."""
    return {
        each.name: dataclasses.replace(each.metadata["parameter"], name=each.name)
        for each in dataclasses.fields(section)
        if "parameter" in each.metadata
    }
