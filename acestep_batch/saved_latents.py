"""Latents of songs whose files could not be written: kept, so that a resumed run has only to decode them."""

from __future__ import annotations

import io
import json
import logging
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from acestep_batch.attempts import Attempt, Rung
from acestep_batch.engine.base import DenoisedSong
from acestep_batch.engine.v1.limits import latent_frames
from acestep_batch.engine.v15.orchestration import Plan
from acestep_batch.engine.v15.request import latent_frames as v15_frames
from acestep_batch.engine.v15.song import V15Song
from acestep_batch.outputs.atomic import make_folder, write_bytes
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.outputs.records import json_text
from acestep_batch.problems import Refused, one_line
from acestep_batch.run_plan import PlannedSong

log = logging.getLogger(__name__)

_LARGEST_BYTES, _HEADER_BYTES = 64 * 2**20, 4096
_DAMAGED = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, MemoryError, RecursionError,
    zipfile.BadZipFile, zlib.error, tokenize.TokenError, SyntaxError, NotImplementedError, RuntimeError,
)  # fmt: skip
"""What numpy, zipfile and json raise for a file that is not as it was written."""


def save_latents(folder: Path, planned: PlannedSong, attempt: Attempt) -> Path | None:
    """Keep what was denoised in the run's ``latents/``, or where that fails in the user's cache; None if both fail."""
    if attempt.denoised is None:
        return None
    facts = {
        "identity": planned.identity,
        "model_calls": attempt.denoised.model_calls,
        "stage_seconds": dict(attempt.denoised.stage_seconds),
        "notes": list(attempt.denoised.notes),
        "seconds": attempt.seconds,
        "batch": attempt.batch,
        "rungs": [str(rung) for rung in attempt.rungs],
        "planned": attempt.denoised.planned,
    }
    packed = io.BytesIO()
    np.savez(packed, latents=attempt.denoised.latents, facts=np.array(json_text(facts)))
    for path in _places(folder, planned):
        try:
            make_folder(path.parent)
            write_bytes(path, packed.getvalue(), replace=True)
        except OSError as error:
            log.warning("%s: the latents cannot be kept in %s (%s)", planned.song.song_id, path.parent, error)
        else:
            return path
    return None


def load_latents(folder: Path, planned: PlannedSong) -> Attempt | None:
    """What was kept of a song; None where nothing was, or where it is another song's or damaged."""
    for path in _places(folder, planned):
        try:
            return _attempt(planned, *_unpacked(path, planned))
        except FileNotFoundError:
            continue
        except (*_DAMAGED, OSError, Refused) as error:
            log.warning("%s: kept latents are not used (%s)", path, one_line(error))
    return None


def _unpacked(path: Path, planned: PlannedSong) -> tuple[np.ndarray, dict[str, Any]]:
    """The arrays of a file, if they are no larger than such a song's can be. Raises as ``load_latents`` expects."""
    longest = _largest_latents_bytes(planned)
    packed = io.BytesIO(read_plain_file(path, _LARGEST_BYTES))
    with zipfile.ZipFile(packed) as archive:
        sizes = {each.filename: each.file_size for each in archive.infolist()}
    if sizes["latents.npy"] > longest + _HEADER_BYTES or sizes["facts.npy"] > _LARGEST_BYTES:
        raise ValueError("they are larger than this song's can be")
    with np.load(packed, allow_pickle=False) as arrays:
        return arrays["latents"], json.loads(str(arrays["facts"]))


def _largest_latents_bytes(planned: PlannedSong) -> int:
    """Of float32: 8 x 16 values a frame of v1, and 64 a frame of 1.5."""
    request = planned.song.request()
    if not isinstance(request, V15Song):
        return 4 * 8 * 16 * (latent_frames(request.audio_duration) + 8)
    frames = request.expected.frames if request.has_own_length else v15_frames(request.planner.longest_s)
    return 4 * 64 * (frames + 8)


def drop_latents(folder: Path, planned: PlannedSong) -> None:
    """Delete what was kept of a song that is on disk now."""
    for path in _places(folder, planned):
        path.unlink(missing_ok=True)


def _attempt(planned: PlannedSong, latents: np.ndarray, facts: dict[str, Any]) -> Attempt:
    if facts["identity"] != planned.identity:
        raise ValueError("they belong to another song")
    if latents.dtype.kind != "f" or not np.isfinite(latents).all():
        raise ValueError("they are no finite numbers")
    notes, seconds = facts["notes"], {str(stage): float(each) for stage, each in facts["stage_seconds"].items()}
    if not isinstance(notes, list) or any(not isinstance(note, str) for note in notes):
        raise ValueError("their notes are no texts")
    own = facts.get("planned")
    if own is not None:
        Plan.from_record(own["plan"], "kept latents")
    denoised = DenoisedSong(latents, int(facts["model_calls"]), seconds, tuple(notes), own)
    rungs = tuple(Rung(rung) for rung in facts["rungs"])
    return Attempt(planned.song, float(facts["seconds"]), int(facts["batch"]), rungs, denoised=denoised)


def _places(folder: Path, planned: PlannedSong) -> tuple[Path, Path]:
    name = f"{planned.identity}.npz"
    return folder / "latents" / name, platformdirs.user_cache_path("acestep_batch") / "latents" / name
