"""The ladder out of exhausted memory, and what becomes of songs that fail on every rung."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from starved_engine import StarvedEngine
from support import CPU_TARGET, make_songs

from acestep_batch.attempts import Attempt, Rung, decode, decode_at_once, denoise
from acestep_batch.engine.base import Decoding
from acestep_batch.engine.out_of_memory import is_out_of_memory

RATE = 8000


def on_batch(songs):
    return lambda done, total: None


def run(engine: StarvedEngine, *prompts: str, overlapped_allowed: bool = True) -> list[Attempt]:
    songs = make_songs([{"id": f"s{number}", "prompt": prompt} for number, prompt in enumerate(prompts)], CPU_TARGET)
    attempts = decode(engine, denoise(engine, songs, on_batch), RATE, overlapped_allowed=overlapped_allowed)
    assert [each.song for each in attempts] == songs
    assert not engine.is_offloaded
    return attempts


def test_a_batch_that_fits_takes_one_call_a_stage_and_no_rung():
    engine = StarvedEngine(lambda *_: True)
    attempts = run(engine, "a", "b", "c")
    assert engine.calls == [("denoise", 3), ("decode", 3)]
    assert all(each.rungs == () and each.batch == 3 and each.rendered is not None for each in attempts)


def test_a_batch_that_does_not_fit_is_halved_until_it_does():
    engine = StarvedEngine(lambda stage, songs, *_: stage == "decode" or songs <= 2)
    attempts = run(engine, *"abcde")
    assert engine.calls == [("denoise", size) for size in (5, 3, 2, 1, 2)] + [("decode", 5)]
    assert [each.batch for each in attempts] == [2, 2, 1, 2, 2]
    assert all(each.rungs == (Rung.SMALLER_BATCH,) and not each.error for each in attempts)


def test_a_song_that_does_not_fit_alone_is_denoised_with_the_other_components_offloaded():
    attempts = run(StarvedEngine(lambda stage, _, offloaded, __: stage == "decode" or offloaded), "a", "b")
    assert all(each.rungs == (Rung.SMALLER_BATCH, Rung.OFFLOAD) and not each.error for each in attempts)


@pytest.mark.parametrize(
    ("needed", "rungs"),
    [
        (Decoding.PLAIN, (Rung.OFFLOAD,)),
        (Decoding.SMALL_WINDOWS, (Rung.OFFLOAD, Rung.SMALL_WINDOWS)),
        (Decoding.OVERLAPPED, (Rung.OFFLOAD, Rung.SMALL_WINDOWS, Rung.OVERLAPPED)),
    ],
)
def test_decoding_climbs_down_rung_by_rung_those_that_keep_the_sound_first(needed, rungs):
    def fits(stage: str, songs: int, offloaded: bool, decoding: Decoding) -> bool:
        return stage == "denoise" or (songs == 1 and offloaded and decoding is needed)

    attempts = run(StarvedEngine(fits), "a", "b")
    assert all(each.rungs == rungs and each.rendered is not None for each in attempts)


def test_on_oom_fail_never_decodes_in_overlapping_windows():
    def fits(stage: str, songs: int, offloaded: bool, decoding: Decoding) -> bool:
        return stage == "denoise" or decoding is Decoding.OVERLAPPED

    (attempt,) = run(StarvedEngine(fits), "a", overlapped_allowed=False)
    assert attempt.error.startswith("OutOfMemoryError: CUDA out of memory")
    assert Rung.OVERLAPPED not in attempt.rungs


def test_a_song_that_fits_on_no_rung_fails_alone_and_the_next_batch_starts_at_the_top():
    starved = StarvedEngine(lambda *_: False)
    assert all("out of memory" in each.error for each in run(starved, "a", "b"))
    starved.fits = lambda *_: True
    assert run(starved, "c", "d")[0].rungs == ()


def test_memory_that_runs_out_at_every_call_in_turn_never_costs_a_song():
    engine = StarvedEngine(lambda *_: True)
    run(engine, *"abcd")
    for failing in range(len(engine.calls)):
        engine = StarvedEngine(lambda *_, failing=failing: len(engine.calls) - 1 != failing)  # noqa: B023
        attempts = run(engine, *"abcd")
        assert all(not each.error and each.rendered is not None for each in attempts), failing


def test_a_song_that_raises_fails_alone_without_any_rung():
    attempts = run(StarvedEngine(lambda *_: True), "a", "explode", "c")
    assert [each.error for each in attempts] == ["", "RuntimeError: the prompt exploded", ""]
    assert all(each.rungs == () for each in attempts)


class Unstable(StarvedEngine):
    """Overflows in bfloat16: in ``stage``, and in float32 too where ``always``."""

    def __init__(self, stage: str, always: bool) -> None:
        super().__init__(lambda *_: True)
        self.stage, self.always = stage, always

    def _overflows(self, stage: str) -> bool:
        return stage == self.stage and (self.always or self.precision == "bfloat16")

    def denoise(self, requests, on_step=None):
        songs = super().denoise(requests, on_step)
        for song, request in zip(songs, requests, strict=True):
            if "loud" in request.prompt and self._overflows("denoise"):
                song.latents[-1] = np.inf
        return songs

    def decode(self, songs, sample_rate, decoding=Decoding.PLAIN):
        rendered = super().decode(songs, sample_rate, decoding)
        for song in rendered:
            if self._overflows("decode"):
                song.audio[0, 0] = np.nan
        return rendered


@pytest.mark.parametrize("stage", ["denoise", "decode"])
def test_a_song_that_is_not_finite_is_made_once_more_in_float32(stage):
    engine = Unstable(stage, always=False)
    quiet, loud = run(engine, "quiet", "loud")
    assert loud.rungs == (Rung.FLOAT32,)
    assert np.isfinite(loud.rendered.audio).all()
    assert quiet.rungs == (() if stage == "denoise" else (Rung.FLOAT32,))


def test_a_song_that_is_not_finite_in_float32_either_fails():
    (attempt,) = run(Unstable("denoise", always=True), "loud")
    assert "not finite" in attempt.error
    (attempt,) = run(Unstable("decode", always=True), "loud")
    assert not np.isfinite(attempt.rendered.audio).all()  # the quality check makes this a failure, with its count


def test_decoding_at_once_gives_up_where_anything_is_wrong():
    songs = make_songs([{"id": "a"}], CPU_TARGET)
    engine = StarvedEngine(lambda stage, *_: stage == "denoise")
    assert decode_at_once(engine, denoise(engine, songs, on_batch), RATE) is None
    engine = Unstable("decode", always=False)
    assert decode_at_once(engine, denoise(engine, songs, on_batch), RATE) is None


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("x"),
        torch.cuda.OutOfMemoryError("x"),
        MemoryError(),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_errors_of_exhausted_memory_are_known(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory"), KeyError("memory")])
def test_other_errors_are_not_taken_for_exhausted_memory(error):
    assert not is_out_of_memory(error)
