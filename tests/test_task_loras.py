"""LoRAs as columns of a manifest: found and held against the model before a run, and heard in their own rows alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from lora_maker import FILE, write_file
from support import CPU_TARGET, checked, plain_run, preflighted, written
from task_rows import MAKE, folder, run  # noqa: F401

from acestep_batch.cli import main
from acestep_batch.engine.embedded import load_embedded_engine
from acestep_batch.identity import sound_facts
from acestep_batch.linking import linked
from acestep_batch.songs import songs_of
from acestep_batch.source_finding import Places

SONG = {"seed": 3, "prompt": "pop", "lyrics": "la"}


@pytest.fixture(scope="module")
def loras(tmp_path_factory):
    """Two LoRAs for the embedded model, and one that fits another."""
    place = tmp_path_factory.mktemp("loras")
    transformer = load_embedded_engine("cpu", torch.float32, False)._transformer
    for seed, name in enumerate(("one", "two")):
        write_file(place / name, transformer, seed)
    narrow = {"transformer_blocks.0.attn.to_q.lora_A.weight": torch.zeros(2, 5)}
    from safetensors.torch import save_file

    (place / "narrow").mkdir()
    save_file(narrow, place / "narrow" / FILE)
    return place


def link(tmp_path, *rows):
    found = checked(written(tmp_path, "songs.json", json.dumps(rows)), plain_run(lint="off"))
    assert not [problem for row in found for problem in row.problems]
    songs = songs_of(found, plain_run(lint="off"), CPU_TARGET)
    return linked(songs, Places(tmp_path, tmp_path), plain_run().hw, CPU_TARGET)


def test_rows_with_and_without_a_lora_do_not_touch_each_other(folder, loras, capsys):  # noqa: F811
    one, other = {**SONG, "lora_name_or_path": str(loras / "one")}, str(loras / "two" / FILE)
    rows = [
        {"id": "first", **one},
        {"id": "none", **SONG},
        {"id": "third", **one, "device_id": 0, "output_path": "own.wav"},
        {"id": "half", **one, "lora_weight": 0.5},
        {"id": "both", **SONG, "lora_name_or_path": [str(loras / "one"), other], "lora_weight": [1, -0.5]},
    ]
    code, found = run(*rows, words=("output.formats=[wav]",))
    assert code == 0, capsys.readouterr().err
    sounds = {name: record["pcm_sha256"] for name, record in found.items()}
    assert sounds["first"] == sounds["third"]
    assert len(set(sounds.values())) == 4
    code, plain = run({"id": "none", **SONG}, words=("output.name=plain",), folder=Path("outputs/plain/v0001"))
    assert plain["none"]["pcm_sha256"] == sounds["none"]
    assert plain["none"]["identity"] == found["none"]["identity"]
    assert "lora_name_or_path" not in found["none"]
    assert found["both"]["lora_weight"] == [1.0, -0.5]
    assert [len(sha256) for sha256 in found["both"]["loras"]["sha256"]] == [64, 64]
    assert main(("verify", "outputs/songs/v0001")) == 0
    assert main(("inspect", "outputs/songs/v0001/" + found["both"]["files"][0], "--rerun")) == 0


def test_songs_of_one_lora_are_made_together(render_rows, loras):
    rows = [
        {"id": str(number), "seed": number + 1, **({"lora_name_or_path": str(loras / name)} if name else {})}
        for number, name in enumerate(["one", "", "two", "one", "", "two"])
    ]
    result, engine, _ = render_rows(rows, "hw.batch_size=1")
    assert result.failed == 0
    assert engine.batches == [[1], [4], [2], [5], [3], [6]]
    assert render_rows(rows, "hw.batch_size=4")[1].batches == [[1, 4], [2, 5], [3, 6]]


def test_where_a_lora_lies_does_not_change_the_song(tmp_path, loras):
    shutil.copytree(loras / "one", tmp_path / "mine")
    rows = [
        {"id": "a", **SONG, "lora_name_or_path": str(loras / "one")},
        {"id": "b", **SONG, "lora_name_or_path": "mine"},
        {"id": "c", **SONG, "lora_name_or_path": "mine", "lora_weight": 0.9},
    ]
    facts = [sound_facts(song, 48_000, {}) for song in link(tmp_path, *rows).songs]
    assert facts[0] == facts[1]
    assert {name for name in facts[0] if facts[0][name] != facts[2][name]} == {"adapters"}


def test_a_lora_in_the_hubs_cache_is_found_by_its_id(tmp_path, loras, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--someone--a-lora"
    shutil.copytree(loras / "one", repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40, encoding="utf-8")
    found = link(tmp_path, {"id": "a", **SONG, "lora_name_or_path": "someone/a-lora"})
    assert not found.problems
    assert found.songs[0].adapters[0].path.name == FILE


def test_a_lora_that_is_missing_or_does_not_fit_is_an_error_before_the_run(tmp_path, loras):
    names = ["gone", "some/where", str(loras / "narrow"), r"\\host\share", str(loras)]
    rows = [{"id": str(number), **SONG, "lora_name_or_path": name} for number, name in enumerate(names)]
    rows.append({"id": "many", **SONG, "lora_name_or_path": f"{loras / 'one'};gone;nowhere"})
    path = written(tmp_path, "songs.json", json.dumps(rows))
    found = preflighted(plain_run(lint="off", manifest={"path": str(path)}))
    says = [str(problem) for problem in found.row_problems]
    assert len(says) == 7
    expected = ["'gone' does not exist on this machine", "'some/where' does not exist", "narrow", "does not exist"]
    for number, text in enumerate(expected):
        assert says[number].startswith(f"songs.json row {number + 1}, lora_name_or_path: ") or text == "narrow"
        assert text in says[number]
    assert "`hf download some/where" in says[1]
    assert "lora_B" in says[2] or "has lora_A alone" in says[2]
    assert [text in line for text, line in zip(("gone", "nowhere"), says[5:], strict=True)] == [True, True]


def test_weights_must_be_as_many_as_loras(tmp_path):
    row = {"lora_name_or_path": ["a", "b", "c"], "lora_weight": [1, 2]}
    (found,) = checked(written(tmp_path, "songs.json", json.dumps([row])), plain_run(lint="off"))
    assert "2 weights for 3 LoRAs -> give one for each, or one for all" in str(found.problems[0])


def test_a_lora_that_has_changed_is_not_taken(folder, loras, capsys):  # noqa: F811
    shutil.copytree(loras / "one", "mine")
    assert run({**MAKE, "lora_name_or_path": "mine"})[0] == 0
    shutil.copy(loras / "two" / FILE, Path("mine", FILE))
    capsys.readouterr()
    assert main(("verify", "outputs/songs/v0001")) == 2
    assert "is not what it was" in capsys.readouterr().out
    assert main(("resume", "outputs/songs/v0001", "--explain")) == 0
    assert "changed: adapters" in capsys.readouterr().out
