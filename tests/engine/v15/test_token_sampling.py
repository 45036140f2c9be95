"""Sampling against hand-made examples and transformers' own processors; one draw a token, from the song's stream."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from planner_songs import song
from torch import Tensor
from transformers import RepetitionPenaltyLogitsProcessor, TopKLogitsWarper, TopPLogitsWarper

from acestep_batch.engine.v15.token_sampling import Sampling, draw_token, guided, penalised, top_k_of, top_p_of

PLAIN = Sampling(temperature=1.0, top_k=None, top_p=None, repetition_penalty=1.0)
HALVES = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
IDS = torch.tensor([10, 20, 30, 40])


def random_logits(seed: int, size: int = 200) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)) * 3


def draws(logits: Tensor, sampling: Sampling, count: int, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return [draw_token(logits, IDS, (), sampling, generator) for _ in range(count)]


@pytest.mark.parametrize(
    ("p", "kept"), [(0.0, [0]), (0.4, [0]), (0.5, [0, 1]), (0.74, [0, 1]), (0.8, [0, 1, 2]), (0.99, [0, 1, 2, 3])]
)
def test_top_p_keeps_what_it_takes_to_exceed_p(p: float, kept: list[int]) -> None:
    assert top_p_of(HALVES, p).isfinite().nonzero().flatten().tolist() == kept


@pytest.mark.parametrize(("k", "kept"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2, 3]), (9, [0, 1, 2, 3])])
def test_top_k_keeps_the_highest_and_their_equals(k: int, kept: list[int]) -> None:
    assert top_k_of(HALVES, k).isfinite().nonzero().flatten().tolist() == kept


@pytest.mark.parametrize("seed", range(5))
def test_the_steps_are_those_of_transformers(seed: int) -> None:
    logits, seen = random_logits(seed), [3, 5, 199]
    rows, read = logits[None], torch.tensor([seen])
    ours = penalised(logits, torch.arange(200), seen, 1.3)
    assert torch.equal(ours, RepetitionPenaltyLogitsProcessor(1.3)(read, rows)[0])
    assert torch.equal(top_k_of(logits, 17), TopKLogitsWarper(17)(read, rows)[0])
    assert torch.equal(top_p_of(logits, 0.9), TopPLogitsWarper(0.9)(read, rows)[0])


def test_guidance_moves_away_from_the_side_without_conditions() -> None:
    cond, uncond = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 3.0])
    assert guided(cond, uncond, 1.0).tolist() == [1.0, 2.0]
    assert guided(cond, uncond, 0.0).tolist() == [0.0, 3.0]
    assert guided(cond.bfloat16(), uncond.bfloat16(), 2.0).tolist() == [2.0, 1.0]


def test_tokens_come_as_often_as_they_are_likely() -> None:
    counts = torch.tensor([draws(HALVES, PLAIN, 4000).count(token) for token in IDS.tolist()]) / 4000
    assert torch.allclose(counts, HALVES.exp(), atol=0.03)


def test_temperature_comes_after_top_p() -> None:
    cold = replace(PLAIN, temperature=0.25, top_p=0.74)
    counts = draws(HALVES, cold, 2000)
    assert set(counts) == {10, 20}
    assert counts.count(10) / 2000 == pytest.approx(16 / 17, abs=0.02)


def test_without_temperature_the_likeliest_is_taken_and_nothing_drawn() -> None:
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    assert draw_token(HALVES, IDS, (), replace(PLAIN, temperature=0.0), generator) == 10
    assert torch.equal(generator.get_state(), before)


def test_one_number_is_drawn_for_a_token_whatever_the_settings() -> None:
    streams = []
    for sampling in (
        PLAIN,
        replace(PLAIN, top_k=2, top_p=0.5),
        replace(PLAIN, temperature=0.1, repetition_penalty=2.0),
    ):
        generator = torch.Generator().manual_seed(3)
        draw_token(random_logits(1, 4), IDS, (10,), sampling, generator)
        streams.append(torch.rand((), generator=generator).item())
    assert len(set(streams)) == 1


@pytest.mark.parametrize("seed", range(20))
def test_what_was_cut_off_is_never_drawn(seed: int) -> None:
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf, -torch.inf])
    assert draws(logits, PLAIN, 3, seed) == [20, 20, 20]


def test_a_song_switches_top_k_and_top_p_off_with_0_and_1() -> None:
    assert Sampling.of(song(lm_top_k=0, lm_top_p=1.0)) == Sampling(0.85, None, None, 1.0)
    assert Sampling.of(song(lm_top_k=50, lm_top_p=0.9)) == Sampling(0.85, 50, 0.9, 1.0)
