"""Compare the 1.5 engine with every recording in a pack: ``python -m tests.parity15 PACK_DIR [--tokenizer DIR]``.

A pack is a folder laid out as ``tests/golden/v15/README.md`` describes. Ends with 0 when no comparison failed, with 1
when one did, and with 2 when there was nothing to compare.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from acestep_batch.engine.one_thread import one_thread

from ..parity.checks import Case, Check, Verdict
from .pack import Pack
from .report import failures, reasons, table
from .stages import STAGES


def compare(pack: Pack) -> Iterator[Check]:
    """All comparisons, stage by stage; what a pack does not hold is left out."""
    for name, stage in STAGES.items():
        yield from Case(name, "reading").guarded(partial(stage, pack))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.parity15", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pack", type=Path, metavar="PACK_DIR", help="recordings of the reference")
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="a planner's checkpoint, for its tokenizer")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    with one_thread(), torch.inference_mode():
        checks = list(compare(Pack(options.pack, options.tokenizer)))
    compared = [check for check in checks if check.verdict in {Verdict.PASS, Verdict.FAIL}]
    if not compared:
        print(f"{options.pack}: nothing to compare; give the folder that holds the recordings")
        return 2
    for line in (*table(checks), *reasons(checks), "", *failures(checks)):
        print(line)
    failed = sum(check.verdict is Verdict.FAIL for check in checks)
    print(f"{failed} of {len(compared)} comparisons failed, {time.perf_counter() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
