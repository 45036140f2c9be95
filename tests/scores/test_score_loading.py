"""Scores are found by name, also in other packages; what is wrong with any of them is told at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from synthesised import RATE, noise

from acestep_batch.problems import Refused
from acestep_batch.scores.base import ScoredSong
from acestep_batch.scores.known import OWN, Found, find_score, names, parse_scores, score_problems
from acestep_batch.scores.loading import load_scores, scored

PLUGIN = '''
from acestep_batch.measure.columns import Column

class Length:
    """As many letters as the prompt has; songs without one make it fail."""

    def __init__(self, name, divisor):
        self.columns = (Column(name, "letters", "Float64", "Letters.", "here", 1),)
        self.divisor = divisor

    def score(self, song):
        return {self.columns[0].name: len(song.prompt) / self.divisor / bool(song.prompt), "not_declared": 1.0}

def missing(folder):
    return "" if folder else "it needs a folder"

def load(folder, device):
    return Length((folder / "name.txt").read_text(), 3)
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with a score, and a folder with what that score loads."""
    packages = tmp_path / "packages"
    information = packages / "letters-1.0.dist-info"
    information.mkdir(parents=True)
    (packages / "letters_score.py").write_text(PLUGIN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1.0\n")
    points = "letters = letters_score\nagain = letters_score\nclap = letters_score\nfunction = letters_score:load\n"
    (information / "entry_points.txt").write_text(f"[acestep_batch.scores]\n{points}")
    monkeypatch.syspath_prepend(packages)
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "name.txt").write_text("prompt_letters")
    yield folder
    sys.modules.pop("letters_score", None)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache."""
    found = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(found))
    return found


def published(cache: Path, repository: str, config: object, *files: str) -> Path:
    """A snapshot of a repository in the cache."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    place = cache / f"models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    (snapshot / "config.json").write_text(json.dumps(config))
    for file in files:
        (snapshot / file).write_bytes(b"x")
    return snapshot


def song(prompt: str) -> ScoredSong:
    return ScoredSong(noise(0.1), RATE, prompt, "")


def test_other_packages_bring_scores_and_do_not_replace_our_own(plugin: Path) -> None:
    assert names() == sorted([*OWN, "letters", "again", "function"])
    assert "transformers" not in find_score("clap", plugin).weights
    assert find_score("letters", plugin) == Found(plugin, f"letters 1.0, {plugin.resolve()}")
    assert find_score("letters", None).problem == "it needs a folder"
    assert "not a module" in find_score("function", plugin).problem


def test_the_first_published_weights_in_the_cache_are_taken_by_their_commit(cache: Path) -> None:
    missing = find_score("clap", None)
    assert "is not in the Hugging Face cache" in missing.problem
    assert "hf download laion/larger_clap_music" in missing.remedy
    general = published(cache, "laion/larger_clap_general", {"model_type": "clap"}, "pytorch_model.bin")
    assert find_score("clap", None) == Found(general, f"laion/larger_clap_general@{general.name}")
    music = published(cache, "laion/larger_clap_music", {"model_type": "clap"}, "model.safetensors")
    assert find_score("clap", None).folder == music
    assert "hf download facebook/audiobox-aesthetics" in find_score("aesthetics", None).remedy
    published(cache, "openai/whisper-small", {"model_type": "whisper"})
    assert "has no weights" in find_score("lyrics", None).problem


@pytest.mark.parametrize(
    ("config", "complaint"),
    [("{", "cannot be read"), ('{"model_type": "bert"}', "type bert, and not clap"), ("[]", "type None")],
)
def test_a_folder_of_something_else_is_told_apart(tmp_path: Path, config: str, complaint: str) -> None:
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert complaint in find_score("clap", tmp_path).problem


def test_names_with_and_without_a_folder() -> None:
    assert parse_scores(["clap", "lyrics:C:/a=b"]) == {"clap": None, "lyrics": Path("C:/a=b")}
    with pytest.raises(Refused, match="clap stands twice"):
        parse_scores(["clap", "clap:/x"])


def test_numbers_are_rounded_and_only_declared_ones_are_kept(plugin: Path) -> None:
    (score,) = load_scores({"letters": plugin}, "cpu", ()).values()
    assert scored(score, song("ten letters")) == {"prompt_letters": 3.7}
    with pytest.raises(ZeroDivisionError):
        scored(score, song(""))
    score.divisor = float("nan")
    assert scored(score, song("a")) == {"prompt_letters": None}


def test_everything_wrong_is_told_at_once(plugin: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    wanted = {"leters": plugin, "clap": empty, "lyrics": tmp_path / "missing", "letters": plugin, "again": plugin}
    with pytest.raises(Refused) as refused:
        load_scores(wanted, "cpu", ())
    unknown, unloadable, missing, twice = map(str, refused.value.problems)
    assert "did you mean letters?" in unknown
    assert f"score clap: {empty} has no config.json" in unloadable
    assert f"{tmp_path / 'missing'} is no folder" in missing
    assert "score again: its columns prompt_letters exist already" in twice
    assert len(score_problems(wanted)) == 3  # whether columns meet is seen when they are loaded


def test_damaged_weights_are_told_when_they_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clap"}')
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(Refused, match=r"score clap: cannot be loaded from"):
        load_scores({"clap": tmp_path}, "cpu", ())


def test_a_column_of_the_summary_is_not_given_twice(plugin: Path) -> None:
    with pytest.raises(Refused, match="prompt_letters exist already"):
        load_scores({"letters": plugin}, "cpu", ["prompt_letters"])


def test_a_song_at_another_rate_keeps_its_length() -> None:
    assert len(song("").at(16_000)) == 1600
    assert len(ScoredSong(noise(0.1, 1, rate=44_100), 44_100, "", "").at(48_000)) == 4800
    assert song("").at(RATE) == pytest.approx(noise(0.1).mean(axis=1))
