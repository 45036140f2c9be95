"""What is written down about a song: a manifest row that renders it again, and the record of how it was made."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath
from typing import Any

from acestep_batch.engine.base import RenderedSong
from acestep_batch.models import Family
from acestep_batch.outputs.publish import AudioFile
from acestep_batch.plan import CheckedRow, Song
from acestep_batch.run_plan import PlannedSong
from acestep_batch.sources import SongSource

RECORD_VERSION = 1
_TEXTS = ("prompt", "lyrics", "plan")


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One finished audio file, and the hash of the record beside it."""

    audio: AudioFile
    sidecar_sha256: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a song ended. ``error`` is empty where it succeeded; then there is at least one file."""

    song: Song
    label: str
    identity: str
    """Hash of everything that decides the sound."""
    error: str = ""
    is_unwritten: bool = False
    """Whether it is rendered, and only its files could not be written."""
    files: tuple[WrittenFile, ...] = ()
    rendered: RenderedSong | None = None
    seconds: float = 0.0
    batch: int = 1
    """Songs that were rendered together; on most devices the last bits depend on it."""
    peak_memory_bytes: int | None = None
    """Of the device, where it counts its memory."""
    peak_process_bytes: int | None = None
    source: SongSource | None = None
    """What its task started from, with the hash of what was read."""
    reference: SongSource | None = None
    """Whose timbre it took, likewise."""
    latents: str = ""
    """Where its latents were kept, from the run's folder; empty where they were not."""
    rungs: tuple[str, ...] = ()
    """What was done so that the song could be made after all, such as with less memory."""

    @property
    def status(self) -> str:
        return "failed" if self.error else "ok"


def manifest_row(song: Song) -> dict[str, Any]:
    """Every parameter that is used, as one row of a manifest: it renders the same song."""
    values = {name: _plain(getattr(song.generation, name)) for name in song.names_used}
    if values["output_path"] is not None:
        values["output_path"] = PureWindowsPath(values["output_path"]).name  # rendering again must not need that folder
    return {"id": song.song_id, **values}


def sidecar(outcome: Outcome, engine: Mapping[str, Any], file: Mapping[str, Any], master_sha256: str) -> dict[str, Any]:
    """The record of one audio file; read as a manifest, it is one row that renders the same song."""
    song, rendered = outcome.song, outcome.rendered
    if rendered is None:
        raise ValueError(f"song {song.id} has no audio to describe")
    row = manifest_row(song)
    if OVERLAPPED in outcome.rungs:
        row["overlapped_decode"] = True  # it sounds different, so whoever renders this row again must do the same
    return row | {
        "record": {
            "record_version": RECORD_VERSION,
            "identity": outcome.identity,
            "model": outcome.label,
            **_family(song),
            "row": song.id,
            "take": song.take,
            "takes": song.takes,
            "preset": song.preset,
            "requested": {
                name: _plain(song.requested[name])
                for name in song.names_used
                if name in song.requested and name not in _TEXTS
            },
            "derived_seeds": {"song": song.seed},
            **_beginnings(outcome),
            **(rendered.planned or {}),
            "notes": [*song.notes, *rendered.notes],
            "engine": dict(engine),
            "frames": rendered.frames,
            "duration_s": round(rendered.audio.shape[1] / rendered.sample_rate, 6),
            "sample_rate": rendered.sample_rate,
            "model_calls": rendered.model_calls,
            "micro_batch": outcome.batch,
            "rungs": list(outcome.rungs),
            "stage_seconds": {stage: round(seconds, 4) for stage, seconds in rendered.stage_seconds.items()},
            "peak_memory_bytes": outcome.peak_memory_bytes,
            "peak_process_bytes": outcome.peak_process_bytes,
            "master_sha256": master_sha256,
            "file": dict(file),
        }
    }


def failed_row(checked: CheckedRow) -> dict[str, Any]:
    """The line of a row that was skipped because it is invalid."""
    error = "; ".join(str(problem) for problem in checked.problems)
    return {
        "index": None,
        "id": checked.row.id,
        "row": checked.row.id,
        "status": "failed",
        "error": f"invalid: {error}",
        **_maker(),
    }


def withdrawn_row(row_id: str) -> dict[str, Any]:
    """The line of a row that was skipped before, and that is not in the manifest any more, or is valid now."""
    error = "no longer skipped"
    return {"index": None, "id": row_id, "row": row_id, "status": "failed", "error": error, WITHDRAWN: True, **_maker()}


def ledger_line(outcome: Outcome, run_folder: Path) -> dict[str, Any]:
    """One line about one song for ``records.jsonl``, from which the summary is made."""
    song, rendered = outcome.song, outcome.rendered
    row = manifest_row(song)
    files = [_file_line(file, run_folder) for file in outcome.files]
    return {
        "index": song.index,
        "id": row.pop("id"),
        "row": song.id,
        "identity": outcome.identity,
        "same_as": None,
        "take": song.take,
        "seed": song.seed,
        "status": outcome.status,
        "error": outcome.error,
        "model": outcome.label,
        **_family(song),
        "preset": song.preset,
        "duration_s": None if rendered is None else round(rendered.audio.shape[1] / rendered.sample_rate, 6),
        "frames": None if rendered is None else rendered.frames,
        "model_calls": None if rendered is None else rendered.model_calls,
        "micro_batch": outcome.batch,
        "rungs": list(outcome.rungs),
        "seconds": round(outcome.seconds, 3),
        **{
            f"{stage}_s": None if rendered is None else round(rendered.stage_seconds.get(stage, 0.0), 4)
            for stage in STAGES
        },
        "peak_memory_bytes": outcome.peak_memory_bytes,
        "peak_process_bytes": outcome.peak_process_bytes,
        "files": [file["path"] for file in files],
        "audio": files,
        "pcm_sha256": files[0]["pcm_sha256"] if files else "",
        "file_sha256": files[0]["file_sha256"] if files else "",
        "clipped_samples": outcome.files[0].audio.clipped_samples if files else None,
        "notes": [*song.notes, *(rendered.notes if rendered is not None else ())],
        **_beginnings(outcome),
        **_planned_columns(rendered),
        **_maker(),
        **row,
    }


def _family(song: Song) -> dict[str, str]:
    """Records without it are of v1."""
    return {} if song.family is Family.V1 else {"family": str(song.family)}


def _planned_columns(rendered: RenderedSong | None) -> dict[str, Any]:
    """What was planned, but for the audio codes and the words before them, which stand in the record of each file."""
    if rendered is None or rendered.planned is None:
        return {}
    plan = dict(rendered.planned["plan"])
    codes = plan.pop("audio_codes")
    kept = {name: value for name, value in plan.items() if name not in ("thought", "notes")}
    return {f"planned_{name}": value for name, value in kept.items()} | {"planned_codes": len(codes or ())}


def _beginnings(outcome: Outcome) -> dict[str, Any]:
    """What a song was made from beside its parameters; nothing of a new one."""
    source = outcome.source or outcome.song.source
    found: dict[str, Any] = {} if source is None else {"started_from": asdict(source)}
    if (reference := outcome.reference or outcome.song.reference) is not None:
        found["reference_from"] = asdict(reference)
    if adapters := outcome.song.adapters:
        weights, hashes = [each.weight for each in adapters], [each.sha256 for each in adapters]
        found["loras"] = {"path": [str(each.path) for each in adapters], "weight": weights, "sha256": hashes}
    if outcome.latents:
        found["latents"] = outcome.latents
    return found


def shared_line(record: Mapping[str, Any], twin: PlannedSong) -> dict[str, Any]:
    """The line of a song that sounds the same as another, from the other's; its files are still missing."""
    song = twin.song
    row = manifest_row(song)
    own = {"index": song.index, "id": row.pop("id"), "row": song.id, "take": song.take, "preset": song.preset}
    free = {"seconds": 0.0, **{f"{stage}_s": 0.0 for stage in STAGES}}
    return {**record, **own, **free, **_maker(), **row, "same_as": twin.same_as}


def shared_sidecar(sidecar: Mapping[str, Any], twin: PlannedSong, file_name: str) -> dict[str, Any]:
    """The record beside a file that a song shares with another, from the other's."""
    song, record = twin.song, dict(sidecar["record"])
    own = {"row": song.id, "take": song.take, "takes": song.takes, "preset": song.preset, "same_as": twin.same_as}
    file = {**record["file"], "name": file_name}
    return {**sidecar, **manifest_row(song), "overlapped_decode": sidecar["overlapped_decode"],
            "record": {**record, **own, "file": file}}  # fmt: skip


def _maker() -> dict[str, Any]:
    """Who wrote a line, and when; differs from one rendering of a song to the next, as times and memory do."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    return {"finished_at": now, "host": socket.gethostname(), "pid": os.getpid()}


VOLATILE = frozenset(
    {
        "seconds", "text_s", "diffusion_s", "decode_s", "peak_memory_bytes", "peak_process_bytes", "finished_at",
        "host", "pid", "file_sha256", "bytes", "sidecar_sha256", "stage_seconds", "environment", "made_on",
    }
)  # fmt: skip
"""Fields of records that two renderings of one song need not share: times, memory, who and where, and the hashes of
files whose tags hold them. All others must be equal."""

WITHDRAWN = "withdrawn"
"""The key of a line that only takes back an earlier one."""

OVERLAPPED = "overlapped decode"
"""The rung that changes the sound."""

STAGES = ("text", "diffusion", "decode")


def _file_line(file: WrittenFile, folder: Path) -> dict[str, Any]:
    audio = file.audio
    return {
        "path": shown_path(audio.path, folder),
        "format": audio.format,
        "bytes": audio.bytes,
        "file_sha256": audio.file_sha256,
        "pcm_sha256": audio.pcm_sha256,
        "sidecar_sha256": file.sidecar_sha256,
    }


def shown_path(path: Path, folder: Path) -> str:
    """A file as the ledger names it: from the run's folder where it lies there, else as it is."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
