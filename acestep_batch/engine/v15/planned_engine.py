"""The engine of 1.5 as a run sees it: the planner first, then diffusion; knows no files."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from acestep_batch.engine.base import Decoding, DenoisedSong, RenderedSong, StepCallback
from acestep_batch.engine.v15.batching import sampling_key
from acestep_batch.engine.v15.orchestration import Plan, PlannerRequest
from acestep_batch.engine.v15.pipeline import V15Engine
from acestep_batch.engine.v15.planner import Planner
from acestep_batch.engine.v15.request import V15Request
from acestep_batch.engine.v15.song import V15Song

_KEPT_PLANS = 256
"""A song that is tried again, for want of memory or precision, is not planned again."""


@dataclass(frozen=True, slots=True)
class PlannerPart:
    """The planner of an engine, loaded when a song first needs one."""

    load: Callable[[str], Planner]
    """To a device."""
    facts: Callable[[], Mapping[str, Any]]
    """Where it comes from, for the record."""


class PlannedEngine:
    """Plans songs and renders them; the Engine protocol, for ``V15Song``."""

    decodes_beside_denoising = False

    def __init__(self, diffusion: V15Engine, planner: PlannerPart | None, offload_to_cpu: bool = False) -> None:
        """Take the diffusion half, and where a planner comes from.

        With ``offload_to_cpu`` the two halves take turns on the device.
        """
        self.label = diffusion.label
        self._diffusion = diffusion
        self._part = planner
        self._planner: Planner | None = None
        self._facts: Mapping[str, Any] = {}
        self._swaps = offload_to_cpu
        self._plans: dict[PlannerRequest, Plan] = {}

    def denoise(self, requests: Sequence[V15Song], on_step: StepCallback | None = None) -> list[DenoisedSong]:
        """Latents [C, F] of songs that share a micro-batch key, in the order given.

        Songs whose plans give them different lengths go one group after the other. Raises ValueError and Refused as
        ``V15Engine.denoise`` and ``Planner.plan``, and ValueError for a song that needs a planner where there is none.
        """
        started = time.perf_counter()
        plans = self._planned(requests, on_step)
        seconds = time.perf_counter() - started
        rendered = [song.planned(plan) for song, plan in zip(requests, plans, strict=True)]
        latents = self._denoised(rendered, on_step)
        return [
            replace(
                own,
                notes=(*plan.notes, *own.notes),
                stage_seconds={"planner": seconds, **own.stage_seconds} if song.needs_planner else own.stage_seconds,
                planned=self._planned_facts(song, plan),
            )
            for song, plan, own in zip(requests, plans, latents, strict=True)
        ]

    def plan(self, requests: Sequence[V15Song], on_step: StepCallback | None = None) -> list[Plan]:
        """The plans that songs are rendered from; errors as ``denoise``."""
        return self._planned(requests, on_step)

    def _planned(self, songs: Sequence[V15Song], on_step: StepCallback | None) -> list[Plan]:
        waiting = [song.planner for song in songs if song.needs_planner and song.planner not in self._plans]
        if len(self._plans) + len(waiting) > _KEPT_PLANS:
            self._plans = {}
            waiting = [song.planner for song in songs if song.needs_planner]
        if waiting:
            with self._at_work() as planner:
                on_token = None if on_step is None else lambda *_: on_step(0, 1)
                found = planner.plan(waiting, on_token)
            self._plans |= dict(zip(waiting, found, strict=True))
        return [self._plans[song.planner] if song.needs_planner else song.without_planner() for song in songs]

    @contextmanager
    def _at_work(self) -> Iterator[Planner]:
        """The planner on the device, alone on it where the halves take turns."""
        if self._part is None:
            raise ValueError("the song needs a planner, and there is none")
        device = str(self._diffusion.device)
        with self._diffusion.parked() if self._swaps else _as_it_is():
            if self._planner is None:
                self._planner = self._part.load(device)
                dtype = str(self._planner.model.dtype).removeprefix("torch.")
                self._facts = {**self._part.facts(), "device": device, "dtype": dtype}
            try:
                yield self._planner.to(device)
            finally:
                if self._swaps:
                    self._planner.to("cpu")

    def _planned_facts(self, song: V15Song, plan: Plan) -> Mapping[str, Any] | None:
        if song.plan is None and not song.needs_planner:
            return None
        return {"plan": plan.to_record(), "planner": dict(self._facts) if song.needs_planner else None}

    def _denoised(self, requests: Sequence[V15Request], on_step: StepCallback | None) -> list[DenoisedSong]:
        groups: dict[Any, list[int]] = defaultdict(list)
        for place, request in enumerate(requests):
            groups[sampling_key(request, self._diffusion.variant)].append(place)
        made: dict[int, DenoisedSong] = {}
        for done, places in enumerate(groups.values()):
            count = None if on_step is None else _counted(on_step, done, len(groups))
            own = self._diffusion.denoise([requests[place] for place in places], count)
            made |= dict(zip(places, own, strict=True))
        return [made[place] for place in range(len(requests))]

    def decode(
        self, songs: Sequence[DenoisedSong], sample_rate: int, decoding: Decoding = Decoding.PLAIN
    ) -> list[RenderedSong]:
        """Audio of songs, as ``V15Engine.decode``, with their plans."""
        audio = self._diffusion.decode(songs, sample_rate, decoding)
        return [replace(own, planned=song.planned) for own, song in zip(audio, songs, strict=True)]

    @contextmanager
    def offloaded(self) -> Iterator[None]:
        """Within it, only the component at work lies on the device, the others in host memory."""
        before, self._swaps = self._swaps, True
        try:
            if self._planner is not None:
                self._planner.to("cpu")
            with self._diffusion.offloaded():
                yield
        finally:
            self._swaps = before

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Within it, diffusion and decoding are computed in float32; plans stay as they are."""
        with self._diffusion.in_float32():
            yield

    def describe(self) -> dict[str, Any]:
        """Facts of the diffusion half for the record; the planner's stand beside each plan."""
        return self._diffusion.describe()

    def peak_memory_bytes(self) -> int | None:
        """Peak CUDA memory since the last call; None on devices that do not count it."""
        return self._diffusion.peak_memory_bytes()


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def _counted(on_step: StepCallback, groups_done: int, groups: int) -> StepCallback:
    """Steps of one group as steps of all groups."""
    return lambda done, steps: on_step(groups_done * steps + done, groups * steps)
