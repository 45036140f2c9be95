"""How one parameter is declared, read from text or data, and checked; knows no particular parameter."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

RANDOM = "random"
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_SURROGATE = re.compile("[\ud800-\udfff]")
_BETWEEN_ITEMS = re.compile(r"[\s;,]+")


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers from ``low`` to ``high``, both included unless ``above`` excludes the low end; and those in ``also``."""

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

    ``kind`` is one of ``float``, ``int``, ``bool``, ``str``, ``choice``, ``ints``, ``seeds``, ``choices``.
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

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        texts = {
            "bool": "true or false",
            "str": "text",
            "ints": f"a list of whole numbers, each {self.hard}, as [1, 2, 3] or 1;2;3",
            "seeds": f"a whole number {self.hard}, a list of them, or {RANDOM}",
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
            raise ValueError(f"{shown(raw)} {reason}; allowed: {self.allowed}{_did_you_mean(raw, self.choices)}") from None


def shown(raw: object) -> str:
    """A value as a message quotes it: short, and on one line."""
    text = repr(raw)
    return text if len(text) <= 60 else text[:57] + "..."


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
    return _inside(parameter, _number(raw))


def _int(parameter: Parameter, raw: object) -> Any:
    if isinstance(raw, str) and raw in parameter.choices:
        return raw
    return _inside(parameter, _whole(raw))


def _inside(parameter: Parameter, number: float) -> float:
    if parameter.hard is not None and number not in parameter.hard:
        raise ValueError("is outside the allowed range")
    return number


def _number(raw: object) -> float:
    """A number from an int, a float or their text as people write it: 1_000 could be a slip, so it is refused."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str) or (isinstance(raw, str) and "_" in raw):
        raise ValueError("is not a number")
    try:
        return float(raw)
    except ValueError:
        comma = isinstance(raw, str) and re.fullmatch(r"\s*-?\d+,\d+\s*", raw)
        raise ValueError("is not a number" + (" (write a point for the comma)" if comma else "")) from None


def _whole(raw: object) -> int:
    """A whole number from an int, an integral float or their text; never from a bool."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().isdecimal():
        return int(raw)
    number = _number(raw)
    if not number.is_integer():  # nor are infinities and NaN
        raise ValueError("is not a whole number")
    return int(number)


def _bool(parameter: Parameter, raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    text = str(raw).strip().lower() if isinstance(raw, str | int) else ""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("is neither true nor false")


def _str(parameter: Parameter, raw: object) -> str:
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, str):
        if "\0" in raw:
            raise ValueError("holds a NUL character")
        if not raw.isascii() and _SURROGATE.search(raw):
            raise ValueError("holds half a character (a lone surrogate)")
        return raw.replace("\r\n", "\n").replace("\r", "\n") if "\r" in raw else raw
    if isinstance(raw, int | float):
        return str(raw)
    raise ValueError("is not text")


def _choice(parameter: Parameter, raw: object) -> str:
    text = "off" if raw is False else raw  # YAML reads a plain off as false
    if isinstance(text, str) and text.strip().lower() in parameter.choices:
        return text.strip().lower()
    raise ValueError("is not one of the choices")


def _items(raw: object) -> list[object]:
    """The items of a list, or of a text that lists them: ``1 2 3``, ``1;2;3``, ``1,2,3`` or JSON."""
    if isinstance(raw, list | tuple):
        return list(raw)
    if not isinstance(raw, str):
        return [raw]
    text = raw.strip()
    if text.startswith("["):
        try:
            items = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError("is not a list") from None
        return list(items)
    return [text] if text.isalnum() else [item for item in _BETWEEN_ITEMS.split(text) if item]


def _ints(parameter: Parameter, raw: object) -> tuple[int, ...]:
    numbers = tuple(_whole(item) for item in _items(raw))
    for number in numbers:
        if parameter.hard is not None and number not in parameter.hard:
            raise ValueError(f"holds {number}, which is outside the allowed range")
    return numbers


def _seeds(parameter: Parameter, raw: object) -> tuple[int, ...] | str:
    if isinstance(raw, str) and raw.strip().lower() == RANDOM:
        return RANDOM
    seeds = _ints(parameter, raw)
    if len(set(seeds)) != len(seeds):
        raise ValueError("names a seed twice")
    return seeds


def _choices(parameter: Parameter, raw: object) -> tuple[str, ...]:
    chosen = tuple(_choice(parameter, item) for item in _items(raw))
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
    "seeds": _seeds,
    "choices": _choices,
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
) -> Any:
    """A dataclass field that carries its own Parameter (all but the name, which is the field's)."""
    parameter = Parameter("", kind, default, meaning, source, hard, guide, choices, nullable, unit, aliases)
    return field(default=default, metadata={"parameter": parameter})


def parameters_of(section: type) -> dict[str, Parameter]:
    """The parameters that a section's dataclass declares, by name and in order."""
    return {
        each.name: dataclasses.replace(each.metadata["parameter"], name=each.name)
        for each in dataclasses.fields(section)
        if "parameter" in each.metadata
    }
