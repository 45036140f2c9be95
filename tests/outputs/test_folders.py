"""Parallel runs never share a version folder, and looking at the disk changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from acestep_batch.outputs.folders import check_writable, claim_version, free_bytes
from acestep_batch.problems import Refused


def test_versions_count_up_and_gaps_stay_gaps(tmp_path: Path) -> None:
    assert claim_version(tmp_path / "new" / "root", "demo") == tmp_path / "new" / "root" / "demo" / "v0001"
    for existing in ("v0002", "v0007", "v01", "v8", "notes", "v0009.txt"):
        (tmp_path / "demo" / existing).mkdir(parents=True)
    assert claim_version(tmp_path, "demo").name == "v0008"
    assert claim_version(tmp_path, "demo").name == "v0009"
    (tmp_path / "demo" / "v0010").write_text("a file")
    assert claim_version(tmp_path, "demo").name == "v0011"
    (tmp_path / "demo" / "v9999").mkdir()
    assert claim_version(tmp_path, "demo").name == "v10000"
    assert claim_version(tmp_path, "demo").name == "v10001"


def test_the_name_is_made_safe(tmp_path: Path) -> None:
    assert claim_version(tmp_path, "../my: songs. ").parent == tmp_path / "_my_ songs"
    assert claim_version(tmp_path, "nul").parent.name == "_nul"
    assert len(claim_version(tmp_path, "x" * 500).parent.name) == 64


def test_threads_never_share_a_version(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: claim_version(tmp_path, "demo"), range(60)))
    assert sorted(folder.name for folder in claimed) == [f"v{number:04d}" for number in range(1, 61)]


def test_processes_never_share_a_version(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from acestep_batch.outputs.folders import claim_version
sys.stdin.readline()
for _ in range(40):
    print(claim_version(Path(sys.argv[1]), "demo").name)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    runs = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    claimed = [name for run in runs for name in run.communicate()[0].split()]
    assert sorted(claimed) == [f"v{number:04d}" for number in range(1, 121)]


def test_a_root_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused) as refused:
        claim_version(tmp_path / "file" / "below", "demo")
    (problem,) = refused.value.problems
    assert str(tmp_path / "file") in str(problem)
    assert "output.root=" in problem.remedy
    assert "\n" not in str(problem)


def test_looking_creates_nothing(tmp_path: Path) -> None:
    assert check_writable(tmp_path / "a" / "b") is None
    assert free_bytes(tmp_path / "a" / "b") == pytest.approx(free_bytes(tmp_path), rel=0.1)
    assert free_bytes(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_found_without_writing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    problem = check_writable(tmp_path / "file" / "below")
    assert problem is not None
    assert "is a file" in problem.message


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind")
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_without_permission_is_found_without_writing(tmp_path: Path, mode: int) -> None:
    (tmp_path / "locked").mkdir(mode=mode)
    problem = check_writable(tmp_path / "locked" / "below")
    assert problem is not None
    assert "not writable" in problem.message
    with pytest.raises(Refused):
        claim_version(tmp_path / "locked", "demo")
    (tmp_path / "locked").chmod(0o755)
