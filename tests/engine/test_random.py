"""The draws of a song depend on its seed alone."""

from __future__ import annotations

from itertools import islice

import torch

from acestep_batch.engine.random import song_noise

SHAPE = (8, 16, 5)


def test_draws_continue_one_generator() -> None:
    generator = torch.Generator().manual_seed(7)
    noise = song_noise(7, SHAPE)
    for _ in range(3):
        assert torch.equal(next(noise), torch.randn(SHAPE, generator=generator))


def test_streams_disturb_neither_each_other_nor_the_global_generator() -> None:
    state = torch.get_rng_state()
    alone = islice(song_noise(1, SHAPE), 3)
    together = islice(zip(song_noise(1, SHAPE), song_noise(2, SHAPE), strict=True), 3)
    assert all(torch.equal(draw, draws[0]) for draw, draws in zip(alone, together, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_different_seeds_give_different_songs() -> None:
    assert not torch.equal(next(song_noise(1, SHAPE)), next(song_noise(2, SHAPE)))


def test_first_draw_is_rounded_to_the_compute_dtype_and_later_ones_are_not() -> None:
    noise = song_noise(7, SHAPE, first_dtype=torch.bfloat16)
    first, second = next(noise), next(noise)
    assert first.dtype == second.dtype == torch.float32
    assert torch.equal(first, first.bfloat16().float())
    assert not torch.equal(second, second.bfloat16().float())


def test_draws_of_a_song_that_starts_from_audio_fill_memory_laid_out_as_its_latents() -> None:
    plain, draws = song_noise(7, SHAPE, first_draws=2), song_noise(7, SHAPE, first_draws=2, like_encoded=True)
    generator = torch.Generator().manual_seed(7)
    latents = torch.zeros(1, *SHAPE).to(memory_format=torch.channels_last)
    for _ in range(2):
        assert torch.equal(next(draws), torch.randn(SHAPE, generator=generator))
        next(plain)
    later = next(draws)
    assert torch.equal(later, torch.empty_like(latents).normal_(generator=generator)[0])
    assert not torch.equal(later, next(plain))
    assert later.is_contiguous()
