"""Asks what comes of hostile inputs: ``python -m tests.hostile [beginnings of names]``; exit 1 on a complaint."""

from __future__ import annotations

import sys

from .corpus import CASES
from .server import Child


def main(beginnings: list[str]) -> int:
    asked = [name for name in CASES if not beginnings or name.startswith(tuple(beginnings))]
    failures = 0
    with Child() as child:
        for name in asked:
            complaints = child.ask(name)["complaints"]
            if complaints:
                failures += 1
                print("FAIL", name, *(complaint[:700] for complaint in complaints), sep="\n    ")
    print(f"{len(asked)} inputs, {failures} failures")
    return 1 if failures else 0


sys.exit(main(sys.argv[1:]))
