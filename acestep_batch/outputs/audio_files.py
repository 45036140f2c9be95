"""Writes audio to files through libsndfile, asks what it can write, and hashes what it wrote."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from acestep_batch.outputs.formats import ALL_FORMATS, AudioFormat
from acestep_batch.outputs.plain_files import check_plain_file
from acestep_batch.outputs.stable_bytes import remove_peak_time, set_ogg_serial

ENCODER = f"libsndfile {soundfile.__libsndfile_version__}"
"""What writes and reads every file; the lossy formats' samples may change with its version."""

BLOCK_FRAMES = 65_536
"""libvorbis keeps a whole call's samples on the stack: one call with minutes of audio kills the process."""


def write_audio(path: Path, audio: NDArray[np.float32], sample_rate: int, audio_format: AudioFormat) -> int:
    """Encode `audio` `[2, N]` float32 into a new file and return the number of clipped samples.

    Integer formats are rounded to the nearest step without dither, and samples beyond full scale are clipped and
    counted (1.0 exactly is the largest step and does not count). Float wav and the lossy encoders get the samples
    as they are. The same audio gives the same bytes.

    The file is encoded in memory: libsndfile keeps errors of its last writes and of its sync to itself.

    Raises:
        ValueError: wrong shape or type, no samples, or samples that are not finite.
        soundfile.LibsndfileError, mutagen.MutagenError: the audio cannot be encoded.
        OSError: the file cannot be written.
    """
    if audio.ndim != 2 or audio.shape[0] != 2 or audio.shape[1] == 0 or audio.dtype != np.float32:
        raise ValueError(f"audio must be float32 [2, N > 0], not {audio.dtype} {list(audio.shape)}")
    if not np.isfinite(audio).all():
        raise ValueError("audio has samples that are not finite")
    clipped, encoded = 0, io.BytesIO()
    with soundfile.SoundFile(
        encoded,
        "w",
        samplerate=sample_rate,
        channels=2,
        format=audio_format.container,
        subtype=audio_format.subtype,
        compression_level=audio_format.compression_level,
    ) as file:
        for block in _blocks(audio):
            if audio_format.bits is None:
                file.write(block)
            else:
                clipped += int(np.count_nonzero(np.abs(block) > 1))
                file.write(_quantised(block, audio_format.bits))
    if audio_format.subtype == "FLOAT":
        remove_peak_time(encoded)
    if audio_format.container == "OGG":
        set_ogg_serial(encoded, zlib.crc32(np.ascontiguousarray(audio).data))
    path.write_bytes(encoded.getbuffer())
    return clipped


def available_formats() -> dict[str, str | None]:
    """Each encoding's label and why this libsndfile cannot write it: None if it just did, in memory."""
    return {audio_format.label: encoder_failure(audio_format) for audio_format in ALL_FORMATS}


def encoder_failure(audio_format: AudioFormat) -> str | None:
    """Write 1024 frames of silence at 48 kHz to memory: None if that works, else libsndfile's reason."""
    try:
        soundfile.write(
            io.BytesIO(),
            np.zeros((1024, 2), np.float32),
            48_000,
            format=audio_format.container,
            subtype=audio_format.subtype,
        )
    except (soundfile.LibsndfileError, ValueError) as error:
        return f"libsndfile {soundfile.__libsndfile_version__}: {error}"
    return None


def master_sha256(audio: NDArray[np.float32]) -> str:
    """sha256 of the samples `[2, N]` as interleaved little-endian float32: what `pcm_sha256` is of a float wav."""
    digest = hashlib.sha256()
    for block in _blocks(audio):
        digest.update(block.astype("<f4", copy=False).data)
    return digest.hexdigest()


def pcm_sha256(path: Path) -> str:
    """sha256 of the file's samples as libsndfile decodes them: interleaved little-endian float32, tags left out.

    Raises soundfile.LibsndfileError when the file cannot be read.
    """
    return decoded(path)[0]


def decoded(path: Path) -> tuple[str, int]:
    """`pcm_sha256` and the number of frames that the file really holds, whatever its header says.

    Raises soundfile.LibsndfileError when the file cannot be read, and OSError where it is no plain file.
    """
    digest = hashlib.sha256()
    frames = 0
    check_plain_file(path)
    with soundfile.SoundFile(path) as file:
        for block in file.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True):
            digest.update(np.ascontiguousarray(block, "<f4").data)
            frames += len(block)
    return digest.hexdigest(), frames


def read_audio(path: Path) -> tuple[NDArray[np.float32], int]:
    """The file's samples `[channels, N]` float32, as libsndfile decodes them, and its sample rate in Hz.

    Raises soundfile.LibsndfileError when the file cannot be read, and OSError where it is no plain file.
    """
    check_plain_file(path)
    with soundfile.SoundFile(path) as file:
        blocks = [np.zeros((0, file.channels), np.float32)]
        blocks.extend(file.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True))
        return np.ascontiguousarray(np.concatenate(blocks).T), file.samplerate


def file_sha256(path: Path) -> str:
    """sha256 of the file's bytes. Raises OSError."""
    check_plain_file(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _blocks(audio: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """`[2, N]` as contiguous `[up to BLOCK_FRAMES, 2]`."""
    for start in range(0, audio.shape[1], BLOCK_FRAMES):
        yield np.ascontiguousarray(audio[:, start : start + BLOCK_FRAMES].T)


def _quantised(block: NDArray[np.float32], bits: int) -> NDArray[np.int32]:
    """Samples as `bits`-bit integers in the upper bits of int32, where libsndfile looks for them.

    libsndfile's own conversion rounds down, which shifts everything by half a step.
    """
    scale = 2 ** (bits - 1)
    rounded = np.rint(np.clip(block, -1, 1) * np.float32(scale))
    steps: NDArray[np.int32] = np.minimum(rounded, scale - 1).astype(np.int32)
    return steps << (32 - bits)
