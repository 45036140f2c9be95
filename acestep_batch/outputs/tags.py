"""Title, comment and the whole record inside the audio file, and the record back out of it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mutagen
from mutagen.flac import FLAC
from mutagen.id3 import COMM, ID3, TIT2, TXXX
from mutagen.mp3 import MP3
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from acestep_batch.outputs.formats import AudioFormat
from acestep_batch.outputs.records import json_text
from acestep_batch.problems import one_line, refuse

RECORD_TAG = "ACESTEP_BATCH"
_REMEDY = "give a file as acestep_batch wrote it, or take it from a copy"

_FILE_TYPES: dict[str, Any] = {"wav": WAVE, "flac": FLAC, "mp3": MP3, "ogg": OggVorbis, "opus": OggOpus}


@dataclass(frozen=True, slots=True)
class Tags:
    """What an audio file says about itself; `record` is stored as JSON in the tag ACESTEP_BATCH."""

    title: str
    comment: str
    record: Mapping[str, Any]


def write_tags(path: Path, audio_format: AudioFormat, tags: Tags) -> None:
    """Put the tags into an untagged audio file; the samples stay as they are.

    WAV and MP3 get ID3v2.4 frames (TIT2, COMM and a TXXX named ACESTEP_BATCH), the others Vorbis comments.

    They are put in in memory, and the file is written whole: half of a change in place would be a broken file.

    Raises:
        ValueError, TypeError: the record is no JSON.
        mutagen.MutagenError: the file is no audio file of its format.
        OSError: it cannot be read or written.
    """
    record = json_text(tags.record)
    content = io.BytesIO(path.read_bytes())
    file = _FILE_TYPES[audio_format.name](content)
    if file.tags is None:
        file.add_tags()
    stored: Any = file.tags
    if isinstance(stored, ID3):
        stored.add(TIT2(encoding=3, text=_plain(tags.title)))
        stored.add(COMM(encoding=3, lang="und", desc="", text=_plain(tags.comment)))
        stored.add(TXXX(encoding=3, desc=RECORD_TAG, text=record))
    else:
        stored["TITLE"] = _plain(tags.title)
        stored["COMMENT"] = _plain(tags.comment)
        stored[RECORD_TAG] = record
    content.seek(0)
    file.save(content)
    path.write_bytes(content.getbuffer())


def read_record(path: Path) -> dict[str, Any] | None:
    """The record inside an audio file, or None if it has none.

    Raises Refused when the file is no readable audio file or its tag is no JSON object.
    """
    try:
        file = mutagen.File(path)
    except Exception as error:  # mutagen raises its own errors, and of damaged tags whatever it meets
        raise refuse(str(path), f"cannot be read as audio ({one_line(error)})", _REMEDY) from error
    if file is None:
        raise refuse(str(path), "is no audio file of a known format", _REMEDY)
    if isinstance(file.tags, ID3):
        values = [frame.text[0] for frame in file.tags.getall(f"TXXX:{RECORD_TAG}")]
    else:
        values = (file.tags or {}).get(RECORD_TAG, [])
    if not values:
        return None
    try:
        record = json.loads(values[0])
    except (ValueError, RecursionError) as error:
        raise refuse(str(path), f"its tag {RECORD_TAG} is no JSON ({one_line(error)})", _REMEDY) from error
    if not isinstance(record, dict):
        raise refuse(str(path), f"its tag {RECORD_TAG} is no JSON object", _REMEDY)
    return record


def _plain(text: str) -> str:
    """Text that every tag format can hold: no NUL, which ends a value in ID3, and no half of a surrogate pair."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
