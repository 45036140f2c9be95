"""One audio file from samples to its final name: encoded, tagged, hashed, synced, renamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mutagen import MutagenError
from numpy.typing import NDArray
from soundfile import LibsndfileError

from acestep_batch.outputs.atomic import atomic_path, make_folder
from acestep_batch.outputs.audio_files import decoded, file_sha256, write_audio
from acestep_batch.outputs.folders import free_bytes
from acestep_batch.outputs.formats import AudioFormat
from acestep_batch.outputs.tags import Tags, write_tags


@dataclass(frozen=True, slots=True)
class Encoding:
    """What is known once the samples are encoded, and so can stand in the file's own tags."""

    pcm_sha256: str
    clipped_samples: int


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A finished audio file. `format` is a name such as `flac`, `subtype` libsndfile's, such as `PCM_24`."""

    path: Path
    format: str
    subtype: str
    bytes: int
    file_sha256: str
    pcm_sha256: str
    clipped_samples: int


def publish_audio(
    final: Path,
    audio: NDArray[np.float32],
    sample_rate: int,
    audio_format: AudioFormat,
    describe: Callable[[Encoding], Tags],
) -> AudioFile:
    """Write `audio` `[2, N]` float32 under its final name, complete and on disk, or raise and leave nothing there.

    `describe` makes the tags from what the encoding gave; only the hash of the file itself cannot be among them.

    Raises:
        FileExistsError: the name is taken.
        OSError: the file could not be written whole, such as on a full disk.
        ValueError, TypeError: the audio is empty, not finite or of the wrong shape, or the record is no JSON.
    """
    make_folder(final.parent)
    try:
        with atomic_path(final) as temporary:
            clipped_samples = write_audio(temporary, audio, sample_rate, audio_format)
            pcm_sha256, frames = decoded(temporary)
            # libsndfile does not report what it could not flush when it closes an Ogg file.
            if frames != audio.shape[1]:
                raise OSError(f"{final}: {frames} of {audio.shape[1]} frames were written")
            write_tags(temporary, audio_format, describe(Encoding(pcm_sha256, clipped_samples)))
            digest = file_sha256(temporary)
            size = temporary.stat().st_size
    except (LibsndfileError, MutagenError) as error:
        free = free_bytes(final.parent) / 2**20
        raise OSError(f"{final}: cannot be written as {audio_format.label}: {error} ({free:.1f} MiB free)") from error
    return AudioFile(final, audio_format.name, audio_format.subtype, size, digest, pcm_sha256, clipped_samples)
