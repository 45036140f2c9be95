"""Faults with real processes: a few kills always, a seeded tenth of ``python -m tests.faults`` with ``-m slow``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GOALS = {"L1", "L2", "L3", "L4", "L5", "L7", "R2"}


def tried(file: Path, *words: str) -> list[dict]:
    """The results of trials, every one as it must be."""
    command = [sys.executable, "-m", "tests.faults", "--json", str(file), *words]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return [each for each in json.loads(file.read_text(encoding="utf-8"))["results"] if not each["skipped"]]


@pytest.mark.skipif(sys.platform != "linux", reason="the faults are Linux's")
def test_five_killed_runs_lose_nothing(tmp_path):
    (result,) = tried(tmp_path / "results.json", "--only", "L1 SIGKILL at any moment", "--most", "5")
    assert result["trials"] >= 5
    assert result["failed"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="the faults are Linux's")
def test_no_trials_are_no_success():
    command = [sys.executable, "-m", "tests.faults", "--only", "L99"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert (ended.returncode, "means no trials" in ended.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the faults are Linux's")
def test_a_tenth_of_all_faults_does_no_harm_and_every_control_fails(tmp_path):
    results = tried(tmp_path / "results.json", "--seed", "20261122")
    assert {each["goal"] for each in results} >= GOALS - {"L3"}  # power cuts need a disk of their own
    for each in results:
        assert each["trials"], each["what"]
        assert bool(each["failed"]) is each["is_control"], each["what"]
