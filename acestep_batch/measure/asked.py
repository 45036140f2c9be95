"""Tempo and key that were asked for, against those that are heard; knows no audio."""

from __future__ import annotations

import re
from enum import StrEnum

from acestep_batch.measure.columns import Column

OCTAVES = (1 / 3, 1 / 2, 1.0, 2.0, 3.0)
"""What may be heard of a tempo without being wrong: half or double of it, or a third in ternary metres."""
_NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_KEY = re.compile(r"\s*([A-Ga-g])\s*([#♯]|[b♭])?\s*(major|maj|minor|min|m)?\s*", re.IGNORECASE)


class KeyMatch(StrEnum):
    """How a key is related to another, best first, as MIREX scores it: 1, 0.5, 0.3, 0.2, 0."""

    SAME = "same"
    FIFTH = "fifth"
    """The heard key's tonic is a fifth above or below, in the same mode."""
    RELATIVE = "relative"
    """The same notes: C major and A minor."""
    PARALLEL = "parallel"
    """The same tonic: C major and C minor."""
    OTHER = "other"


TARGET_COLUMNS = (
    Column(
        "asked_bpm", "1/min", "Int64", "Tempo to hold against `tempo_bpm`: the row's, else the plan's.", "the record"
    ),
    Column("asked_key", "", "string", "Key to hold against `key`: the row's, else the plan's.", "the record"),
)
"""What an engine was asked for, or has decided by itself; only songs of 1.5 have them."""

ASKED_COLUMNS = (
    *TARGET_COLUMNS,
    Column(
        "tempo_error_percent",
        "%",
        "Float64",
        "Heard against asked tempo; half, double, a third or three times of it count as the same.",
        "100 (heard / (factor x asked) - 1), nearest factor; 4 is MIREX's limit",
        2,
    ),
    Column(
        "key_match",
        "",
        "string",
        "Heard against asked key: `same`, `fifth`, `relative`, `parallel` or `other`.",
        "MIREX audio key detection",
    ),
)
"""For engines that are asked for a tempo and a key."""


def tempo_error_percent(asked_bpm: float | None, heard_bpm: float | None) -> float | None:
    """How far the heard tempo is from the asked one, or from the nearest multiple of it. None where one is missing."""
    if asked_bpm is None or heard_bpm is None:
        return None
    return min((100 * (heard_bpm / (asked_bpm * factor) - 1) for factor in OCTAVES), key=abs)


def key_match(asked: str | None, heard: str | None) -> KeyMatch | None:
    """How the heard key is related to the asked one. None where one is missing, or no key: `C`, `Bb minor`, `F#m`."""
    first, second = (None if name is None else _parsed(name) for name in (asked, heard))
    if first is None or second is None:
        return None
    (tonic, is_minor), (other, other_is_minor) = first, second
    up = (other - tonic) % 12
    if is_minor == other_is_minor:
        return KeyMatch.SAME if up == 0 else KeyMatch.FIFTH if up in (5, 7) else KeyMatch.OTHER
    if up == (3 if is_minor else 9):
        return KeyMatch.RELATIVE
    return KeyMatch.PARALLEL if up == 0 else KeyMatch.OTHER


def _parsed(name: str) -> tuple[int, bool] | None:
    """Pitch class of the tonic, and whether it is minor; without a mode it is major."""
    match = _KEY.fullmatch(name)
    if match is None:
        return None
    note, accidental, mode = match.groups()
    step = 0 if accidental is None else 1 if accidental in "#♯" else -1
    is_minor = mode is not None and (mode == "m" or mode.lower().startswith("min"))
    return (_NOTES[note.upper()] + step) % 12, is_minor
