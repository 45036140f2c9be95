"""A song at the loudness that was asked for: a copy beside the master with one gain; the master stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acestep_batch.measure.columns import Column, Measurement
from acestep_batch.measure.gain import gain_db
from acestep_batch.outputs.audio_files import ENCODER, decoded, file_sha256, read_audio
from acestep_batch.outputs.formats import AudioFormat
from acestep_batch.outputs.publish import Encoding, publish_audio
from acestep_batch.outputs.tags import Tags, read_record
from acestep_batch.problems import Refused

FOLDER = "loudness"
"""Folder of the copies, inside ``audio``."""

COPY_COLUMNS = (
    Column("loudness_copy", "", "string", "The copy at `output.loudness_lufs`, if asked.", "the measured file"),
    Column(
        "loudness_gain_db",
        "dB",
        "Float64",
        "Its gain, less than asked where the peaks would pass `output.true_peak_ceiling_dbtp`.",
        "min(asked - loudness_lufs, ceiling - true_peak_dbtp)",
        2,
    ),
)


@dataclass(frozen=True, slots=True)
class LoudnessCopy:
    """A copy on the disk; of a song without loudness, such as silence, there is none, and its texts are empty."""

    target_lufs: float
    ceiling_dbtp: float
    gain_db: float | None
    path: str = ""
    """From the run's folder."""
    file_sha256: str = ""


def copy_path(folder: Path, master: Path) -> Path:
    """Where the copy of a file lies: at its place in ``audio``, and one from elsewhere by its name."""
    audio = folder / "audio"
    return audio / FOLDER / (master.relative_to(audio) if master.is_relative_to(audio) else master.name)


def is_whole(copy: LoudnessCopy | None, folder: Path, target_lufs: float, ceiling_dbtp: float) -> bool:
    """Whether nothing is left to do: the copy was made as it is asked now, and is there as it was made."""
    if copy is None or (copy.target_lufs, copy.ceiling_dbtp) != (target_lufs, ceiling_dbtp):
        return False
    try:
        return not copy.path or file_sha256(folder / copy.path) == copy.file_sha256
    except OSError:
        return False


def write_copy(
    folder: Path, master: Path, found: Measurement, target_lufs: float, ceiling_dbtp: float, encode: AudioFormat
) -> LoudnessCopy:
    """Write the copy of a master with its record in the tags, in the master's own format. An earlier copy of the song
    gives way, if its samples are as they were written.

    Raises:
        FileExistsError: another file has the name.
        OSError, Refused, soundfile.LibsndfileError: the master cannot be read, or the copy not written.
    """
    gain = gain_db(found.loudness_lufs, found.true_peak_dbtp, target_lufs, ceiling_dbtp)
    if gain is None:
        return LoudnessCopy(target_lufs, ceiling_dbtp, None)
    record = read_record(master) or {}
    place = copy_path(folder, master)
    if place.exists() and _is_ours(place, record):
        place.unlink()
    audio, sample_rate = read_audio(master)
    made = {"target_lufs": target_lufs, "ceiling_dbtp": ceiling_dbtp, "gain_db": round(gain, 2)}

    def tags(encoding: Encoding) -> Tags:
        file = {"name": place.name, "format": encode.name, "subtype": encode.subtype, "encoder": ENCODER}
        own = {**record.get("record", {}), "loudness_copy": made, "file": {**file, **asdict(encoding)}}
        return Tags(str(record.get("id", "")), str(record.get("prompt", "")), {**record, "record": own})

    louder = audio * np.float32(10 ** (made["gain_db"] / 20))
    written = publish_audio(place, louder, sample_rate, encode, tags)
    return LoudnessCopy(**made, path=place.relative_to(folder).as_posix(), file_sha256=written.file_sha256)


def _is_ours(place: Path, master: Mapping[str, Any]) -> bool:
    """Whether a file is a copy of the very song, with the samples that were written: nothing is lost with it."""
    try:
        own = (read_record(place) or {}).get("record", {})
        is_copy = "loudness_copy" in own and own.get("identity") == master["record"]["identity"]
        return is_copy and bool(decoded(place)[0] == own["file"]["pcm_sha256"])
    except (Refused, OSError, RuntimeError, LookupError, TypeError, AttributeError):
        return False
