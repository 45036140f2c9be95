"""Every promise of docs/reliability.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| promise", "| goal"))
]
PROMISES = [row for row in ROWS if len(row) == 2]
TRIALS = [row for row in ROWS if len(row) == 5]
"""Goal, what was tried, trials, failures, seconds: the last full run of all faults."""


def goal_problem(goal: str) -> str | None:
    """What is wrong with a goal: never tried, or not reached. A control must fail."""
    own = [row for row in TRIALS if row[0] == goal]
    bad = [what for _, what, trials, failures, _ in own
           if trials == "0" or (failures == "0") is ("control: must fail" in what)]  # fmt: skip
    return f"{goal} was not tried" if not own else "; ".join(bad) or None


def problem(proof: str) -> str | None:
    """What is wrong with one proof: a goal, a test file, or one of its tests."""
    if re.fullmatch(r"[A-Z]\d", proof):
        return goal_problem(proof)
    file, _, test = proof.partition("::")
    path = ROOT / file
    if not path.is_file():
        return f"{file} does not exist"
    names = {
        node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)
    }
    if not test:
        return None if any(name.startswith("test_") for name in names) else f"{file} holds no tests"
    return None if test in names else f"{file} has no {test}"


def test_there_are_promises():
    assert len(PROMISES) >= 20


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise[0][:40])
def test_every_promise_is_held_by_tests_that_exist(promise):
    text, held_by = promise
    proofs = re.findall(r"`([^`]+)`", held_by)
    assert proofs, text
    assert [found for proof in proofs if (found := problem(proof))] == []


@pytest.mark.parametrize(
    "proof", ["L9", "tests/test_nothing.py", "tests/test_lock.py::test_nothing", "docs", "tests/support.py"]
)
def test_a_proof_that_is_none_is_found(proof):
    assert problem(proof) is not None
