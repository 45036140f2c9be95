"""Seconds and audio codes of ACE-Step 1.5; no torch."""

from __future__ import annotations

CODES_PER_SECOND = 5


def target_codes(duration_s: float) -> int:
    """Whole audio codes in ``duration_s`` seconds."""
    return int(duration_s * CODES_PER_SECOND)


def whole_seconds(duration_s: float) -> int:
    """A length as the models read it: fractions of a second are cut off."""
    return int(duration_s)
