"""The ``key=value`` words of a verb, checked: nothing unknown, nothing twice."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from acestep_batch.parameter import did_you_mean
from acestep_batch.problems import Problem, Refused


def parse_words(verb: str, words: Sequence[str], allowed: Collection[str]) -> dict[str, str]:
    """Split ``key=value`` words; the value may hold further ``=`` signs.

    Raises ``Refused`` with every word that is not ``key=value``, whose key is not ``allowed`` or stands twice.
    """
    values: dict[str, str] = {}
    problems: list[Problem] = []
    remedy = "allowed: " + ", ".join(f"{key}=" for key in allowed)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            problems.append(Problem(verb, f"`{word}` is not key=value", remedy))
        elif key not in allowed:
            problems.append(Problem(verb, f"`{key}=` is unknown{did_you_mean(key, allowed)}", remedy))
        elif key in values:
            problems.append(Problem(verb, f"`{key}=` stands twice", "give it once"))
        else:
            values[key] = value
    if problems:
        raise Refused(problems)
    return values
