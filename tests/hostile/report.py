"""Inputs asked about in one process after the other, and what came of them in lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .controls import CONTROLS
from .corpus import CASES
from .fuzz import kind_of
from .server import PATIENCE_S, Child

HANGING_S = 6.0
"""How long the control that never ends may take."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one input."""

    id: str
    group: str
    code: int | None
    """How the command ended; None where it did not, and of a control."""
    cpu_s: float
    peak_bytes: int
    complaints: tuple[str, ...]
    """What must not be; of a control, that it drew no complaint such as it must."""


def asked(ids: Iterable[str]) -> Iterator[Answer]:
    """Ask a child of our own about each."""
    with Child() as child:
        for each in ids:
            yield answer_of(child, each)


def answer_of(child: Child, case_id: str) -> Answer:
    """What came of an input, or of a control."""
    if case_id not in CONTROLS:
        found = child.ask(case_id, PATIENCE_S)
        return Answer(
            case_id, _group(case_id), found["code"], found["cpu_s"], found["peak_bytes"], tuple(found["complaints"])
        )
    wanted = CONTROLS[case_id][1]
    found = child.ask(case_id, HANGING_S if wanted == "did not end" else PATIENCE_S)
    is_found_out = any(wanted in complaint for complaint in found["complaints"])
    complaints = () if is_found_out else (f"the control was not found out: {found['complaints']}",)
    return Answer(case_id, "control", None, found["cpu_s"], found["peak_bytes"], complaints)


def _group(case_id: str) -> str:
    if case_id in CONTROLS:
        return "control"
    return f"fuzz {kind_of(int(case_id.rpartition('-')[2]))}" if case_id not in CASES else CASES[case_id].group


def table(answers: Sequence[Answer]) -> Iterator[str]:
    """A line for each class: its inputs, what came of them, and the most that one took."""
    yield f"{'class':<26}{'inputs':>8}{'refused':>9}{'inert':>7}{'failures':>10}{'most s':>8}{'most MiB':>10}"
    for group in sorted({each.group for each in answers}):
        own = [each for each in answers if each.group == group]
        count = _counts(own)
        cpu_s, peak_mib = max(each.cpu_s for each in own), max(each.peak_bytes for each in own) / 2**20
        ends = f"{count['refused']:>9,}{count['inert']:>7,}{count['failure']:>10,}"
        yield f"{group:<26}{len(own):>8,}{ends}{cpu_s:>8.1f}{peak_mib:>10.0f}"


def summary(answers: Sequence[Answer], seconds: float) -> str:
    """All of it in one line."""
    inputs = [each for each in answers if each.group != "control"]
    controls, count = [each for each in answers if each.group == "control"], _counts(inputs)
    found_out = sum(not each.complaints for each in controls)
    told = f"; {found_out} of {len(controls)} controls found out" if controls else ""
    classes = len({each.group for each in inputs})
    ends = f"{count['refused']:,} refused, {count['inert']:,} inert, {count['failure']:,} failures"
    return f"{len(inputs):,} inputs in {classes} classes: {ends}{told}; {seconds:.0f} s"


def _counts(answers: Iterable[Answer]) -> Counter[str]:
    return Counter("failure" if each.complaints else "refused" if each.code == 2 else "inert" for each in answers)
