"""With --json, standard output of every verb and of runs is one JSON value, and the exit codes are what they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from acestep_batch.cli import VERBS, main

RUN = Path("outputs/songs/v0001")
SHORT = ("manifest.path=songs.json", "model=embedded", "hw=cpu", "lint=off", "infer_step=1", "audio_duration=0.2",
         "measure=false", "report=false")  # fmt: skip


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs one command in an empty folder with songs.json: (exit code, what its standard output says as JSON)."""
    monkeypatch.chdir(tmp_path)
    Path("songs.json").write_text(json.dumps([{"id": "a", "seed": 1}, {"id": "b", "seed": 2}]), encoding="utf-8")

    def run(*words: str) -> tuple[int, Any]:
        code = main(words)
        out = capsys.readouterr().out
        return code, json.loads(out) if out else None

    return run


def test_a_run_says_how_it_ended(cli):
    code, found = cli(*SHORT, "--json")
    assert (code, found["exit_code"], found["made"], found["failed"], found["done_before"]) == (0, 0, 2, 0, 0)
    assert (found["folder"], found["report"], found["failures"]) == (str(RUN), None, [])
    assert Path(found["summary"]).is_file()
    code, found = cli("resume", str(RUN), "--json", "--explain")
    assert (code, found) == (0, {"to_make": [], "done": 2, "skipped": {}})
    next((RUN / "audio").glob("*_a_*.wav")).unlink()
    assert "is missing" in cli("resume", str(RUN), "--json", "--explain")[1]["to_make"][0]["reason"]
    assert cli("resume", str(RUN), "--json")[1]["made"] == 1
    assert cli("resume", str(RUN), "--json", "--as-planned")[1]["done_before"] == 2


def test_a_sweep_says_which_songs_failed_and_where(cli):
    rows = [{"id": "a", "seed": 1}, {"id": "wrong", "infer_step": -1}]
    Path("songs.json").write_text(json.dumps(rows), encoding="utf-8")
    code, found = cli("-m", *SHORT, "guidance_scale=3,4", "on_invalid=skip", "--json")
    assert (code, found["exit_code"], found["made"], found["failed"]) == (1, 1, 2, 2)
    cells = {path.name for path in (RUN / "cells").iterdir()}
    assert {(each["cell"], each["id"]) for each in found["failures"]} == {(cell, "wrong") for cell in cells}


def test_a_dry_run_counts_and_a_refusal_leaves_standard_output_to_what_it_counted(cli):
    assert cli(*SHORT, "dry_run=true", "--json") == (
        0, {"exit_code": 0, "cells": 1, "rows": 2, "invalid": 0, "songs": 2, "audio_s": 0.4},
    )  # fmt: skip
    Path("songs.json").write_text(json.dumps([{"id": "a"}, {"id": "wrong", "infer_step": 0}]), encoding="utf-8")
    code, found = cli(*SHORT, "dry_run=true", "--json")
    assert (code, found["exit_code"], found["invalid"]) == (2, 2, 1)
    assert cli(*SHORT, "no_such_key=1", "--json") == (2, None)
    assert cli("--json", "--cfg", "job") == (2, None)


def test_every_verb_answers_in_json(cli, monkeypatch):
    cli(*SHORT, "--json")
    song = next((RUN / "audio").glob("*_a_*.wav"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    answers = {
        "doctor": cli("doctor", "--json"),
        "inspect": cli("inspect", str(song), "--json"),
        "pick": cli("pick", str(RUN), "id=a", "--json"),
        "presets": cli("presets", "--json"),
        "report": cli("report", str(RUN), "--json"),
        "resume": cli("resume", str(RUN), "--json"),
        "verify": cli("verify", str(RUN), "--files-only", "--json"),
    }
    assert answers.keys() | {"download"} == set(VERBS)
    assert {verb: code for verb, (code, _) in answers.items() if code} == {}
    assert {check["mark"] for check in answers["doctor"][1]["checks"]} >= {"ok"}
    assert answers["pick"][1]["songs"] == ["a"]
    assert Path(answers["pick"][1]["file"]).is_file()
    assert answers["presets"][1]["presets"]["fast"]["values"]["infer_step"] == 27
    assert "fast" in answers["presets"][1]["groups"]["preset"]
