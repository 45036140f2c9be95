"""The table of stages and checks, and what it cannot say in numbers, for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from ..parity.checks import Check, Verdict

WIDTH = 80
ROW = "{:<22} {:>7} {:>8} {:>8} {:>8} {:>12}"


def table(checks: Sequence[Check]) -> Iterator[str]:
    """A line for each stage, in the order in which the stages ran."""
    yield ROW.format("stage", "cases", "checks", "passed", "failed", "not checked")
    for stage in dict.fromkeys(check.stage for check in checks):
        own = [check for check in checks if check.stage == stage]
        count = Counter(check.verdict for check in own)
        counts = (count[verdict] for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.NOT_CHECKED))
        yield ROW.format(stage, len({check.case for check in own}), len(own), *counts)


def failures(checks: Sequence[Check]) -> Iterator[str]:
    """Every comparison that failed, with what is known of it."""
    for check in checks:
        if check.verdict is Verdict.FAIL:
            text = f"FAIL {check.stage}/{check.case}, {check.what}: {check.note or f'off by {check.error:g}'}"
            yield from textwrap.wrap(text, WIDTH, subsequent_indent="  ")


def reasons(checks: Sequence[Check]) -> Iterator[str]:
    """What was not checked, and where something else than equality was checked on purpose; with the reasons."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for check in checks:
        if check.note and check.verdict is not Verdict.FAIL:
            what = "expected difference" if check.verdict is Verdict.PASS else check.verdict.value
            found.setdefault((what, check.note), Counter())[check.stage] += 1
    for (what, reason), stages in found.items():
        where = ", ".join(f"{stage} ({count})" for stage, count in stages.items())
        yield ""
        yield from textwrap.wrap(f"{what}: {where}: {reason}", WIDTH, subsequent_indent="  ")
