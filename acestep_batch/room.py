"""What fits into a device's memory: how many songs at once, and which songs hardly at all."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.tasks import SourceTask
from acestep_batch.engine.v1.batching import branches
from acestep_batch.engine.v1.limits import song_frames
from acestep_batch.engine.v1.memory import Loaded, loaded, needed_bytes, songs_that_fit, tokens_of
from acestep_batch.engine.v1.sizes import read_sizes
from acestep_batch.hardware import GIB
from acestep_batch.lint import Advice
from acestep_batch.target import Target


def songs_at_once(target: Target, device_id: int, bf16: bool, request: SongRequest, tokens: int, at_most: int) -> int:
    """How many songs like ``request`` fit at once, at least one, of which the longest attends to ``tokens`` vectors.

    The embedded model is too small to ask.
    """
    memory = target.memory_bytes(device_id)
    if at_most == 1 or memory is None or target.checkpoint is None:
        return at_most
    model = _model(target.checkpoint, target.device, bf16, isinstance(request.task, SourceTask))
    frames = song_frames(request)
    return max(1, _fitting(model, memory, frames, tokens, len(branches(request)), at_most))


def memory_advice(target: Target, device_id: int, bf16: bool, request: SongRequest) -> Advice | None:
    """A warning about a song that is estimated not to fit even by itself."""
    memory = target.memory_bytes(device_id)
    if memory is None or target.checkpoint is None:
        return None
    model = _model(target.checkpoint, target.device, bf16, isinstance(request.task, SourceTask))
    frames, tokens = song_frames(request), tokens_of(request)
    needed = _needed(model, frames, _rounded(tokens), len(branches(request)))
    if needed <= memory:
        return None
    device = f"GPU {device_id}" if target.device == "cuda" else "this machine"
    sizes = f"{request.audio_duration:g} s may need {needed / GIB:.1f} GiB, {device} has {memory / GIB:.1f} GiB"
    message = f"{sizes}; should it run out, components take turns on the device, which is slower"
    return Advice("memory", "audio_duration", message, note=True)


def _rounded(tokens: int) -> int:
    """Up to the next 64, so that rows of about the same length share one estimate."""
    return -(-tokens // 64) * 64


@lru_cache(16)
def _model(checkpoint: Path, device: str, bf16: bool, encodes_sources: bool) -> Loaded:
    return loaded(read_sizes(checkpoint), device, bf16, encodes_sources)


@lru_cache(100_000)
def _needed(model: Loaded, frames: int, tokens: int, branch_count: int) -> int:
    return needed_bytes(model, frames, tokens, branch_count, songs=1)


@lru_cache(100_000)
def _fitting(model: Loaded, memory: int, frames: int, tokens: int, branch_count: int, at_most: int) -> int:
    return songs_that_fit(model, memory, frames, tokens, branch_count, at_most)
