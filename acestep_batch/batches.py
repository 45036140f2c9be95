"""Songs to micro-batches: which are rendered in one call, decided for the whole run before the first song."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.load import EngineKey, micro_batch_key
from acestep_batch.engine.v1.memory import tokens_of
from acestep_batch.plan import Song
from acestep_batch.room import songs_at_once
from acestep_batch.target import Target


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Songs for one call of one engine."""

    engine: EngineKey
    positions: tuple[int, ...]
    """Where its songs stand in the run's list."""


def engine_key(song: Song, target: Target) -> EngineKey:
    """What has to be loaded for a song."""
    device = f"cuda:{song.generation.device_id}" if target.device == "cuda" else target.device
    return EngineKey(
        target.model,
        device,
        song.generation.bf16,
        song.generation.torch_compile,
        target.checkpoint,
        target.revision,
        target.lyric_vocab,
        target.strict,
        target.v15,
    )


def micro_batches(songs: Sequence[Song], target: Target, apart: Sequence[Hashable] | None = None) -> list[MicroBatch]:
    """Songs that may be rendered in one call, as many as the target takes at once and its memory is estimated to hold.

    ``apart`` says for each song what else those that are rendered with it must share.

    Songs of one engine stand together; apart from that, batches stand in the order of their first song.
    """
    batches: dict[EngineKey, list[_Open]] = {}
    open_batches: dict[Hashable, _Open] = {}
    for position, song in enumerate(songs):
        engine, request = engine_key(song, target), song.request()
        tokens = tokens_of(request) if isinstance(request, SongRequest) else 0
        key = (engine, micro_batch_key(request, engine.v15), None if apart is None else apart[position])
        batch = open_batches.get(key)
        if batch is not None:
            device_id, longest = song.generation.device_id, max(tokens, batch.tokens)
            fitting = target.batch_size
            if isinstance(request, SongRequest):
                fitting = songs_at_once(target, device_id, engine.bf16, request, longest, fitting)
        if batch is None or len(batch.positions) >= fitting:
            batch = open_batches[key] = _Open()
            batches.setdefault(engine, []).append(batch)
        batch.positions.append(position)
        batch.tokens = max(tokens, batch.tokens)
    return [MicroBatch(engine, tuple(batch.positions)) for engine, own in batches.items() for batch in own]


@dataclass(slots=True)
class _Open:
    """A micro-batch that may grow."""

    positions: list[int] = field(default_factory=list)
    tokens: int = 0
    """At most so many vectors does the longest of its songs attend to."""
