"""Numbers, truth values, texts and lists from what a cell of a table, JSON or YAML holds."""

from __future__ import annotations

import json
import re

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_SURROGATE = re.compile("[\ud800-\udfff]")
_BETWEEN_ITEMS = re.compile(r"[\s;,]+")
LONGEST_TEXT = 100_000
"""Characters of one text: many times the words of the longest song. What is longer is no lyrics but a mistake, and the
lyric encoder's time and memory grow with the square of it."""
_DECIMAL_COMMA = re.compile(r"\s*-?\d+,\d+\s*")


def number(raw: object) -> float:
    """A number from an int, a float or their text; 1_000 is refused, as it could be a slip of the pen.

    Raises:
        ValueError: it is none.
        OverflowError: it is a whole number too large for a float.
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float | str) or (isinstance(raw, str) and "_" in raw):
        raise ValueError("is not a number")
    try:
        return float(raw)
    except ValueError:
        comma = isinstance(raw, str) and _DECIMAL_COMMA.fullmatch(raw)
        raise ValueError("is not a number" + (" (write a point for the comma)" if comma else "")) from None


def whole(raw: object) -> int:
    """A whole number from an int, an integral float or their text; never from a bool.

    Raises:
        ValueError, OverflowError: it is none.
    """
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().isdecimal():
        return int(raw)
    value = number(raw)
    if not value.is_integer():  # nor are infinities and NaN
        raise ValueError("is not a whole number")
    return int(value)


def truth(raw: object) -> bool:
    """True or false in the spellings of JSON, YAML and spreadsheets.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower() if isinstance(raw, str | int) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("is neither true nor false")


def text(raw: object) -> str:
    """A text with ``\\n`` at the ends of its lines, or a number or truth value as text.

    Raises:
        ValueError: it is none, is too long, or holds characters that no file can hold.
    """
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, str):
        if "\0" in raw:
            raise ValueError("holds a NUL character")
        if not raw.isascii() and _SURROGATE.search(raw):
            raise ValueError("holds half a character (a lone surrogate)")
        if len(raw) > LONGEST_TEXT:
            raise ValueError(f"has {len(raw):,} characters, and {LONGEST_TEXT:,} are the most")
        return raw.replace("\r\n", "\n").replace("\r", "\n") if "\r" in raw else raw
    if isinstance(raw, int | float):
        return str(raw)
    raise ValueError("is not text")


def items(raw: object) -> list[object]:
    """The items of a list, or of a text that lists them: ``1 2 3``, ``1;2;3``, ``1,2,3`` or JSON.

    Anything else is a single item.

    Raises:
        ValueError: it begins as JSON and is none.
    """
    if isinstance(raw, list | tuple):
        return list(raw)
    if not isinstance(raw, str):
        return [raw]
    listed = raw.strip()
    if listed.startswith("["):
        try:
            return list(json.loads(listed))
        except (ValueError, RecursionError):
            raise ValueError("is not a list") from None
    return [listed] if listed.isalnum() else [item for item in _BETWEEN_ITEMS.split(listed) if item]
