"""Stages 5 and 6: what was trained is a checkpoint that the product's engine loads, and songs of it are a dataset."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from acestep_batch.engine.base import SETTINGS, SongRequest
from acestep_batch.engine.embedded import load_trained_engine
from acestep_batch.engine.v1.pipeline import V1Engine
from acestep_batch.schema import SONG
from training import generate
from training.clips import read_clips
from training.codec import CODEC_FILE
from training.generate import settings_of
from training.latents import load_training_set
from training.layout import write_layout
from training.progress import load, save
from training.sizes import TEXT_ENCODER_CONFIG, TRANSFORMER_CONFIG
from training.transformer import TRANSFORMER_FILE, Recipe, Training

QUICK = ["infer_step=3"]


@pytest.fixture(scope="module")
def trained(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of all stages, the transformer's of one step."""
    folder = shutil.copytree(checkpoints, tmp_path_factory.mktemp("trained") / "checkpoints")
    sizes = {**TRANSFORMER_CONFIG, "num_layers": 2, "lyric_encoder_num_blocks": 2}
    training = Training(load_training_set(folder), Recipe(batch=2), sizes, dict(TEXT_ENCODER_CONFIG), "cpu")
    training.advance()
    save(folder / TRANSFORMER_FILE, training.content())
    return folder


@pytest.fixture(scope="module")
def engine(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> V1Engine:
    folder = tmp_path_factory.mktemp("layout")
    facts = write_layout(trained, folder)
    assert facts["step"] == 1
    return load_trained_engine(folder, "cpu", torch.float32, compile_transformer=False)


def test_another_codec_than_that_of_the_latents_is_refused(trained: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(trained, tmp_path / "checkpoints")
    codec = load(folder / CODEC_FILE)
    codec["weights"]["decoder.linear.bias"] += 1
    save(folder / CODEC_FILE, codec)
    with pytest.raises(ValueError, match="another codec"):
        write_layout(folder, tmp_path / "layout")
    assert not (tmp_path / "layout").exists()


def song(**changes: object) -> SongRequest:
    asked = {"prompt": "pop, piano, 90 bpm", "lyrics": "[verse]\nla", "seed": 3, "audio_duration": 1.0}
    return SongRequest(**settings_of("fast", QUICK) | asked | changes)


def audio_of(engine: V1Engine, **changes: object) -> np.ndarray:
    (made,) = engine.render([song(**changes)], 44100)
    return made.audio


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lyrics": ""},
        {"scheduler_type": "heun"},
        {"scheduler_type": "pingpong"},
        {"cfg_type": "cfg", "guidance_interval": 1.0, "use_erg_tag": False},
        {"cfg_type": "cfg_star", "use_erg_lyric": False},
        {"guidance_scale_text": 5.0, "guidance_scale_lyric": 2.0},
    ],
    ids=str,
)
def test_the_whole_path_of_v1_works_on_it(engine: V1Engine, changes: dict[str, object]) -> None:
    audio = audio_of(engine, **changes)
    assert audio.shape == (2, 10 * 4096)
    assert np.isfinite(audio).all()
    assert audio.std() > 1e-4


def test_the_same_seed_is_the_same_song_and_another_is_another(engine: V1Engine) -> None:
    first = audio_of(engine)
    np.testing.assert_array_equal(first, audio_of(engine))
    assert np.abs(first - audio_of(engine, seed=4)).max() > 1e-3


@pytest.mark.parametrize("switch", ["use_erg_tag", "use_erg_lyric", "use_erg_diffusion"])
def test_every_switch_of_erg_is_heard_at_this_depth(engine: V1Engine, switch: str) -> None:
    changes = {"guidance_interval": 1.0}
    assert np.abs(audio_of(engine, **changes) - audio_of(engine, **changes, **{switch: False})).max() > 1e-5


@torch.inference_mode()
def test_audio_can_be_a_source(engine: V1Engine, trained: Path, dataset: Path) -> None:
    samples = torch.from_numpy(read_clips(dataset).audio(0)[:1] / np.float32(32767))
    encoder = engine._sources._load_encoder()  # type: ignore[misc]
    latents = encoder.encode(samples, 44100)
    expected = load_training_set(trained).latents[:1].float()
    weighty = slice(0, 1)  # the rounding of float16 moves the least of them visibly
    torch.testing.assert_close(latents[:, weighty], expected[:, weighty], rtol=0, atol=0.1)


def test_songs_of_held_out_prompts_are_a_dataset(
    dataset: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "DURATION_S", 1.0)
    words = [str(dataset), "--into", str(tmp_path), "--count", "2", "--thrice", "1", "--set", *QUICK, "--device", "cpu"]
    generate.main([*words, "--checkpoints", str(trained)])
    made = read_clips(tmp_path)
    prompts = [clip.prompt for clip in read_clips(dataset).listed[:2]]
    assert [clip.seed for clip in made.listed] == [1, 2, 1, 3]
    assert [clip.prompt for clip in made.listed] == [*prompts, prompts[0], prompts[0]]
    assert made.mel(0).shape == (4, 2, 128, 80)
    audio = made.audio(0)
    assert audio.shape == (4, 2, 80 * 512)
    assert np.array_equal(audio[0], audio[2])
    assert not np.array_equal(audio[0], audio[3])


def test_songs_that_are_there_stay_and_folders_of_others_are_refused(
    dataset: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "DURATION_S", 1.0)
    monkeypatch.setattr(generate, "SHARD_CLIPS", 1)
    into = tmp_path / "songs"
    words = ["--count", "2", "--thrice", "0", "--set", *QUICK, "--device", "cpu", "--checkpoints", str(trained)]
    generate.main([str(dataset), "--into", str(into), *words])
    whole = {file.name: file.read_bytes() for file in into.iterdir()}
    (into / "mel_0001.npy").unlink()
    kept = (into / "mel_0000.npy").stat().st_mtime_ns
    generate.main([str(dataset), "--into", str(into), *words])
    assert {file.name: file.read_bytes() for file in into.iterdir()} == whole
    assert (into / "mel_0000.npy").stat().st_mtime_ns == kept
    with pytest.raises(SystemExit, match="other weights, settings or prompts"):
        generate.main([str(dataset), "--into", str(into), *words, "--seed", "9"])
    with pytest.raises(SystemExit, match="is a rendered dataset"):
        generate.main([str(dataset), "--into", str(dataset), *words])
    assert {file.name: file.read_bytes() for file in into.iterdir()} == whole


def test_a_preset_is_the_schema_with_its_values() -> None:
    settings = settings_of("fast", ["guidance_scale=4.5", "use_erg_tag=false"])
    assert settings["infer_step"] == 27
    assert settings["guidance_scale"] == 4.5
    assert settings["use_erg_tag"] is False
    assert set(settings) == set(SETTINGS) & set(SONG)
    with pytest.raises(SystemExit, match="no_such: no setting"):
        settings_of("fast", ["no_such=1"])
