"""Rendered clips: repeatable, level, clear of clipping, in tune, with the beat at the first frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acestep_batch.measure.loudness import loudness
from training.analysis import FULL_SCALE, Analysis
from training.backings import BACKINGS
from training.composer import compose, compose_tags
from training.kit import DRUMS, drum
from training.leads import LEADS
from training.oscillators import hertz, partials
from training.rhythm import PATTERNS
from training.synth import SOUNDS, render
from training.tempo import CLIP_MEL_FRAMES, CLIP_SAMPLES, HOP, SAMPLE_RATE
from training.words import ACCOMPANIMENTS, GENRES
from training.words import LEADS as LEAD_WORDS


def test_a_composition_is_one_clip() -> None:
    first = render(compose(3))
    drum.cache_clear()
    np.testing.assert_array_equal(render(compose(3)), first)
    assert first.shape == (2, CLIP_SAMPLES)
    assert not np.array_equal(render(compose(4)), first)


@pytest.mark.parametrize("seed", range(3))
def test_clips_are_at_minus_16_lufs_and_do_not_clip(seed: int) -> None:
    audio = (render(compose(seed)).T / FULL_SCALE).astype(np.float32)
    assert loudness(audio, SAMPLE_RATE).integrated_lufs == pytest.approx(-16, abs=0.2)
    assert np.abs(audio).max() < 10 ** (-1 / 20)


@pytest.mark.parametrize("accompaniment", ["pad", "bass"])
@pytest.mark.parametrize("drums", [True, False])
def test_the_beat_is_at_frame_0(accompaniment: str, drums: bool) -> None:
    tags = replace(compose(5).tags, accompaniment=accompaniment, drums=drums, lead="piano", genre="pop", mood="happy")
    audio = render(compose_tags(tags, 5))
    assert np.abs(audio[:, : SAMPLE_RATE // 50]).max() > 0.02 * FULL_SCALE
    mel = Analysis().mel(audio).astype(np.float32)
    assert mel.shape == (2, 128, CLIP_MEL_FRAMES)
    rises = np.maximum(np.diff(np.exp(mel), axis=2), 0).sum(axis=(0, 1))
    period = tags.tempo.beat_samples // HOP
    folded = rises[: len(rises) // period * period].reshape(-1, period).sum(axis=0)
    strongest = int(folded.argmax())
    assert min(strongest, period - strongest) <= 3  # an analysis frame is four hops long


def test_mel_is_that_of_the_product() -> None:
    silence = Analysis().mel(np.zeros((2, 20 * HOP), np.int16))
    assert silence.shape == (2, 128, 20)
    assert silence.dtype == np.float16
    assert np.all(silence < -5)


@pytest.mark.parametrize("name", [*LEADS, *BACKINGS])
def test_every_instrument_is_in_tune_and_within_bounds(name: str) -> None:
    voice = {**LEADS, **BACKINGS}[name]
    sound = voice(69, SAMPLE_RATE // 2, "la")
    assert np.isfinite(sound).all()
    assert 0.2 < np.abs(sound).max() < 3
    windowed = sound[: SAMPLE_RATE // 2] * np.hanning(SAMPLE_RATE // 2)
    spectrum = np.abs(np.fft.rfft(windowed, 4 * SAMPLE_RATE))
    hertz_of = np.arange(len(spectrum)) / 4
    near = {octave: spectrum[np.abs(hertz_of - 440 * octave) < 8].max() for octave in (0.5, 1, 2)}
    between = spectrum[np.abs(hertz_of - 440 * 2 ** (1 / 12)) < 8].max()
    assert max(near.values()) > 5 * between


@pytest.mark.parametrize("name", DRUMS)
def test_a_drum_sounds_at_once_and_dies_away(name: str) -> None:
    sound = drum(name)
    assert np.abs(sound[: SAMPLE_RATE // 100]).max() > 0.2 * np.abs(sound).max()
    assert np.abs(sound[-SAMPLE_RATE // 200 :]).max() < 0.15 * np.abs(sound).max()


def test_partials_are_decaying_sines() -> None:
    time_s = np.arange(3000) / SAMPLE_RATE
    found = partials(np.array([440.0, 20_000.0]), np.array([0.5, 1.0]), np.array([3.0, 0.0]), 3000)
    np.testing.assert_allclose(found, 0.5 * np.exp(-3 * time_s) * np.sin(2 * np.pi * 440 * time_s), atol=1e-9)
    assert hertz(69) == 440


def test_every_word_has_a_sound() -> None:
    assert set(LEADS) == set(LEAD_WORDS)
    assert set(BACKINGS) == set(ACCOMPANIMENTS)
    assert set(SOUNDS) == set(PATTERNS) == set(GENRES)
    assert {name for patterns in PATTERNS.values() for pattern in patterns for name in pattern} <= set(DRUMS)
