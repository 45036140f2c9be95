"""Every promise of docs/reliability.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
PROMISES = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| promise"))
]


def problem(proof: str) -> str | None:
    """What is wrong with one proof: a test file, or one of its tests."""
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
    "proof", ["tests/test_nothing.py", "tests/test_lock.py::test_nothing", "docs", "tests/support.py"]
)
def test_a_proof_that_is_none_is_found(proof):
    assert problem(proof) is not None
