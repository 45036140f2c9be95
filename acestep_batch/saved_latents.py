"""Latents of songs whose files could not be written: kept, so that a resumed run has only to decode them."""

from __future__ import annotations

import logging
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
from acestep_batch.latents_files import DAMAGED, LATENTS_FOLDER, latents_file, packed_latents, read_latents
from acestep_batch.outputs.atomic import make_folder, write_bytes
from acestep_batch.problems import Refused, one_line
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
        "planned": attempt.denoised.planned,
    }
    packed = packed_latents(attempt.denoised.latents, facts)
    for path in _places(folder, planned):
        try:
            make_folder(path.parent)
            write_bytes(path, packed, replace=True)
        except OSError as error:
            log.warning("%s: the latents cannot be kept in %s (%s)", planned.song.song_id, path.parent, error)
        else:
            return path
    return None


def has_latents(folder: Path, planned: PlannedSong) -> bool:
    """Whether something was kept of a song; ``load_latents`` says whether it can be used."""
    return any(path.is_file() for path in _places(folder, planned))


def load_latents(folder: Path, planned: PlannedSong) -> Attempt | None:
    """What was kept of a song; None where nothing was, or where it is another song's or damaged."""
    for path in _places(folder, planned):
        try:
            return _attempt(planned, *read_latents(path, _most_frames(planned)))
        except FileNotFoundError:
            continue
        except (*DAMAGED, OSError, Refused) as error:
            log.warning("%s: kept latents are not used (%s)", path, one_line(error))
    return None


def _most_frames(planned: PlannedSong) -> int:
    """No such song has more latent frames."""
    request = planned.song.request()
    if not isinstance(request, V15Song):
        return latent_frames(planned.song.generation.audio_duration) + 8
    return 8 + (request.expected.frames if request.has_own_length else v15_frames(request.planner.longest_s))


def drop_latents(folder: Path, planned: PlannedSong) -> None:
    """Delete what was kept of a song that is on disk now."""
    for path in _places(folder, planned):
        path.unlink(missing_ok=True)


def _attempt(planned: PlannedSong, latents: np.ndarray, facts: dict[str, Any]) -> Attempt:
    if facts["identity"] != planned.identity:
        raise ValueError("they belong to another song")
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
    own = latents_file(folder, planned.identity)
    return own, platformdirs.user_cache_path("acestep_batch") / LATENTS_FOLDER / own.name
