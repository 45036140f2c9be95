"""The committed run of the embedded model sounds as it did: bit for bit where it was made, else in a named tier."""

from __future__ import annotations

import shutil
from pathlib import Path

from acestep_batch.cli import main

RUN = Path(__file__).resolve().parents[1] / "docs" / "example_run"


def test_the_committed_run_is_verified(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(RUN, tmp_path / "run")
    assert main(("verify", "run")) == 0
    assert "2 songs: 2 ok" in capsys.readouterr().out
