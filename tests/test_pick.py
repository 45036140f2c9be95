"""Chosen songs written as a manifest or a preset, which make them again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from acestep_batch.cli import main
from acestep_batch.ledger import read_ledger

RUN = Path("outputs/songs/v0001")
ROWS = [
    {"id": "a", "prompt": "jazz: slow, 60 BPM", "lyrics": "[verse]\nYes: no\n\n  indented\n[inst]", "takes": 2},
    {"id": "b", "prompt": "'quoted' # not a comment", "seed": 5, "guidance_scale": 3, "oss_steps": "1 2"},
    {"id": "c", "prompt": "null", "lyrics": "true", "seed": 7, "output_path": "c.wav"},
]
SHORT = (
    "model=embedded",
    "hw=cpu",
    "lint=off",
    "measure=false",
    "report=false",
    "manifest.path=songs.yaml",
    "infer_step=2",
    "audio_duration=0.5",
)


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs one command in a folder that holds songs.yaml: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    Path("songs.yaml").write_text(yaml.safe_dump(ROWS), encoding="utf-8")

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def records(folder: Path) -> dict[str, dict]:
    return {record["id"]: dict(record) for record in read_ledger(folder).records}


def test_picked_songs_are_made_again_to_the_bit(cli):
    cli(*SHORT)
    before = records(RUN)
    take = next(name for name in before if name.startswith("a_"))
    code, out, _ = cli("pick", str(RUN), "id=c", f"id={take}", "id=b")
    assert code == 0
    assert "3 songs of outputs/songs/v0001: songs_v0001_picks.yaml" in out
    assert (
        cli("manifest.path=songs_v0001_picks.yaml", "model=embedded", "hw=cpu", "lint=off", "output.name=again")[0] == 0
    )
    after = records(Path("outputs/again/v0001"))
    assert list(after) == ["c", take, "b"]
    for name, record in after.items():
        assert (record["identity"], record["pcm_sha256"]) == (before[name]["identity"], before[name]["pcm_sha256"])


def test_a_row_s_id_picks_all_its_takes_and_no_file_is_overwritten(cli):
    cli(*SHORT)
    for name in ("songs_v0001_picks.yaml", "songs_v0001_picks-2.yaml"):
        assert cli("pick", str(RUN), "id=a", "id=a")[0] == 0
        assert len(yaml.safe_load(Path(name).read_text("utf-8"))) == 2
    code, _, err = cli("pick", str(RUN), "id=a", "to=songs.yaml")
    assert code == 2
    assert "exists already" in err


def test_what_a_preset_sets_is_left_to_it(cli):
    cli(*SHORT)
    cli("pick", str(RUN), "id=b", "+preset=precise", "to=picked.yaml")
    (row,) = yaml.safe_load(Path("picked.yaml").read_text("utf-8"))
    assert row["preset"] == "precise"
    assert not {"infer_step", "guidance_scale", "cfg_type"} & row.keys()
    assert (row["audio_duration"], row["actual_seeds"]) == (0.5, [5])


def test_a_song_as_a_preset_makes_that_song(cli):
    cli(*SHORT)
    before = records(RUN)["b"]
    code, out, _ = cli("pick", str(RUN), "id=b", "--preset", "mine.json")
    assert code == 0
    assert json.loads(Path("mine.json").read_text("utf-8"))["name"] == "mine"
    assert "preset_file=mine.json manifest.path=null" in out
    words = ("preset_file=mine.json", "manifest.path=null", "model=embedded", "hw=cpu", "lint=off", "output.name=mine")
    assert cli(*words)[0] == 0
    (after,) = records(Path("outputs/mine/v0001")).values()
    assert (after["identity"], after["pcm_sha256"]) == (before["identity"], before["pcm_sha256"])


def test_ids_that_are_none_are_named_together(cli):
    cli(*SHORT)
    code, _, err = cli("pick", str(RUN), "id=x", "id=bb", "id=b")
    assert code == 2
    assert "id=x: no song has this id" in err
    assert "id=bb: no song has this id" in err
    assert cli("pick", str(RUN))[0] == 2
    assert cli("pick", str(RUN), "id=b", "variance=2")[0] == 2


def test_a_song_of_a_sweep_is_named_with_its_cell(cli):
    cli("-m", *SHORT, "guidance_scale=5,7", "limit=1", "takes=1")
    code, _, err = cli("pick", str(RUN), "id=a")
    assert code == 2
    cells = sorted(path.name for path in (RUN / "cells").iterdir())
    assert f"{cells[0]}/a" in err
    assert cli("pick", str(RUN), f"id={cells[0]}/a", f"id={cells[1]}/a", "to=both.yaml")[0] == 0
    rows = yaml.safe_load(Path("both.yaml").read_text("utf-8"))
    assert [row["id"] for row in rows] == ["a", "a_2"]
    assert [row["guidance_scale"] for row in rows] == [5.0, 7.0]


def test_an_id_may_hold_a_slash(cli):
    Path("songs.yaml").write_text(yaml.safe_dump([{"id": "a/b", "seed": 1}]), encoding="utf-8")
    cli(*SHORT)
    assert cli("pick", str(RUN), "id=a/b", "to=one.yaml")[0] == 0
    cli("-m", *SHORT, "guidance_scale=5,7")
    sweep = RUN.with_name("v0002")
    cells = sorted(path.name for path in (sweep / "cells").iterdir())
    _, _, err = cli("pick", str(sweep), "id=a/b")
    assert f"there are: {cells[0]}/a/b, {cells[1]}/a/b" in err
    assert cli("pick", str(sweep), f"id={cells[1]}/a/b", "to=two.yaml")[0] == 0
    assert [yaml.safe_load(Path(f"{name}.yaml").read_text("utf-8"))[0]["id"] for name in ("one", "two")] == ["a/b"] * 2


@pytest.mark.parametrize("target", ["picked.csv", "nowhere/picked.yaml"])
def test_a_file_that_cannot_be_the_manifest_is_refused(cli, target):
    cli(*SHORT, "limit=1")
    code, _, err = cli("pick", str(RUN), "id=a", f"to={target}")
    assert code == 2
    assert target in err
    assert " -> " in err
    assert not Path(target).exists()


def test_a_picked_retake_is_near_its_song_and_made_from_its_seed(cli):
    cli(*SHORT)
    assert cli("pick", str(RUN), "id=b", "variance=0.2", "to=retakes.yaml")[0] == 0
    (row,) = yaml.safe_load(Path("retakes.yaml").read_text("utf-8"))
    assert (row["id"], row["task"], row["retake_variance"], row["actual_seeds"]) == ("b_retake", "retake", 0.2, [5])
    words = ("manifest.path=retakes.yaml", "model=embedded", "hw=cpu", "lint=off", "output.name=retakes")
    assert cli(*words)[0] == 0
    (made,) = records(Path("outputs/retakes/v0001")).values()
    assert made["pcm_sha256"] != records(RUN)["b"]["pcm_sha256"]
    assert cli("pick", "outputs/retakes/v0001", "id=b_retake", "to=again.yaml")[0] == 0
    words = ("manifest.path=again.yaml", "model=embedded", "hw=cpu", "lint=off", "output.name=again")
    assert cli(*words)[0] == 0
    (again,) = records(Path("outputs/again/v0001")).values()
    assert (again["identity"], again["pcm_sha256"]) == (made["identity"], made["pcm_sha256"])
