"""Runs of v1 from a checkpoint in the published layout: where the weights came from, and the language of lyrics."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tiny_v1 import COMMIT, snapshot_in

from acestep_batch.cli import main
from acestep_batch.engine.checkpoint import LYRIC_VOCAB, PUBLISHED_FILES

SHORT = ("model=v1", "hw=cpu", "manifest.path=songs.json", "infer_step=2", "audio_duration=0.5", "lint=off",
         "measure=false", "report=false")  # fmt: skip
UNREADABLE = "゛っゝ"
"""A line that the library for Japanese fails on."""


@pytest.fixture
def snapshot(tmp_path, monkeypatch):
    """The checkpoint in a hub cache of its own; the working folder is empty beside it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # hashes of files are remembered there
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return snapshot_in(tmp_path / "hub")


def songs(*rows):
    Path("songs.json").write_text(json.dumps(rows), encoding="utf-8")


def records(folder):
    lines = (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
    return {record["id"]: record for record in map(json.loads, lines)}


def sources(folder):
    """What is said about the weights: in the run's environment, and in the record of its only song."""
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    (sidecar,) = (folder / "audio").glob("*.json")
    return environment["model"], json.loads(sidecar.read_text(encoding="utf-8"))["record"]["engine"]


def test_records_name_the_revision_the_commit_and_the_hash_of_every_file(snapshot):
    songs({"id": "a", "lyrics": "[verse]\nla la"})
    assert main(SHORT) == 0
    for found in sources(Path("outputs/songs/v0001")):
        assert (found["revision"], found["commit"]) == ("main", COMMIT)
        assert [file["path"] for file in found["files"]] == [*PUBLISHED_FILES, LYRIC_VOCAB]
        for file in found["files"]:
            assert file["sha256"] == hashlib.sha256((snapshot / file["path"]).read_bytes()).hexdigest()
    moved = snapshot.rename(snapshot.parents[3] / "mine")
    assert main((*SHORT, f"model.path={moved}", "output.name=mine")) == 0
    for found in sources(Path("outputs/mine/v0001")):
        assert (found["revision"], found["commit"]) == (None, None)
        assert len(found["files"]) == len(PUBLISHED_FILES) + 1


def test_the_language_of_lyrics_is_heard_and_recorded(snapshot):
    row = {"lyrics": "la 12 la", "seed": 1}
    songs({"id": "a", **row}, {"id": "b", **row, "lyrics_language": "de"}, {"id": "c", **row, "lyrics_language": "de"})
    assert main(SHORT) == 0
    by_id = records(Path("outputs/songs/v0001"))
    assert {id_: record["lyrics_language"] for id_, record in by_id.items()} == {"a": None, "b": "de", "c": "de"}
    assert by_id["b"]["pcm_sha256"] == by_id["c"]["pcm_sha256"] != by_id["a"]["pcm_sha256"]


def test_lyrics_that_cannot_be_read_stop_a_run_before_it_starts(snapshot, capsys):
    songs({"id": "a", "lyrics": f"la\n{UNREADABLE}"}, {"id": "b", "lyrics": UNREADABLE, "lyrics_language": "zh"})
    assert main(SHORT) == 2
    (problem, end) = capsys.readouterr().err.splitlines()
    assert problem.startswith(f"error: songs.json row 1, lyrics: line 2: '{UNREADABLE}' cannot be tokenized (")
    assert problem.endswith("-> write it in other words, or name its language with lyrics_language")
    assert end == "nothing was rendered"
    assert not Path("outputs").exists()
    assert main((*SHORT, "on_invalid=skip")) == 1
    found = records(Path("outputs/songs/v0001"))
    assert {id_: record["status"] for id_, record in found.items()} == {"a": "failed", "b": "ok"}
    assert "lyrics: line 2: " in found["a"]["error"]
