"""Scores in a run and in `report`: the documented example, installed as a package, and what may go wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from acestep_batch.cli import main
from acestep_batch.score_lines import SCORES, ScoreLine, append_score, read_scores
from acestep_batch.scoring import score_folder, scored_song

ROOT = Path(__file__).resolve().parents[1]
SHORT = ("model=embedded", "hw=cpu", "lint=off", "infer_step=1", "audio_duration=0.2", "manifest.path=songs.json")
RUN = Path("outputs/songs/v0001")
FAILS_ON_B = """

class Choosy(Peak):
    def score(self, song):
        if song.prompt == "b":
            raise RuntimeError("cannot hear it")
        return super().score(song)

def load(folder, device):
    return Choosy() if (folder / "choosy").exists() else Peak()
"""


def install(site: Path, more: str = "") -> None:
    """The example of docs/outputs.md as a package, with its own entry point."""
    text = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8").partition("### A score of your own")[2]
    (points,) = re.findall(r"```toml\n\[project\.entry-points\.\"([\w.]+)\"\]\n(.*?)```", text, re.DOTALL)
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    information = site / "peak-2.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: peak\nVersion: 2.0\n")
    (information / "entry_points.txt").write_text(f"[{points[0]}]\n{points[1]}".replace('"', ""))
    (site / "peak_score.py").write_text(code + more)


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs one command in an empty folder with a manifest and a score that fails where a file says so."""
    monkeypatch.chdir(tmp_path)
    install(tmp_path / "site", FAILS_ON_B)
    monkeypatch.syspath_prepend(tmp_path / "site")
    Path("weights").mkdir()
    Path("songs.json").write_text(json.dumps([{"id": "a", "prompt": "a"}, {"id": "b", "prompt": "b"}]))

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield run
    sys.modules.pop("peak_score", None)


def peaks(folder: Path) -> list[float]:
    return list(pd.read_parquet(folder / "summary.parquet")["peak_share"])


def heard(folder: Path) -> list[float]:
    """The largest sample of each song of a run."""
    return [round(float(np.abs(soundfile.read(file)[0]).max()), 3) for file in sorted(folder.glob("audio/*.wav"))]


@pytest.mark.slow
def test_the_documented_example_scores_a_run_in_a_process_of_its_own(tmp_path: Path) -> None:
    install(tmp_path / "site")
    (tmp_path / "songs.json").write_text('[{"id": "a", "prompt": "a"}]')
    paths = os.pathsep.join(map(str, (tmp_path / "site", ROOT)))
    done = subprocess.run(
        [sys.executable, "-m", "acestep_batch", *SHORT, "scores=[peak]"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "scoring 1 song with peak on cpu" in done.stdout
    folder = tmp_path / RUN
    table = pd.read_parquet(folder / "summary.parquet")
    assert str(table.dtypes["peak_share"]) == "Float64"
    assert table.columns[-1] == "peak_share"
    assert list(table["peak_share"]) == heard(folder)
    (line,) = next(iter(read_scores(folder).lines.values())).values()
    assert line.weights == "peak 2.0"
    assert '"peak_share"' in (folder / "report.html").read_text(encoding="utf-8")
    assert pd.read_csv(folder / "audio" / "metadata.csv")["peak_share"].tolist() == heard(folder)


def test_a_score_that_fails_costs_its_song_and_is_tried_again(cli) -> None:
    Path("weights/choosy").touch()
    code, out, err = cli(*SHORT, "scores=[peak:weights]")
    assert code == 1
    assert "2 songs made, 0 failed" in out
    assert "score peak: gave none for 1 of 2 songs; the first is b: RuntimeError: cannot hear it" in err
    assert pd.isna(peaks(RUN)[1])
    assert cli("verify", str(RUN), "--files-only")[0] == 0
    kept = (RUN / SCORES).read_bytes()
    (RUN / SCORES).write_bytes(kept.replace(b"peak 2.0", b"peak 9.0"))
    assert f"{SCORES} line 1" in "".join(cli("verify", str(RUN), "--files-only")[1:])
    (RUN / SCORES).write_bytes(kept)
    Path("weights/choosy").unlink()
    code, out, _ = cli("resume", str(RUN))
    assert code == 0
    assert "[1/1] b scored" in out
    assert peaks(RUN) == heard(RUN)
    assert "scoring" not in cli("resume", str(RUN))[1]


def test_report_scores_a_sweep_and_its_page_has_the_numbers(cli) -> None:
    assert cli("-m", *SHORT, "seed=1,2")[0] == 0
    assert "peak_share" not in pd.read_parquet(RUN / "summary.parquet")
    code, out, err = cli("report", str(RUN), "scores=peak:weights", "--json")
    assert code == 0
    assert "[4/4] b scored" in err
    page = json.loads(out)
    (place,) = [index for index, column in enumerate(page["columns"]) if column["name"] == "peak_share"]
    assert page["columns"][place] == {"name": "peak_share", "number": True, "setting": False}
    cells = [each for cell in sorted(RUN.glob("cells/*")) for each in heard(cell)]
    assert [song["values"][place] for song in page["songs"]] == cells
    assert peaks(RUN) == cells
    assert "peak_share" in cli("report", str(RUN), "--markdown")[1]
    Path("other").mkdir()
    assert "[4/4]" in cli("report", str(RUN), "scores=peak:other")[1]  # other weights
    assert "scoring" not in cli("report", str(RUN), "scores=peak:other")[1]
    (cell, *_) = sorted(RUN.glob("cells/*"))
    assert len((cell / SCORES).read_bytes().splitlines()) == 4


def test_an_interrupted_scoring_keeps_what_it_has_and_goes_on(cli) -> None:
    """And the second score is one of our own, by its weights."""
    assert cli(*SHORT, "report=false")[0] == 0
    said: list[str] = []

    def check() -> None:
        if any("[1/2]" in line for line in said):
            raise KeyboardInterrupt

    weights = ROOT / "tests" / "golden" / "aesthetics"
    wanted = {"peak": Path("weights"), "aesthetics": weights}
    with pytest.raises(KeyboardInterrupt):
        score_folder(RUN, wanted, "cpu", said.append, check)
    table = pd.read_parquet(RUN / "summary.parquet")
    assert table["production_quality"].notna().tolist() == [True, False]
    code, out, _ = cli("report", str(RUN), f"scores=peak:weights,aesthetics:{weights}")
    assert (code, "[1/1] b scored" in out) == (0, True)
    assert pd.read_parquet(RUN / "summary.parquet")["production_quality"].notna().all()
    assert peaks(RUN) == heard(RUN)


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("scores=[clap:nowhere]", "score clap: nowhere is no folder"),
        ("scores=[peek]", "there is no such score (did you mean peak?)"),
        ("scores=[peak,peak]", "peak stands twice"),
        ("score_device=tpu", "'tpu' is no device"),
        ("score_device=cuda:99", "score_device"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_the_run(cli, word: str, complaint: str) -> None:
    code, _, err = cli(*SHORT, word)
    assert code == 2
    assert complaint in err
    assert not Path("outputs").exists()


def test_report_refuses_scores_before_it_scores(cli) -> None:
    code, _, err = cli("report", str(RUN), "scores=peak")
    assert (code, "is no run's folder" in err) == (2, True)
    assert cli(*SHORT, "report=false", "limit=1")[0] == 0
    assert "goes with scores=" in cli("report", str(RUN), "score_device=cpu")[2]
    assert "no such score" in cli("report", str(RUN), "scores=peak:weights,peek")[2]
    assert not (RUN / SCORES).exists()


def test_a_changed_line_is_told_and_counts_for_nothing(tmp_path: Path) -> None:
    values = {"one": 0.5, "two": None}
    append_score(tmp_path, "a", ("i", "p"), "clap", ScoreLine("w", values))
    append_score(tmp_path, "a", ("i", "p"), "clap", ScoreLine("w2", {"one": 1.0}))
    append_score(tmp_path, "b", ("j", "q"), "clap", ScoreLine("w", {"Prompt": 1.0}))
    file = tmp_path / SCORES
    found = read_scores(tmp_path)
    assert found.values(("i", "p")) == {"one": 1.0}
    assert [problem.where for problem in found.damaged] == [f"{file}:3"]
    file.write_bytes(file.read_bytes().replace(b"1.0", b"9.0") + b'{"torn')
    assert read_scores(tmp_path).values(("i", "p")) == values
    assert read_scores(tmp_path / "elsewhere").lines == {}


def test_texts_are_those_that_were_asked_for() -> None:
    samples = np.zeros((1, 2), np.float32)
    edit = {"task": "edit", "prompt": "p", "lyrics": "l", "edit_target_prompt": "q", "edit_target_lyrics": None}
    song = scored_song({**edit, "vocal_language": "unknown"}, samples, 48_000)
    assert (song.prompt, song.lyrics, song.language) == ("q", "l", None)
    song = scored_song({"prompt": "p", "lyrics": "l", "instrumental": True, "lyrics_language": "en"}, samples, 48_000)
    assert (song.prompt, song.lyrics, song.language) == ("p", "", "en")
