"""A song of 1.5 with what it is made from: which latents its model reads, and what its length and its source decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from acestep_batch.conflicts import longest_conflict
from acestep_batch.engine.v15.embedded_configs import CHANNELS
from acestep_batch.engine.v15.request import FRAMES_PER_SECOND, LATENT_CHANNELS
from acestep_batch.engine.v15.variant import Variant
from acestep_batch.plan import Song
from acestep_batch.problems import Problem, Refused
from acestep_batch.schema_run import Hardware
from acestep_batch.target import Target
from acestep_batch.v15_songs import request_problems


def fits_model(latents: NDArray[Any], target: Target) -> bool:
    """Whether latents are those of the target's autoencoder, which all published models share."""
    channels = CHANNELS if target.checkpoint is None else LATENT_CHANNELS
    return latents.ndim == 2 and latents.shape[0] == channels


def started(song: Song, hw: Hardware, variant: Variant) -> tuple[Song, list[Problem]]:
    """A song with its source and its reference, as long as these make it; and why it cannot be made.

    One whose source gets its length from a planner has none yet, and is held against its source when that is made.
    """
    try:
        found = request_problems(song.v15_request(), variant)
    except Refused as refused:
        found = list(refused.problems)
    problems = [Problem(f"{song.place}, {each.where}", each.message, each.remedy) for each in found]
    if song.source is None:
        return song, problems
    length = song.source.frames / FRAMES_PER_SECOND or -1.0
    if length > hw.max_duration_s:
        conflict = longest_conflict("src_audio_path", length, hw)
        problems = [Problem(f"{song.place}, {conflict.key}", conflict.message, conflict.remedy)]
    return replace(song, generation=replace(song.generation, audio_duration=length)), problems
