"""The verb `report`: pages for one run, a sweep and several, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from acestep_batch.cli import main

SHORT = ("model=embedded", "hw=cpu", "lint=off", "audio_duration=0.2", "manifest.path=songs.json")


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs one command in an empty folder with a manifest: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    Path("songs.json").write_text(json.dumps([{"id": "a", "prompt": "calm | piano"}]), encoding="utf-8")

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_sweep_and_a_run_have_their_pages_and_both_have_one(cli):
    assert cli("-m", *SHORT, "seed=1,2", "infer_step=1,2")[0] == 0
    assert cli(*SHORT, "seed=5", "infer_step=1")[0] == 0
    sweep, run = Path("outputs/songs/v0001"), Path("outputs/songs/v0002")
    code, out, _ = cli("report", str(sweep), "--png")
    assert (code, out.splitlines()[0]) == (0, "4 songs")
    with Image.open(sweep / "report.png") as sheet:
        assert sheet.format == "PNG"
    assert (sweep / "playlist.m3u8").read_text(encoding="utf-8").count("cells/") == 4
    assert len(list(sweep.glob("cells/*/audio/metadata.csv"))) == 4
    code, out, _ = cli("report", str(sweep), str(run))
    assert (code, out.splitlines()[0]) == (0, "5 songs")
    assert Path("outputs/songs/report.html").is_file()
    assert cli("report", str(sweep), str(run), "to=elsewhere/deep")[0] == 0
    assert len(list(Path("elsewhere/deep/report_files").iterdir())) == 5
    code, out, _ = cli("report", str(sweep), "--markdown")
    assert (code, len(out.splitlines())) == (0, 8)
    code, out, _ = cli("report", str(sweep), str(run), "--json")
    assert (code, len(json.loads(out)["songs"])) == (0, 5)
    assert cli("verify", str(sweep), "--files-only")[0] == 0
    next(Path(sweep).glob("cells/*/audio/*.wav")).unlink()
    code, out, _ = cli("report", str(sweep), "to=new")
    assert code == 1
    assert "cannot be drawn" in out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "names no folder"),
        (["nowhere"], "is no run's folder"),
        (["nowhere", "--png", "--json"], "exclude each other"),
        (["nowhere", "--markdown", "to=x"], "none is written here"),
        (["nowhere", "to=x", "to=y"], "stands twice"),
        (["nowhere", "--pdf"], "--pdf"),
    ],
)
def test_what_cannot_be_done_is_refused(cli, words, complaint):
    code, _, err = cli("report", *words)
    assert code == 2
    assert complaint in err
    assert not Path("x").exists()


def test_the_help_names_every_flag(cli):
    code, out, _ = cli("report", "--help")
    assert code == 0
    assert all(flag in out for flag in ("--png", "--markdown", "--json", "to=DIR"))
