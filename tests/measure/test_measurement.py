"""A whole measurement: every number is finite or missing, whatever the audio is."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from synthesised import RATE, Samples, both, noise, nothing, sine, song

from acestep_batch.measure.columns import COLUMNS, Measurement
from acestep_batch.measure.flags import Quality, judged
from acestep_batch.measure.measurement import measure_file, measure_samples

UNITS = {"s": "s", "lufs": "LUFS", "lu": "LU", "dbtp": "dBTP", "dbfs": "dBFS", "db": "dB", "hz": "Hz", "bpm": "BPM"}


def numbers(found: Measurement) -> dict[str, float]:
    return {name: value for name, value in dataclasses.asdict(found).items() if isinstance(value, int | float)}


def test_a_song_has_every_number() -> None:
    samples = song(8, 1)
    samples[100_000:101_000] = 1
    found = measure_samples(samples, RATE, 8.0).measurement
    assert None not in dataclasses.asdict(found).values()
    assert found.file_duration_s == 8
    assert found.duration_error_s == 0
    assert found.clipped_runs == 2


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("seconds", [0, 1 / RATE, 0.01, 0.3, 0.45, 1.6, 3.1])
def test_any_length_and_format_gives_finite_numbers(rate: int, channels: int, seconds: float) -> None:
    for samples in (noise(seconds, channels, rate=rate), nothing(seconds, channels, rate)):
        assert all(map(math.isfinite, numbers(measure_samples(samples, rate).measurement).values()))


EXTREMES = {
    "an offset alone": np.full((2 * RATE, 2), 0.25, np.float32),
    "one sample": np.concatenate([nothing(1), np.ones((1, 2), np.float32), nothing(1)]),
    "far over full scale": both(sine(440, 2, 120)),
    "hardly anything": both(sine(440, 2, -180)),
    "the smallest numbers": np.full((2 * RATE, 2), 1e-45, np.float32),
    "one channel": np.stack([sine(440, 2), np.zeros(2 * RATE)], axis=1).astype(np.float32),
}


@pytest.mark.parametrize("samples", EXTREMES.values(), ids=EXTREMES)
def test_extremes_give_finite_numbers(samples: Samples) -> None:
    assert all(map(math.isfinite, numbers(measure_samples(samples, RATE).measurement).values()))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-45, 37), length=st.integers(1, 9_000))
def test_random_samples_give_finite_numbers(seed: int, exponent: int, length: int) -> None:
    draws = np.random.default_rng(seed)
    samples = (draws.standard_normal((length, 2)) * (draws.random((length, 2)) < 0.3) * 10.0**exponent).astype(
        np.float32
    )
    assert all(map(math.isfinite, numbers(measure_samples(samples, 8_000).measurement).values()))


def test_broken_songs_are_judged_as_such() -> None:
    inverted = song(6, 1) * np.float32([1, -1])
    clipped = np.clip(song(6, 1) * 50, -1, 1)
    for samples, quality, reason in (
        (nothing(6), Quality.FAIL, "digital silence"),
        (nothing(6, 1), Quality.FAIL, "digital silence"),
        (EXTREMES["one channel"], Quality.WARN, "one channel is silent"),
        (inverted, Quality.WARN, "channels out of phase"),
        (clipped, Quality.WARN, "clipped"),
        (noise(6), Quality.WARN, "noise-like"),
        (np.concatenate([song(6, 1), nothing(6)]), Quality.WARN, "ends with 6.0 s of silence"),
    ):
        verdict = judged(measure_samples(samples, RATE).measurement)
        assert verdict.quality is quality
        assert any(each.startswith(reason) for each in verdict.reasons), verdict.reasons


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_counted_and_nothing_else_is_measured(bad: float) -> None:
    samples = noise(1)
    samples[10:13] = bad
    found = measure_samples(samples, RATE, 2.0)
    assert found.measurement == Measurement(file_duration_s=1.0, duration_error_s=-1.0, broken_samples=6)
    assert found.fingerprint == b""


@pytest.mark.parametrize("ending", ["flac", "wav", "ogg", "mp3"])
def test_a_file_reads_like_its_samples(ending: str, tmp_path: Path) -> None:
    samples, path = song(6, 3), tmp_path / f"song.{ending}"
    with soundfile.SoundFile(path, "w", RATE, 2) as file:
        for start in range(0, len(samples), RATE):
            file.write(samples[start : start + RATE])
    found, expected = measure_file(path, 6.0).measurement, measure_samples(samples, RATE, 6.0).measurement
    assert found.key == expected.key
    for name, tolerance in {
        "loudness_lufs": 0.2,
        "true_peak_dbtp": 2,
        "tempo_bpm": 0.5,
        "file_duration_s": 0.03,
    }.items():
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=tolerance), name


def test_a_file_that_is_no_audio_raises_libsndfiles_error(tmp_path: Path) -> None:
    path = tmp_path / "song.flac"
    path.write_bytes(b"fLaC and nothing behind it")
    with pytest.raises(soundfile.LibsndfileError):
        measure_file(path)


def test_numbers_are_rounded_and_zero_has_no_sign() -> None:
    found = measure_samples(both(sine(997, 1, -23)), RATE, 1.0).measurement
    for column in COLUMNS:
        value = getattr(found, column.name)
        if column.decimals is not None and value is not None:
            assert value == round(value, column.decimals)
            assert math.copysign(1, value) > 0 or value != 0


def test_columns_name_their_units() -> None:
    for column in COLUMNS:
        ending = re.search(r"_([a-z]+)$", column.name)
        unit = UNITS.get(ending.group(1)) if ending else None
        assert unit is None or unit == column.unit, column.name
        assert column.meaning.endswith(".")
        assert column.source
        assert column.dtype in ("Float64", "Int64", "string")
        assert (column.decimals is not None) == (column.dtype == "Float64")
