"""A run's songs as others read them: a playlist for players, and ``metadata.csv``, which makes of the folder of audio a
Hugging Face AudioFolder."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from acestep_batch.problems import visible
from acestep_batch.report.page import plain
from acestep_batch.summary import inert_text

PLAYLIST = "playlist.m3u8"
METADATA = "metadata.csv"

_FIRST = ("file_name", "id", "prompt", "lyrics", "seed", "duration_s")
_LEFT_OUT = frozenset(
    {"files", "audio", "environment", "measurements", "error", "status", "index", "host", "pid", "peak_memory_bytes",
     "peak_process_bytes", "file_sha256", "pcm_sha256", "line_sha256", "output_path", "device_id", "same_as", "notes",
     "rungs", "actual_seeds", "row", "take", "takes", "cell", "quality_reasons", "loudness_copy", "scores"}
)  # fmt: skip
"""What tells nothing about the sound of one file, or stands in another column."""


def playlist(records: Iterable[Mapping[str, Any]]) -> str:
    """An extended M3U of the songs in their order, the first file of each, named from the folder of the records."""
    lines = ["#EXTM3U"]
    for record in records:
        if record.get("status") == "ok" and record.get("files"):
            name = visible(f"{record['id']} (seed {record['seed']})")
            lines += [f"#EXTINF:{round(float(record.get('duration_s') or 0))},{name}", str(record["files"][0])]
    return "\n".join(lines) + "\n"


def metadata(records: Iterable[Mapping[str, Any]], audio_folder: PurePath) -> str:
    """A CSV with a line for each audio file below a folder, ``file_name`` first, then what its record says of it.

    ``audio_folder`` is named from the folder of the records, as their files are. As in ``summary.csv``, no text can run
    as a formula; the record beside each file has every text as it is.
    """
    rows = [row for record in records for row in _rows(record, audio_folder)]
    names = dict.fromkeys([*_FIRST, *(name for row in rows for name in row)])
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _rows(record: Mapping[str, Any], audio_folder: PurePath) -> Iterator[dict[str, Any]]:
    if record.get("status") != "ok":
        return
    measured = record.get("measurements")
    scores = {name: value for name, value in (record.get("scores") or {}).items() if name not in record}
    own = {**record, **(measured if isinstance(measured, Mapping) else {}), **scores}
    cells = {str(name): _cell(value) for name, value in own.items() if name not in _LEFT_OUT}
    for file in map(PurePath, record.get("files") or ()):
        if file.is_relative_to(audio_folder):
            yield {"file_name": inert_text(file.relative_to(audio_folder).as_posix()), **cells}


def _cell(value: Any) -> object:
    found = plain(value)
    return inert_text(found) if isinstance(found, str) else found


def listing_files(folder: Path, records: Sequence[Mapping[str, Any]]) -> dict[Path, str]:
    """The files to be written for one run, with their texts."""
    files = {folder / PLAYLIST: playlist(records)}
    if any(record.get("files") for record in records) and (folder / "audio").is_dir():
        files[folder / "audio" / METADATA] = metadata(records, PurePath("audio"))
    return files
