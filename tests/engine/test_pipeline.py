"""The engine end to end, down to the waveform."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from acestep_batch.engine.base import ENGINE_VERSION, Decoding, DenoisedSong, Engine, SongRequest
from acestep_batch.engine.tasks import AudioSource, AudioToAudio, LatentSource, Repaint
from acestep_batch.engine.v1.conditioning import LyricTokenizer
from acestep_batch.engine.v1.limits import source_frames
from acestep_batch.engine.v1.loading import load_engine
from acestep_batch.engine.v1.pipeline import V1Engine

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
CASES = [
    case
    for case in json.loads((GOLDEN / "g_e2e.json").read_text(encoding="utf-8"))["cases"]
    if "wav_sensitivity" in case
]

Golden = Callable[[str, str], dict[str, Tensor]]
MakeRequest = Callable[..., SongRequest]


def settings_of(case: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a golden case in which it may differ from the base request."""
    names = (
        "cfg_type",
        "scheduler_type",
        "guidance_scale",
        "guidance_interval",
        "use_erg_tag",
        "use_erg_lyric",
        "use_erg_diffusion",
    )
    return {name: case["params"][name] for name in names}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_waveform_equals_reference(
    case: dict[str, Any], engine: V1Engine, make_request: MakeRequest, golden: Golden
) -> None:
    (song,) = engine.render([make_request(**settings_of(case))], sample_rate=48000)
    assert song.audio.shape == (2, case["wav_len"])
    assert song.audio.dtype == np.float32
    theirs = {name: tensor[0].numpy() for name, tensor in golden("g_e2e", case["id"]).items() if "wav" in name}
    middle = case["wav_len"] // 2
    ours = {
        "wav_head": song.audio[:, :1024],
        "wav_mid": song.audio[:, middle : middle + 1024],
        "wav_every101": song.audio[:, ::101],
    }
    difference = np.concatenate([(ours[name] - theirs[name]).ravel() for name in ours])
    assert np.percentile(np.abs(difference), 99) <= 50 * case["wav_sensitivity"]["p99"]
    assert np.sqrt(np.mean(difference**2)) <= 50 * case["wav_sensitivity"]["rms"]


def test_an_engine_is_an_engine(engine: V1Engine) -> None:
    checked: Engine = engine
    assert checked.label == "golden, untrained"


def test_songs_come_back_in_order_with_their_facts(engine: V1Engine, make_request: MakeRequest) -> None:
    songs = [make_request(seed=seed, audio_duration=0.5, infer_step=2) for seed in (5, 6)]
    first, second = engine.render(songs, sample_rate=44100)
    assert first.frames == 5
    assert first.audio.shape == (2, 5 * 4096)
    assert first.sample_rate == 44100
    assert first.model_calls == 3
    assert set(first.stage_seconds) == {"text", "diffusion", "decode"}
    assert first.notes == ()
    (alone,) = engine.render(songs[1:], sample_rate=44100)
    assert np.abs(second.audio - alone.audio).mean() < 1e-4
    assert np.abs(second.audio - first.audio).mean() > 1e-2


def test_requests_that_cannot_go_together_are_refused(engine: V1Engine, make_request: MakeRequest) -> None:
    with pytest.raises(ValueError, match="2 requests do not share one micro-batch key"):
        engine.render([make_request(), make_request(infer_step=7)], sample_rate=44100)


def test_requests_without_a_defined_result_are_refused(engine: V1Engine, make_request: MakeRequest) -> None:
    with pytest.raises(ValueError, match="oss_steps cannot be combined with scheduler_type heun"):
        engine.render([make_request(scheduler_type="heun", oss_steps=(1, 3))], sample_rate=44100)


def test_the_description_is_for_records(engine: V1Engine) -> None:
    facts = engine.describe()
    made_on = facts.pop("made_on")
    weights = {"revision": None, "commit": None, "files": [], "lyric_libraries": {}}
    kernels = {"dtype": "float32", "compiled": False, "strict": False}
    assert facts == {"engine_version": ENGINE_VERSION, "device": "cpu", **kernels, **weights}
    assert made_on == {"torch": torch.__version__, "cpu": made_on["cpu"], "gpu": None, "threads": 1}
    assert "kernels" in made_on["cpu"]
    assert engine.peak_memory_bytes() is None


def test_offloaded_components_make_the_same_song_and_come_back(engine: V1Engine, make_request: MakeRequest) -> None:
    request = make_request(infer_step=2, audio_duration=1.0)
    (plain,) = engine.render([request], sample_rate=44100)
    with engine.offloaded():
        (spared,) = engine.render([request], sample_rate=44100)
    (after,) = engine.render([request], sample_rate=44100)
    assert np.array_equal(plain.audio, spared.audio)
    assert np.array_equal(plain.audio, after.audio)


def test_a_stay_in_float32_leaves_bfloat16_weights_and_songs_as_they_were(
    checkpoint: Path, lyric_tokenizer: LyricTokenizer, make_request: MakeRequest
) -> None:
    half = load_engine(checkpoint, lyric_tokenizer, "cpu", torch.bfloat16, False, "half", [])
    request = make_request(infer_step=2, audio_duration=1.0)
    (before,) = half.render([request], sample_rate=44100)
    with half.in_float32():
        (exact,) = half.render([request], sample_rate=44100)
    (after,) = half.render([request], sample_rate=44100)
    assert np.array_equal(before.audio, after.audio)
    assert not np.array_equal(before.audio, exact.audio)
    assert np.isfinite(exact.audio).all()


@pytest.mark.slow
def test_small_windows_sound_the_same_and_overlapping_ones_differ_near_their_seams(engine: V1Engine) -> None:
    noise = torch.randn(8, 16, 600, generator=torch.Generator().manual_seed(1)).numpy()
    song = DenoisedSong(noise, model_calls=1)
    plain, small, overlapped = (
        engine.decode([song], 44100, decoding)[0].audio
        for decoding in (Decoding.PLAIN, Decoding.SMALL_WINDOWS, Decoding.OVERLAPPED)
    )
    assert np.abs(plain - small).max() < 1e-4
    assert plain.shape == overlapped.shape
    assert np.abs(plain - overlapped).max() > 1e-3


def noise_as_audio(channels: int, sample_rate: int, seconds: float = 0.6) -> AudioSource:
    samples = np.random.RandomState(0).standard_normal((channels, round(sample_rate * seconds))) / 10
    return AudioSource(samples.astype(np.float32), sample_rate)


@pytest.mark.parametrize(("channels", "sample_rate"), [(1, 8000), (2, 22050), (2, 44100), (1, 96001)])
def test_a_source_of_any_rate_and_either_number_of_channels_is_encoded(
    engine: V1Engine, make_request: MakeRequest, channels: int, sample_rate: int
) -> None:
    source = noise_as_audio(channels, sample_rate)
    (song,) = engine.denoise([make_request(task=AudioToAudio(source, 1.0))])
    assert song.latents.shape == (8, 16, source_frames(source)) == (8, 16, 7)
    assert "source" in song.stage_seconds


def test_a_song_from_audio_is_the_song_from_its_latents(engine: V1Engine, make_request: MakeRequest) -> None:
    source = noise_as_audio(2, 48000)
    (encoded,) = engine.denoise([make_request(task=AudioToAudio(source, 1.0))])
    songs = [make_request(seed=seed, infer_step=3, task=Repaint(source, 2, 5, 8, 0.9)) for seed in (1, 2)]
    from_audio = engine.denoise(songs)
    for song, made in zip(songs, from_audio, strict=True):
        (again,) = engine.denoise([replace(song, task=replace(song.task, source=LatentSource(encoded.latents)))])
        np.testing.assert_allclose(made.latents, again.latents, atol=1e-4)
        assert "source" not in again.stage_seconds


def test_the_encoder_is_loaded_for_the_first_source_that_is_audio_and_moves_with_the_others(
    checkpoint: Path, lyric_tokenizer: LyricTokenizer, make_request: MakeRequest
) -> None:
    engine = load_engine(checkpoint, lyric_tokenizer, "cpu", torch.bfloat16, False, "half", [])
    held = {"infer_step": 1, "guidance_scale": 1.0, "audio_duration": 0.5}
    request = make_request(**held, task=AudioToAudio(noise_as_audio(2, 44100), 1.0))
    engine.denoise([make_request(**held)])
    engine.denoise([make_request(**held, task=AudioToAudio(LatentSource(np.zeros((8, 16, 3))), 1.0))])
    assert engine._sources.encoder is None
    with engine.in_float32():
        (exact,) = engine.denoise([request])
    assert engine._sources.encoder is not None
    (plain,) = engine.denoise([request])
    with engine.offloaded():
        (spared,) = engine.denoise([request])
    assert np.array_equal(plain.latents, spared.latents)
    assert 0 < np.abs(plain.latents - exact.latents).max() < 0.5
