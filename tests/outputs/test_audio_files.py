"""What is written decodes to what was given, in every format, at every length."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from acestep_batch.outputs.audio_files import (
    BLOCK_FRAMES,
    available_formats,
    decoded,
    file_sha256,
    master_sha256,
    pcm_sha256,
    write_audio,
)
from acestep_batch.outputs.formats import ALL_FORMATS, FORMAT_NAMES, AudioFormat, audio_format, format_problems

Song = Callable[..., NDArray[np.float32]]
INTEGER = [one for one in ALL_FORMATS if one.bits]


def by_label(one: AudioFormat) -> str:
    return one.label


@pytest.mark.parametrize("one", ALL_FORMATS, ids=by_label)
@pytest.mark.parametrize("frames", [1, 1000, BLOCK_FRAMES, BLOCK_FRAMES + 1])
def test_every_frame_arrives(tmp_path: Path, song: Song, one: AudioFormat, frames: int) -> None:
    path = tmp_path / f"song.{one.name}"
    assert write_audio(path, song(2)[:, :frames], 48_000, one) == 0
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.format, info.subtype) == (48_000, 2, one.container, one.subtype)
    assert decoded(path)[1] == frames


@pytest.mark.parametrize("one", ALL_FORMATS, ids=by_label)
def test_it_sounds_like_the_master(tmp_path: Path, song: Song, one: AudioFormat) -> None:
    audio = song(3)
    path = tmp_path / f"song.{one.name}"
    write_audio(path, audio, 48_000, one)
    error = soundfile.read(path, dtype="float32")[0].T - audio
    decibels = 10 * np.log10(np.mean(audio**2) / max(np.mean(error**2), 1e-20))
    assert decibels > {"PCM_16": 85, "PCM_24": 130, "FLOAT": 180}.get(one.subtype, 15)


@pytest.mark.parametrize("one", ALL_FORMATS, ids=by_label)
def test_the_same_audio_is_the_same_bytes(tmp_path: Path, song: Song, one: AudioFormat) -> None:
    paths = [tmp_path / f"{name}.{one.name}" for name in "ab"]
    for path in paths:
        write_audio(path, song(), 48_000, one)
    assert file_sha256(paths[0]) == file_sha256(paths[1]) == hashlib.sha256(paths[0].read_bytes()).hexdigest()


def test_a_float_wav_carries_no_time(tmp_path: Path, song: Song) -> None:
    path = tmp_path / "song.wav"
    write_audio(path, song(), 48_000, audio_format("wav", "float32"))
    data = path.read_bytes()
    version, time = struct.unpack_from("<II", data, data.index(b"PEAK") + 8)
    assert (version, time) == (1, 0)


@pytest.mark.parametrize("one", INTEGER, ids=by_label)
def test_clipping_is_counted_and_limited(tmp_path: Path, song: Song, one: AudioFormat) -> None:
    audio = song()
    audio[0, :3] = [1.0, 1.5, np.nextafter(np.float32(1), np.float32(2))]
    audio[1, 7] = -3e38
    audio[1, 8] = -1.0
    path = tmp_path / f"song.{one.name}"
    assert write_audio(path, audio, 48_000, one) == 3
    read = soundfile.read(path, dtype="float64")[0]
    assert one.bits is not None
    top = 1 - 2.0 ** (1 - one.bits)
    assert read[:3, 0].tolist() == [top] * 3
    assert read[7:9, 1].tolist() == [-1.0, -1.0]


@pytest.mark.parametrize("one", INTEGER, ids=by_label)
def test_integer_samples_are_the_nearest_steps(tmp_path: Path, song: Song, one: AudioFormat) -> None:
    audio = song()
    path = tmp_path / f"song.{one.name}"
    write_audio(path, audio, 48_000, one)
    assert one.bits is not None
    steps = soundfile.read(path, dtype="float64")[0].T * 2 ** (one.bits - 1)
    assert np.array_equal(steps, np.rint(audio.astype(np.float64) * 2 ** (one.bits - 1)))


def test_float_wav_keeps_everything_and_hashes_like_the_master(tmp_path: Path, song: Song) -> None:
    audio = song(2) * 3
    path = tmp_path / "song.wav"
    assert write_audio(path, audio, 44_100, audio_format("wav", "float32")) == 0
    assert pcm_sha256(path) == master_sha256(audio) == hashlib.sha256(audio.T.astype("<f4").tobytes()).hexdigest()
    assert master_sha256(np.asfortranarray(audio)) == master_sha256(audio)


def test_flac_and_24_bit_wav_decode_alike(tmp_path: Path, song: Song) -> None:
    write_audio(tmp_path / "a.flac", song(), 48_000, audio_format("flac", "pcm16"))
    write_audio(tmp_path / "a.wav", song(), 48_000, audio_format("wav", "pcm24"))
    assert pcm_sha256(tmp_path / "a.flac") == pcm_sha256(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros((1, 10), np.float32),
        np.zeros((2, 0), np.float32),
        np.zeros(10, np.float32),
        np.zeros((2, 10)),
        np.full((2, 10), np.nan, np.float32),
    ],
)
def test_what_is_no_audio_is_an_error(tmp_path: Path, audio: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="audio"):
        write_audio(tmp_path / "song.flac", audio, 48_000, audio_format("flac", "pcm16"))
    assert list(tmp_path.iterdir()) == []


def test_this_libsndfile_writes_every_format() -> None:
    found = available_formats()
    assert found == dict.fromkeys([one.label for one in ALL_FORMATS])
    assert list(found) == ["wav pcm16", "wav pcm24", "wav float", "flac", "mp3", "ogg", "opus"]


def test_44100_hz_is_native_but_not_for_opus(tmp_path: Path, song: Song) -> None:
    problems = format_problems(FORMAT_NAMES, "pcm16", 44_100)
    assert [str(problem) for problem in problems] == [
        "output.sample_rate: 44100 Hz is not supported by opus"
        " -> use 8000, 12000, 16000, 24000, 48000, or leave opus out of output.formats"
    ]
    assert format_problems(FORMAT_NAMES, "float32", 48_000) == []
    for name in ("wav", "flac", "mp3", "ogg"):
        one = audio_format(name, "pcm16")
        path = tmp_path / f"song.{one.name}"
        write_audio(path, song(1, 44_100), 44_100, one)
        assert soundfile.info(path).samplerate == 44_100
        assert decoded(path)[1] == 44_100


WRITE_MINUTES = """
import sys
from pathlib import Path
import numpy as np
from acestep_batch.outputs.formats import audio_format
from acestep_batch.outputs.publish import publish_audio
from acestep_batch.outputs.tags import Tags, read_record
folder, name, subtype, seconds = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
frames = seconds * 48_000
time = np.arange(frames, dtype=np.float32) / 48_000
noise = np.random.default_rng(0).standard_normal((2, frames), np.float32)
audio = 0.3 * np.sin(2 * np.pi * 220 * time) + 0.05 * noise
record = {"lyrics": "la \\U0001f3b5 " * 10_000}
file = publish_audio(
    folder / f"song.{name}", audio, 48_000, audio_format(name, subtype), lambda encoding: Tags("a", "b", record)
)
assert read_record(file.path) == record
print(file.path.name, file.bytes, sorted(path.name for path in folder.iterdir()))
"""


def write_minutes(folder: Path, name: str, subtype: str, seconds: int) -> None:
    command = [sys.executable, "-c", WRITE_MINUTES, str(folder), name, subtype, str(seconds)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith(f"['song.{name}']\n")
    assert decoded(folder / f"song.{name}")[1] == seconds * 48_000


def test_100_seconds_of_vorbis_do_not_kill_the_process(tmp_path: Path) -> None:
    write_minutes(tmp_path, "ogg", "pcm16", 100)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("wav", "pcm16"),
        ("wav", "pcm24"),
        ("wav", "float32"),
        *((name, "pcm16") for name in FORMAT_NAMES if name != "wav"),
    ],
)
def test_240_seconds_in_each_format(tmp_path: Path, name: str, subtype: str) -> None:
    write_minutes(tmp_path, name, subtype, 240)
