"""Scores are found by name, also in other packages; what is wrong with any of them is told at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from synthesised import RATE, noise

from acestep_batch.problems import Refused
from acestep_batch.scores.base import ScoredSong
from acestep_batch.scores.loading import OWN, available, load_scores, score_columns, scored

PLUGIN = '''
from acestep_batch.measure.columns import Column

class Length:
    """As many letters as the prompt has; songs without one make it fail."""

    def __init__(self, name, divisor):
        self.columns = (Column(name, "letters", "Float64", "Letters.", "here", 1),)
        self.divisor = divisor

    def score(self, song):
        return {self.columns[0].name: len(song.prompt) / self.divisor / bool(song.prompt), "not_declared": 1.0}

def load(folder, device):
    return Length((folder / "name.txt").read_text(), float("inf") if device == "nan" else 3)
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a score, and a folder with what that score loads."""
    packages = tmp_path / "packages"
    information = packages / "letters-1.0.dist-info"
    information.mkdir(parents=True)
    (packages / "letters_score.py").write_text(PLUGIN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1.0\n")
    points = "letters = letters_score:load\nagain = letters_score:load\nclap = letters_score:load\n"
    (information / "entry_points.txt").write_text(f"[acestep_batch.scores]\n{points}")
    monkeypatch.syspath_prepend(packages)
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "name.txt").write_text("prompt_letters")
    yield folder
    sys.modules.pop("letters_score", None)


def song(prompt: str) -> ScoredSong:
    return ScoredSong(noise(0.1), RATE, prompt, "")


def test_other_packages_bring_scores_and_do_not_replace_our_own(plugin: Path) -> None:
    assert available() == OWN | {"letters": "letters_score:load", "again": "letters_score:load"}


def test_columns_appear_with_the_score(plugin: Path) -> None:
    scores = load_scores({"letters": plugin}, "cpu", ())
    assert [column.name for column in score_columns(scores)] == ["prompt_letters"]
    assert scored(scores, song("ten letters")) == {"prompt_letters": 3.7}
    assert scored({}, song("")) == {}


def test_a_score_that_fails_gives_none_and_takes_nothing_down(plugin: Path, caplog: pytest.LogCaptureFixture) -> None:
    scores = load_scores({"letters": plugin}, "cpu", ())
    assert scored(scores, song("")) == {"prompt_letters": None}
    assert "score letters failed" in caplog.text


def test_everything_wrong_is_told_at_once(plugin: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    wanted = {"leters": plugin, "clap": empty, "lyrics": tmp_path / "missing", "letters": plugin, "again": plugin}
    with pytest.raises(Refused) as refused:
        load_scores(wanted, "cpu", ())
    unknown, unloadable, missing, twice = map(str, refused.value.problems)
    assert "did you mean letters?" in unknown
    assert f"score clap: cannot be loaded from {empty}" in unloadable
    assert f"{tmp_path / 'missing'} is no folder" in missing
    assert "score again: its columns prompt_letters exist already" in twice


def test_a_column_of_the_summary_is_not_given_twice(plugin: Path) -> None:
    with pytest.raises(Refused, match="prompt_letters exist already"):
        load_scores({"letters": plugin}, "cpu", ["prompt_letters"])


def test_a_song_at_another_rate_keeps_its_length() -> None:
    assert len(song("").at(16_000)) == 1600
    assert len(ScoredSong(noise(0.1, 1, rate=44_100), 44_100, "", "").at(48_000)) == 4800
    assert song("").at(RATE) == pytest.approx(noise(0.1).mean(axis=1))
