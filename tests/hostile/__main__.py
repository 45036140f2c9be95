"""Asks what comes of hostile inputs: ``python -m tests.hostile [beginnings of names] [--fuzz N] [--seed S]``.

Without names, and without ``--fuzz``, it is the whole corpus and the controls, which do what must draw a complaint.
``--fuzz`` makes N inputs at random in their place; a complaint names the input, which alone, given as a name, is made
again. Ends with 1 on a complaint, or on a control that draws none.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the tiny checkpoint that tests share lies there

from .controls import CONTROLS
from .corpus import CASES
from .report import Answer, asked, summary, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of the names of inputs")
    parser.add_argument("--fuzz", type=int, metavar="N", help="make N inputs at random")
    parser.add_argument("--seed", type=int, default=1, help="what they follow from (default 1)")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), metavar="N", help="processes")
    arguments = parser.parse_args()
    names = tuple(arguments.names)
    if arguments.fuzz is not None:
        ids = [f"fuzz-{arguments.seed}-{number}" for number in range(arguments.fuzz)]
    else:
        ids = [each for each in (*CASES, *CONTROLS) if not names or each.startswith(names)]
        ids += [each for each in names if each.startswith("fuzz-")]
    started = time.monotonic()
    answers = _all(ids, arguments.workers)
    print(*table(answers), summary(answers, time.monotonic() - started), sep="\n")
    return 1 if not answers or any(each.complaints for each in answers) else 0


def _all(ids: Sequence[str], workers: int) -> list[Answer]:
    """The answers in the order in which they come; complaints are printed as they come."""
    waiting, guard, found = iter(ids), Lock(), list[Answer]()

    def work(_: int) -> None:
        for answer in asked(_shared(waiting, guard)):
            with guard:
                found.append(answer)
                if answer.complaints:
                    print("FAIL", answer.id, *map(_shortened, answer.complaints), sep="\n    ", flush=True)

    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(work, range(workers)))
    return found


def _shortened(complaint: str) -> str:
    """A traceback says at its end what it is about."""
    return complaint if len(complaint) <= 700 else f"{complaint[:200]} ... {complaint[-500:]}"


def _shared(ids: Iterable[str], guard: Lock) -> Iterable[str]:
    while True:
        with guard:
            each = next(iter(ids), None)
        if each is None:
            return
        yield each


if __name__ == "__main__":
    sys.exit(main())
