"""Latents of songs whose files could not be written: kept, so that a resumed run has only to decode them."""

from __future__ import annotations

import io
import json
import logging
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from acestep_batch.attempts import Attempt, Rung
from acestep_batch.engine.base import DenoisedSong
from acestep_batch.outputs.atomic import make_folder, write_bytes
from acestep_batch.outputs.records import json_text
from acestep_batch.run_plan import PlannedSong

log = logging.getLogger(__name__)


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
            with np.load(path, allow_pickle=False) as packed:
                latents, facts = packed["latents"], json.loads(str(packed["facts"]))
            return _attempt(planned, latents, facts)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
            log.warning("%s: kept latents are not used (%s)", path, error)
    return None


def drop_latents(folder: Path, planned: PlannedSong) -> None:
    """Delete what was kept of a song that is on disk now."""
    for path in _places(folder, planned):
        path.unlink(missing_ok=True)


def _attempt(planned: PlannedSong, latents: np.ndarray, facts: dict[str, Any]) -> Attempt:
    if facts["identity"] != planned.identity:
        raise ValueError("they belong to another song")
    denoised = DenoisedSong(latents, facts["model_calls"], facts["stage_seconds"], tuple(facts["notes"]))
    rungs = tuple(Rung(rung) for rung in facts["rungs"])
    return Attempt(planned.song, facts["seconds"], facts["batch"], rungs, denoised=denoised)


def _places(folder: Path, planned: PlannedSong) -> tuple[Path, Path]:
    name = f"{planned.identity}.npz"
    return folder / "latents" / name, platformdirs.user_cache_path("acestep_batch") / "latents" / name
