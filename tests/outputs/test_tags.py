"""The whole record travels in the audio file, and the samples do not notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen.id3 import ID3
from numpy.typing import NDArray

from acestep_batch.outputs.audio_files import decoded, file_sha256, write_audio
from acestep_batch.outputs.formats import ALL_FORMATS, AudioFormat, audio_format
from acestep_batch.outputs.tags import RECORD_TAG, Tags, read_record, write_tags
from acestep_batch.problems import Refused

Song = Callable[..., NDArray[np.float32]]

RECORD: dict[str, Any] = {
    "id": "Ünïcode 雨 \U0001f3b5\U0001f468\u200d\U0001f3a4",
    "lyrics": '[verse]\r\n\tla \U0001f3b6 "quoted" \\ back\0slash \ud83d\n' * 1500,
    "generation": {"guidance_scale": 15.0, "oss_steps": [1, 2, 3], "use_erg_tag": True, "preset": None},
}


@pytest.mark.parametrize("one", ALL_FORMATS, ids=lambda one: one.label)
def test_70_kb_go_in_and_come_back_and_the_samples_stay(tmp_path: Path, song: Song, one: AudioFormat) -> None:
    path = tmp_path / f"song.{one.name}"
    write_audio(path, song(1), 48_000, one)
    before = decoded(path)
    assert read_record(path) is None
    write_tags(path, one, Tags("Title \U0001f3b5 雨", "a comment\0\ud800", RECORD))
    assert decoded(path) == before
    assert read_record(path) == RECORD
    assert path.stat().st_size > 70_000

    tags: Any = mutagen.File(path).tags
    if isinstance(tags, ID3):
        assert str(tags["TIT2"]) == "Title \U0001f3b5 雨"
        assert [str(frame) for frame in tags.getall("COMM")] == ["a comment ?"]
    else:
        assert tags["TITLE"] == ["Title \U0001f3b5 雨"]
        assert tags["COMMENT"] == ["a comment ?"]


@pytest.mark.parametrize("one", ALL_FORMATS, ids=lambda one: one.label)
def test_tagging_the_same_audio_gives_the_same_bytes(tmp_path: Path, song: Song, one: AudioFormat) -> None:
    paths = [tmp_path / f"{name}.{one.name}" for name in "ab"]
    for path in paths:
        write_audio(path, song(), 48_000, one)
        write_tags(path, one, Tags("title", "comment", RECORD))
    assert file_sha256(paths[0]) == file_sha256(paths[1])


@pytest.mark.parametrize("name", ["ogg", "opus", "mp3", "wav", "flac"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.one_of(st.integers(0, 70_000), st.integers(0, 270).map(lambda pages: 255 * pages)))
def test_records_of_any_size_leave_the_samples_alone(tmp_path: Path, song: Song, name: str, size: int) -> None:
    one = audio_format(name, "pcm16")
    path = tmp_path / f"song.{one.name}"
    write_audio(path, song(0.2), 48_000, one)
    before = decoded(path)
    write_tags(path, one, Tags("", "", {"x": "x" * size}))
    assert decoded(path) == before
    assert read_record(path) == {"x": "x" * size}


def test_a_record_that_is_no_json_is_refused_before_the_file_is_touched(tmp_path: Path, song: Song) -> None:
    path = tmp_path / "song.flac"
    one = audio_format("flac", "pcm16")
    write_audio(path, song(), 48_000, one)
    before = file_sha256(path)
    with pytest.raises(ValueError, match="JSON"):
        write_tags(path, one, Tags("", "", {"x": float("nan")}))
    assert file_sha256(path) == before


@pytest.mark.parametrize("value", ["not json", "[1, 2]"])
def test_a_foreign_tag_is_refused_by_name(tmp_path: Path, song: Song, value: str) -> None:
    path = tmp_path / "song.flac"
    write_audio(path, song(), 48_000, audio_format("flac", "pcm16"))
    file: Any = mutagen.File(path)
    file[RECORD_TAG] = value
    file.save()
    with pytest.raises(Refused, match="no JSON"):
        read_record(path)


@pytest.mark.parametrize("content", [b"", b"no audio at all", b"fLaC", b"RIFF\xff\xff\xff\xffWAVE", b"OggS\0"])
def test_what_is_no_audio_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    for name in ("song.flac", "song.ogg", "song.wav", "song"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Refused, match="song"):
            read_record(tmp_path / name)
    with pytest.raises(Refused, match="missing"):
        read_record(tmp_path / "missing.flac")
