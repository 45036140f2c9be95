"""Waveforms and spectrograms of sounds that are known, and their files."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import soundfile
from PIL import Image

from acestep_batch.report.pictures import PEAKS, draw, palette, peaks_in, picture, spectrogram, waveform

RATE = 48_000


def sine(hertz: float, duration_s: float = 1.0, level: float = 1.0) -> np.ndarray:
    wave = level * np.sin(2 * np.pi * hertz * np.arange(int(duration_s * RATE)) / RATE)
    return np.stack([wave, wave]).astype(np.float32)


def test_the_waveform_of_a_sine_has_its_peak_and_its_root_mean_square():
    peaks, means = waveform(sine(1000, level=0.5))
    assert set(peaks) <= {127, 128}
    assert set(means) <= {89, 90, 91}  # 255 * 0.5 / sqrt(2) = 90.2, parts being no whole periods


def test_a_waveform_shows_where_the_sound_is_and_the_louder_channel():
    audio = np.zeros((2, 25_600), np.float32)
    audio[1, :12_800] = -0.2
    peaks = waveform(audio)[0]
    assert (set(peaks[: PEAKS // 2]), set(peaks[PEAKS // 2 :])) == ({51}, {0})


@pytest.mark.parametrize("length", [1, 2, 100, PEAKS, PEAKS + 1, 3000])
def test_audio_of_any_length_has_a_waveform_and_a_picture(length):
    audio = np.full((2, length), 0.5, np.float32)
    assert waveform(audio).shape == (2, PEAKS)
    assert set(waveform(audio)[0]) == {128}
    assert Image.open(io.BytesIO(picture(audio, RATE))).height == 80


def test_samples_beyond_full_scale_fill_the_picture_and_do_not_wrap_around():
    assert set(waveform(np.full((2, 4096), 3.0, np.float32))[0]) == {255}


def test_a_higher_tone_stands_higher_and_time_goes_to_the_right():
    low, high = (int(spectrogram(sine(hertz), RATE).max(axis=1).argmax()) for hertz in (200, 8000))
    assert high < low
    later = np.concatenate([np.zeros((2, RATE), np.float32), sine(440)], axis=1)
    levels = spectrogram(later, RATE)
    half = levels.shape[1] // 2
    assert levels[:, : half - 3].max() == 0
    assert levels[:, half + 3 :].max() > 50


def test_levels_are_absolute_so_that_songs_can_be_compared():
    loud, quiet = (int(spectrogram(sine(1000, level=level), RATE).max()) for level in (1.0, 0.1))
    assert loud - quiet == pytest.approx(20 / 80 * 63, abs=1)  # 20 dB of the 80 that are drawn
    assert spectrogram(np.zeros((2, RATE), np.float32), RATE).max() == 0


def test_a_long_song_is_no_wider_than_the_picture():
    assert spectrogram(sine(440, duration_s=30), RATE).shape == (80, 512)


def test_every_colour_is_lighter_than_the_one_below():
    red, green, blue = np.array(palette()).reshape(-1, 3).T
    assert (np.diff(0.2126 * red + 0.7152 * green + 0.0722 * blue) > 0).all()


def test_a_picture_holds_its_waveform_and_is_drawn_once(tmp_path):
    song, into = tmp_path / "a.wav", tmp_path / "a.png"
    soundfile.write(song, sine(440, level=0.5).T, RATE)
    peaks = draw(song, into)
    assert np.frombuffer(base64.b64decode(peaks), np.uint8).reshape(2, PEAKS)[0].max() == 128
    song.unlink()
    assert draw(song, into) == peaks


@pytest.mark.parametrize("damage", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_damaged_or_foreign_picture_is_drawn_again(tmp_path, damage):
    song, into = tmp_path / "a.wav", tmp_path / "a.png"
    soundfile.write(song, sine(440).T, RATE)
    whole = picture(sine(440), RATE)
    into.write_bytes(damage or whole[: len(whole) // 2])
    assert peaks_in(into) is None
    assert draw(song, into) == peaks_in(into)


def test_a_picture_without_a_waveform_is_none_of_ours(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "x.png")
    assert peaks_in(tmp_path / "x.png") is None
