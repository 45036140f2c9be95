"""LoRAs as columns of a manifest for 1.5: found and held against the model first, and heard in their own rows alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lora_maker import FILE, RANK, write_file, write_peft
from safetensors.torch import save_file
from task_rows import folder, records  # noqa: F401

from acestep_batch.cli import main
from acestep_batch.engine.v15.embedded_diffusion import load_embedded_v15
from acestep_batch.outputs.audio_files import file_sha256

SONG = {"seed": 3, "caption": "slow dance, accordion", "lyrics": "[verse]\nla la", "bpm": 90}
WORDS = ("model=embedded_v15", "hw=cpu", "lm=none", "measure=false", "report=false", "audio_duration=1")


@pytest.fixture(scope="module")
def loras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two LoRAs for the embedded model of 1.5, one of them as its trainer leaves it too, and one for another model."""
    place = tmp_path_factory.mktemp("loras")
    transformer = load_embedded_v15()._parts.transformer
    for seed, name in enumerate(("one", "two")):
        write_file(place / name, transformer, seed)
    write_peft(place / "trained", place / "one", lora_alpha=2 * RANK)
    (place / "narrow").mkdir()
    save_file({"layers.0.self_attn.to_q.lora_A.weight": torch.zeros(2, 5)}, place / "narrow" / FILE)
    return place


def render(*rows: dict[str, Any], words: tuple[str, ...] = (), name: str = "songs") -> dict[str, dict[str, Any]]:
    Path(f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    assert main((*WORDS, f"manifest.path={name}.json", *words)) == 0
    return records(Path("outputs", name, "v0001"))


@pytest.mark.slow
def test_rows_with_and_without_a_lora_do_not_touch_each_other(
    folder: Path,  # noqa: F811
    loras: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, other = {**SONG, "lora_name_or_path": str(loras / "one")}, str(loras / "two" / FILE)
    found = render(
        {"id": "first", **one},
        {"id": "none", **SONG},
        {"id": "third", **one, "device_id": 0},
        {"id": "half", **one, "lora_weight": 0.5},
        {"id": "double", **one, "lora_weight": 2},
        {"id": "trained", **SONG, "lora_name_or_path": str(loras / "trained")},
        {"id": "both", **SONG, "lora_name_or_path": [str(loras / "one"), other], "lora_weight": [1, -0.5]},
        words=("hw.batch_size=4",),
    )
    sounds = {name: record["pcm_sha256"] for name, record in found.items()}
    assert sounds["first"] == sounds["third"]
    assert sounds["double"] == sounds["trained"]  # alpha / r of its training is 2
    assert len(set(sounds.values())) == 5
    assert found["double"]["identity"] != found["trained"]["identity"]
    plain = render({"id": "none", **SONG}, name="plain")["none"]
    assert (plain["pcm_sha256"], plain["identity"]) == (sounds["none"], found["none"]["identity"])
    assert "lora_name_or_path" not in found["none"]
    assert found["both"]["lora_weight"] == [1.0, -0.5]
    assert found["both"]["loras"]["sha256"] == [file_sha256(loras / "one" / FILE), file_sha256(loras / "two" / FILE)]
    capsys.readouterr()
    assert main(("verify", "outputs/songs/v0001")) == 0
    assert "7 bit-identical" in capsys.readouterr().out
    again = Path("outputs/songs/v0001/audio")
    assert main((*WORDS, f"manifest.path={again}", "output.name=again")) == 0
    assert {name: each["pcm_sha256"] for name, each in records(Path("outputs/again/v0001")).items()} == sounds


def test_a_lora_that_is_missing_or_does_not_fit_is_an_error_before_the_run(
    folder: Path,  # noqa: F811
    loras: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(loras / "trained", "half")
    Path("half/adapter_config.json").unlink()
    names = ["gone", "some/where", str(loras / "narrow"), "half", str(loras)]
    rows = [{"id": str(number), **SONG, "lora_name_or_path": name} for number, name in enumerate(names)]
    Path("songs.json").write_text(json.dumps(rows), encoding="utf-8")
    assert main((*WORDS, "manifest.path=songs.json")) == 2
    assert not Path("outputs").exists()
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    words = [
        "'gone' does not exist on this machine",
        "`hf download some/where` fetches it",
        "has lora_A alone",
        "adapter_config.json: is missing, and says how strong the LoRA is",
        f"{FILE}: is missing",
    ]
    assert [text in line for text, line in zip(words, said, strict=True)] == [True] * 5
    assert all(f"row {number}, lora_name_or_path: " in line for number, line in enumerate(said, 1))


def test_a_lora_whose_settings_have_changed_is_not_taken(
    folder: Path,  # noqa: F811
    loras: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(loras / "trained", "mine")
    render({"id": "a", **SONG, "lora_name_or_path": "mine"})
    write_peft(Path("mine"), loras / "one", lora_alpha=RANK)
    capsys.readouterr()
    assert main(("verify", "outputs/songs/v0001")) == 2
    assert "is not what it was" in capsys.readouterr().out
    assert main(("resume", "outputs/songs/v0001", "--explain")) == 0
    assert "changed: adapters" in capsys.readouterr().out


def test_a_trained_lora_in_the_hubs_cache_is_found_by_its_id(
    folder: Path,  # noqa: F811
    loras: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--someone--a-lora"
    shutil.copytree(loras / "trained", repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40, encoding="utf-8")
    found = render(
        {"id": "hub", **SONG, "lora_name_or_path": "someone/a-lora"},
        {"id": "file", **SONG, "lora_name_or_path": str(loras / "trained")},
    )
    assert found["hub"]["identity"] == found["file"]["identity"]
