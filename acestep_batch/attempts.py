"""A micro-batch through the engine whatever happens: fewer songs, less memory, more precision, and only then failure.

Where memory runs out, rungs that keep the sound come first, and the next micro-batch starts at the top again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from acestep_batch.engine.base import Decoding, DenoisedSong, Engine, RenderedSong, StepCallback
from acestep_batch.engine.out_of_memory import is_out_of_memory
from acestep_batch.engine.tasks import Beginning
from acestep_batch.plan import Song
from acestep_batch.problems import one_line

log = logging.getLogger(__name__)

T = TypeVar("T")


class Rung(StrEnum):
    """What was done so that a song could be made after all."""

    SMALLER_BATCH = "smaller micro-batch"
    OFFLOAD = "component offload"
    SMALL_WINDOWS = "small vocoder windows"
    OVERLAPPED = "overlapped decode"
    FLOAT32 = "again in float32"


@dataclass(frozen=True, slots=True)
class Attempt:
    """How far a song came. ``error`` is empty where all went well."""

    song: Song
    seconds: float
    """Its share of the wall time."""
    batch: int = 1
    """Songs that were denoised together."""
    rungs: tuple[Rung, ...] = ()
    error: str = ""
    denoised: DenoisedSong | None = None
    rendered: RenderedSong | None = None


OnBatch = Callable[[Sequence[Song]], StepCallback]
"""Told of every micro-batch that starts; gives back what counts its steps."""


def denoise(
    engine: Engine, songs: Sequence[Song], on_batch: OnBatch, sources: Mapping[str, Beginning] = MappingProxyType({})
) -> list[Attempt]:
    """Latents of songs of one micro-batch, in their order; what cannot be made is an attempt with an error.

    ``sources`` are what tasks start from, by the songs' ids.

    Songs whose latents are not finite are made once more, alone and in float32.
    """
    denoised = _denoise(engine, songs, on_batch, (), sources)
    return [_finite_latents(engine, attempt, on_batch, sources) for attempt in denoised]


def _denoise(
    engine: Engine, songs: Sequence[Song], on_batch: OnBatch, rungs: tuple[Rung, ...], sources: Mapping[str, Beginning]
) -> list[Attempt]:
    started = time.perf_counter()
    try:
        requests = [song.request(sources.get(song.song_id)) for song in songs]
        denoised = engine.denoise(requests, on_batch(songs))
    except Exception as error:
        reason, starved = one_line(error), is_out_of_memory(error)
        log.warning("%s: denoising failed", _names(songs), exc_info=error)
    else:
        seconds = (time.perf_counter() - started) / len(songs)
        made = zip(songs, denoised, strict=True)
        return [Attempt(song, seconds, len(songs), rungs, denoised=own) for song, own in made]
    # Only here, after the handler, has the failed attempt's traceback let go of its memory.
    if len(songs) > 1:
        groups = _halves(songs) if starved else [[song] for song in songs]
        fewer = _with(rungs, Rung.SMALLER_BATCH) if starved else rungs
        return [attempt for group in groups for attempt in _denoise(engine, group, on_batch, fewer, sources)]
    if starved and Rung.OFFLOAD not in rungs:
        with engine.offloaded():
            return _denoise(engine, songs, on_batch, _with(rungs, Rung.OFFLOAD), sources)
    return [Attempt(songs[0], time.perf_counter() - started, 1, rungs, reason)]


def _finite_latents(engine: Engine, attempt: Attempt, on_batch: OnBatch, sources: Mapping[str, Beginning]) -> Attempt:
    if attempt.denoised is None or np.isfinite(attempt.denoised.latents).all():
        return attempt
    log.warning("%s: the latents are not finite; denoising again in float32", attempt.song.song_id)
    with engine.in_float32():
        (again,) = _denoise(engine, [attempt.song], on_batch, _with(attempt.rungs, Rung.FLOAT32), sources)
    again = replace(again, seconds=again.seconds + attempt.seconds)
    if again.denoised is not None and not np.isfinite(again.denoised.latents).all():
        return replace(again, error="the latents are not finite (NaN or infinite), in float32 too", denoised=None)
    return again


def decode(engine: Engine, attempts: Sequence[Attempt], sample_rate: int, *, overlapped_allowed: bool) -> list[Attempt]:
    """The audio of denoised songs of one micro-batch, in their order; attempts with an error are passed on.

    Audio that is not finite is decoded once more in float32. ``overlapped_allowed`` tells whether a song that does
    not fit otherwise may be decoded in overlapping windows, which sounds different near their seams.
    """
    decoded = iter(_decode(engine, [each for each in attempts if not each.error], sample_rate, overlapped_allowed))
    return [each if each.error else _finite_audio(engine, next(decoded), sample_rate) for each in attempts]


def decode_at_once(engine: Engine, attempts: Sequence[Attempt], sample_rate: int) -> list[Attempt] | None:
    """Like ``decode``, but None where anything is wrong: nothing is tried a second time."""
    try:
        decoded = iter(_decoded(engine, [each for each in attempts if not each.error], sample_rate, None))
    except Exception as error:
        log.warning("%s: decoding failed", _names([each.song for each in attempts]), exc_info=error)
        return None
    found = [each if each.error else next(decoded) for each in attempts]
    return found if all(each.rendered is None or np.isfinite(each.rendered.audio).all() for each in found) else None


def _decode(engine: Engine, attempts: Sequence[Attempt], sample_rate: int, overlapped_allowed: bool) -> list[Attempt]:
    if not attempts:
        return []
    try:
        return _decoded(engine, attempts, sample_rate, None)
    except Exception as error:
        reason, starved = one_line(error), is_out_of_memory(error)
        log.warning("%s: decoding failed", _names([each.song for each in attempts]), exc_info=error)
    if len(attempts) > 1:
        groups = _halves(attempts) if starved else [[attempt] for attempt in attempts]
        return [each for group in groups for each in _decode(engine, group, sample_rate, overlapped_allowed)]
    return [
        _decoded_sparingly(engine, attempts[0], sample_rate, overlapped_allowed)
        if starved
        else replace(attempts[0], error=reason)
    ]


def _decoded(engine: Engine, attempts: Sequence[Attempt], sample_rate: int, decoding: Decoding | None) -> list[Attempt]:
    """Raises what the engine raises. ``decoding`` None is the one that the songs ask for."""
    if not attempts:
        return []
    started = time.perf_counter()
    songs = [each.denoised for each in attempts if each.denoised is not None]
    rendered = engine.decode(songs, sample_rate, decoding or asked_decoding(attempts[0].song))
    seconds = (time.perf_counter() - started) / len(attempts)
    made = zip(attempts, rendered, strict=True)
    return [replace(each, seconds=each.seconds + seconds, rendered=audio) for each, audio in made]


def asked_decoding(song: Song) -> Decoding:
    """How a song is decoded where memory suffices."""
    return Decoding.OVERLAPPED if song.generation.overlapped_decode else Decoding.PLAIN


def _decoded_sparingly(engine: Engine, attempt: Attempt, sample_rate: int, overlapped_allowed: bool) -> Attempt:
    """One song whose decoding ran out of memory, with the other components out of the way, and rung after rung."""
    rungs = attempt.rungs
    reason = "out of memory"
    with engine.offloaded():
        for rung, decoding in _DECODING_RUNGS:
            if decoding is Decoding.OVERLAPPED and not overlapped_allowed:
                break
            rungs = _with(rungs, rung)
            try:
                (decoded,) = _decoded(engine, [attempt], sample_rate, decoding)
            except Exception as error:
                reason = one_line(error)
                log.warning("%s: decoding failed (%s)", attempt.song.song_id, rung, exc_info=error)
                if not is_out_of_memory(error):
                    break
            else:
                return replace(decoded, rungs=rungs)
    return replace(attempt, rungs=rungs, error=reason)


_DECODING_RUNGS = (
    (Rung.OFFLOAD, None),
    (Rung.SMALL_WINDOWS, Decoding.SMALL_WINDOWS),
    (Rung.OVERLAPPED, Decoding.OVERLAPPED),
)


def _finite_audio(engine: Engine, attempt: Attempt, sample_rate: int) -> Attempt:
    if attempt.rendered is None or np.isfinite(attempt.rendered.audio).all():
        return attempt
    log.warning("%s: the audio is not finite; decoding again in float32", attempt.song.song_id)
    with engine.in_float32():
        again = _decode(engine, [attempt], sample_rate, False)[0]
    return replace(again, rungs=_with(again.rungs, Rung.FLOAT32))


def _halves(items: Sequence[T]) -> list[Sequence[T]]:
    middle = (len(items) + 1) // 2
    return [items[:middle], items[middle:]]


def _with(rungs: tuple[Rung, ...], rung: Rung) -> tuple[Rung, ...]:
    return rungs if rung in rungs else (*rungs, rung)


def _names(songs: Iterable[Song]) -> str:
    return ", ".join(song.song_id for song in songs)
