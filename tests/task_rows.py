"""What tests of tasks share: runs of rows with the embedded model in a folder of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acestep_batch.cli import main

PLAIN = ("model=embedded", "hw=cpu", "measure=false", "report=false")
SHORT = (*PLAIN, "audio_duration=1", "infer_step=2", "lint=off", "manifest.path=songs.json")
MAKE = {"id": "make", "seed": 1, "prompt": "pop, drums", "lyrics": "[verse]\nla la la\n", "audio_duration": 2}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, empty, with a cache of its own beside it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "work"


def run(*rows, words=(), folder=Path("outputs/songs/v0001")):
    """Renders rows; the exit code, and the records by id."""
    Path("songs.json").write_text(json.dumps(rows), encoding="utf-8")
    code = main((*SHORT, *words))
    return code, records(folder) if folder.exists() else {}


def records(folder):
    """The record that counts of every song."""
    lines = (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
    return {record["id"]: record for record in map(json.loads, lines)}
