"""What a run leaves at its end, however it ends: the report with its playlist and the metadata of its audio."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from acestep_batch.checks import check_folder
from acestep_batch.cli import main

SHORT = ("model=embedded", "hw=cpu", "lint=off", "infer_step=1", "audio_duration=6", "manifest.path=songs.json")
FILES = ("report.html", "playlist.m3u8", "audio/metadata.csv")
RUN = Path("outputs/songs/v0001")


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs one command in an empty folder that holds songs.json: (exit code, standard output)."""
    monkeypatch.chdir(tmp_path)
    rows = [{"id": "a", "seed": 1}, {"id": "b", "seed": 2}]
    Path("songs.json").write_text(json.dumps(rows), encoding="utf-8")

    def run(*words: str) -> tuple[int, str]:
        code = main(words)
        return code, capsys.readouterr().out

    return run


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    found = [path for path in folder.rglob("*") if path.is_file() and ".locks" not in path.parts]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found if path.suffix != ".log"}


def test_a_run_ends_with_a_report_that_shows_what_was_measured(cli):
    code, out = cli(*SHORT)
    assert code == 0
    assert f"report:  {RUN / 'report.html'}" in out
    assert all((RUN / name).is_file() for name in FILES)
    page = (RUN / "report.html").read_text(encoding="utf-8")
    assert '"name":"loudness_lufs"' in page
    assert [each.findings for each in check_folder(RUN)] == [[]]
    before = stamps(RUN)
    assert cli("resume", str(RUN))[0] == 0
    assert stamps(RUN) == before


def test_a_sweep_compares_its_songs_over_all_cells(cli):
    assert cli("-m", *SHORT, "limit=1", "guidance_scale=5,5.5")[0] == 0
    sweep = Path("outputs/songs/v0001")
    assert (sweep / "report.html").is_file()
    cells = sorted((sweep / "cells").iterdir())
    assert all((cell / "audio" / "metadata.csv").is_file() for cell in cells)
    table = pd.read_parquet(sweep / "summary.parquet")
    assert set(table["nearest_song"]) == {f"{cell.name}/a" for cell in cells}
    assert set(table["quality"]) == {"warn"}
    assert [each.findings for each in check_folder(sweep)] == [[], [], []]


def test_a_report_that_cannot_be_written_is_told_and_fails_nothing(cli):
    cli(*SHORT, "limit=1", "report=false")
    assert not any((RUN / name).exists() for name in FILES)
    (RUN / "report.html").write_text("mine", encoding="utf-8")
    code, out = cli(*SHORT, "resume=true", "limit=1")
    assert code == 0
    assert "the report could not be written" in out
    assert (RUN / "report.html").read_text(encoding="utf-8") == "mine"
