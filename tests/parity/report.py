"""The table and the summary, for a terminal of 80 columns."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from .checks import Check, Verdict

WIDTH = 80
ROW = "{:<5} {:<23} {:<19} {:>8} {:>9} {}"
SUMMARY = "{:<14} {:>5} {:>6} {:>6} {:>6} {:>11}  {}"
STAGES = {
    "a": "lyrics",
    "b": "text encoder",
    "c": "transformer",
    "d": "guidance",
    "e": "schedulers",
    "f": "audio",
    "g": "songs",
}


def table(checks: Iterable[Check]) -> Iterator[str]:
    """For each case the comparison that came closest to its tolerance, or all that did not pass."""
    yield ROW.format("stage", "case", "closest comparison", "error", "tolerance", "pass")
    for _, group in groupby(checks, key=lambda check: (check.stage, check.case)):
        case = list(group)
        passed = [check for check in case if check.verdict is Verdict.PASS]
        if passed:
            yield _row(max(passed, key=lambda check: check.ratio))
        for check in case:
            if check.verdict is not Verdict.PASS:
                yield _row(check)
            if check.verdict is Verdict.FAIL and check.note:
                yield from textwrap.wrap(check.note, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def summary(checks: Sequence[Check]) -> Iterator[str]:
    """Counts of each stage, then why cases were left out or compared with something else."""
    yield SUMMARY.format("stage", "cases", "checks", "passed", "failed", "not checked", "worst*")
    for stage in sorted({check.stage for check in checks}):
        own = [check for check in checks if check.stage == stage]
        counts = [sum(check.verdict is verdict for check in own) for verdict in Verdict]
        ratios = [check.ratio for check in own if not math.isnan(check.tolerance)]
        worst = f"{max(ratios):.3f}" if ratios else "-"
        yield SUMMARY.format(f"{stage} {STAGES[stage]}", len({check.case for check in own}), len(own), *counts, worst)
    yield "* the largest error of a comparison over its tolerance"
    for (what, reason), cases in _reasons(checks).items():
        yield ""
        yield from textwrap.wrap(f"{what}: {', '.join(cases)}: {reason}", WIDTH, subsequent_indent="  ")


def _row(check: Check) -> str:
    skipped = check.verdict is Verdict.NOT_CHECKED
    error, tolerance = ("-", "-") if skipped else (_number(check.error), _number(check.tolerance))
    return ROW.format(check.stage, check.case, check.what, error, tolerance, check.verdict.value)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.0f}" if value.is_integer() and value < 1e6 else f"{value:.1e}"


def _reasons(checks: Sequence[Check]) -> dict[tuple[str, str], list[str]]:
    """What happened and why, with the names of the cases, for all that was not simply compared with the recording."""
    found: dict[tuple[str, str], list[str]] = {}
    for check in checks:
        if check.note and check.verdict is not Verdict.FAIL:
            what = "expected difference" if check.verdict is Verdict.PASS else check.verdict.value
            found.setdefault((what, check.note), []).append(f"{check.stage}/{check.case}")
    return found
