"""A published song is complete, described by its own tags, and never in another's place."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from acestep_batch.outputs.audio_files import file_sha256, master_sha256, pcm_sha256
from acestep_batch.outputs.formats import ALL_FORMATS, AudioFormat, audio_format
from acestep_batch.outputs.publish import Encoding, publish_audio
from acestep_batch.outputs.tags import Tags, read_record

Song = Callable[..., NDArray[np.float32]]
FLAC = audio_format("flac", "pcm16")


def describe(encoding: Encoding) -> Tags:
    record = {"id": "a", "pcm_sha256": encoding.pcm_sha256, "clipped_samples": encoding.clipped_samples}
    return Tags("a", "acestep_batch", record)


@pytest.mark.parametrize("one", ALL_FORMATS, ids=lambda one: one.label)
def test_the_result_describes_the_file(tmp_path: Path, song: Song, one: AudioFormat) -> None:
    final = tmp_path / "deep" / "er" / f"song.{one.name}"
    audio = song(1)
    audio[0, 5] = 1.25
    file = publish_audio(final, audio, 48_000, one, describe)
    assert list(final.parent.iterdir()) == [final]
    assert (file.path, file.format, file.subtype) == (final, one.name, one.subtype)
    assert file.bytes == final.stat().st_size
    assert file.file_sha256 == file_sha256(final)
    assert file.pcm_sha256 == pcm_sha256(final)
    assert file.clipped_samples == (1 if one.bits else 0)
    assert read_record(final) == describe(Encoding(file.pcm_sha256, file.clipped_samples)).record
    if one.subtype == "FLOAT":
        assert file.pcm_sha256 == master_sha256(audio)


def test_a_taken_name_is_not_overwritten(tmp_path: Path, song: Song) -> None:
    final = tmp_path / "song.flac"
    final.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        publish_audio(final, song(), 48_000, FLAC, describe)
    assert final.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [final]


def test_bad_audio_a_bad_record_and_a_bad_rate_leave_nothing(tmp_path: Path, song: Song) -> None:
    with pytest.raises(ValueError, match="finite"):
        publish_audio(tmp_path / "a.flac", song() * np.float32(np.inf), 48_000, FLAC, describe)
    with pytest.raises(ValueError, match="JSON"):
        publish_audio(tmp_path / "a.flac", song(), 48_000, FLAC, lambda _: Tags("", "", {"x": float("nan")}))
    with pytest.raises(OSError, match=r"a\.opus: cannot be written as opus: .* MiB free"):
        publish_audio(tmp_path / "a.opus", song(), 44_100, audio_format("opus", "pcm16"), describe)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("one", ALL_FORMATS, ids=lambda one: one.label)
@pytest.mark.skipif(os.name == "nt", reason="needs a file size limit")
def test_a_disk_that_fills_at_any_point_leaves_nothing(tmp_path: Path, song: Song, one: AudioFormat) -> None:
    resource = pytest.importorskip("resource")
    whole = publish_audio(tmp_path / f"whole.{one.name}", song(), 48_000, one, describe)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    target = tmp_path / "target"
    target.mkdir()
    try:
        for limit in (0, 100, whole.bytes // 2, whole.bytes - 4096, whole.bytes - 300, whole.bytes - 1):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            with pytest.raises(OSError, match=r"song|File too large") as caught:
                publish_audio(target / f"song.{one.name}", song(), 48_000, one, describe)
            assert caught.value.errno in (None, errno.EFBIG)
            assert list(target.iterdir()) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
