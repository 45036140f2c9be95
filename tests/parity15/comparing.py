"""Comparisons of texts and tables, on top of the checks that both parity commands share."""

from __future__ import annotations

from ..parity.checks import Case, Check


def equal(case: Case, what: str, ours: object, theirs: object) -> Check:
    """Whether ours is the recording itself."""
    return case.check(what, float(ours != theirs), note="" if ours == theirs else _shown(ours, theirs))


def own_rule(case: Case, what: str, ours: object, expected: object, reason: str) -> Check:
    """Where the engine differs from the reference on purpose: whether it does what it does instead, and why."""
    return case.check(what, float(ours != expected), note=reason if ours == expected else _shown(ours, expected))


def _shown(ours: object, theirs: object) -> str:
    return f"{ours!r:.300} in place of {theirs!r:.300}"
