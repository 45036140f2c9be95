"""Try faults with real processes: ``python -m tests.faults [--seed S] [--full] [--only L1,L2] [--json FILE]``.

Prints a line for each kind of trial and a table at the end. A control breaks the product on purpose: it must fail, or
its goal does. Ends with 0 when everything is as it must be, else with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the engines that tests share lie there

from . import corruption, environments, errors, exhaustion, kernel, kills, power, runners, starvation
from .crew import Crew, crew
from .report import Job, Result, Size, carried_out, details, line, table

GOALS: tuple[Callable[[Crew, int, Size], Iterator[Job]], ...] = (
    kills.jobs,
    errors.jobs,
    kernel.jobs,
    power.jobs,
    starvation.jobs,
    exhaustion.jobs,
    corruption.jobs,
    runners.jobs,
    environments.jobs,
)
TENTH = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="what all random choices follow from (default 1)")
    parser.add_argument("--full", action="store_true", help="all trials; else a tenth of them")
    parser.add_argument("--most", type=int, metavar="N", help="at most so many trials of a kind")
    parser.add_argument("--only", default="", metavar="L1,...", help="goals, or the beginnings of the lines to print")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1), metavar="N", help="processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    arguments = parser.parse_args()
    sys.dont_write_bytecode = True  # children would do it, which is no part of a run
    size = Size(1.0 if arguments.full else TENTH, arguments.most)
    results = []
    with crew(arguments.workers) as workers:
        for goal in GOALS:
            for job in goal(workers, arguments.seed, size):
                if not job.title.startswith(tuple(arguments.only.split(","))):
                    continue
                results.append(carried_out(job))
                print(line(results[-1], arguments.seed), *details(results[-1]), sep="\n", flush=True)
    if not results:
        parser.error(f"--only {arguments.only} means no trials")
    print("", table(results), sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(_plain(results, arguments.seed), indent=2) + "\n", encoding="utf-8")
    return 0 if all(result.is_good for result in results) else 1


def _plain(results: list[Result], seed: int) -> dict[str, object]:
    return {
        "seed": seed,
        "results": [
            {
                "goal": each.job.goal,
                "what": each.job.what,
                "is_control": each.job.is_control,
                "skipped": each.job.skipped,
                "trials": each.trials,
                "figures": each.figures,
                "seconds": round(each.seconds, 1),
                "failed": [asdict(trial) for trial in each.failed],
            }
            for each in results
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
