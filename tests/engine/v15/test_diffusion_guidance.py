"""Guidance: off at its neutral scale, every song by itself, and only across what is there already."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from acestep_batch.engine.v15.guidance import adg, apg


@pytest.fixture
def branches() -> tuple[Tensor, Tensor, Tensor]:
    draws = torch.Generator().manual_seed(3)
    return tuple(torch.randn(3, 20, 8, generator=draws) for _ in range(3))


def test_apg_at_scale_1_is_the_conditional_branch(branches: tuple[Tensor, Tensor, Tensor]) -> None:
    _, cond, uncond = branches
    assert torch.equal(apg(cond, uncond, 1.0, 0.0)[0], cond)


def test_apg_adds_only_what_is_orthogonal_over_time(branches: tuple[Tensor, Tensor, Tensor]) -> None:
    _, cond, uncond = branches
    added = apg(cond, uncond, 4.0, 0.0)[0] - cond
    assert (added * cond).sum(1).abs().max() < 1e-4
    assert added.norm(dim=1).max() <= 3 * 2.5 + 1e-4


def test_apg_remembers_earlier_calls(branches: tuple[Tensor, Tensor, Tensor]) -> None:
    x, cond, uncond = branches
    first = cond - uncond
    _, momentum = apg(cond, uncond, 4.0, 0.0)
    _, momentum = apg(x, uncond, 4.0, momentum)
    torch.testing.assert_close(momentum, (x - uncond) - 0.75 * first)


def test_a_song_is_guided_as_alone(branches: tuple[Tensor, Tensor, Tensor]) -> None:
    x, cond, uncond = branches
    scales = torch.tensor([2.0, 7.0, 15.0])[:, None, None]
    together, memory = apg(cond, uncond, scales, 0.5 * x)
    turned = adg(x, cond, uncond, 0.6, scales)
    for item, scale in enumerate((2.0, 7.0, 15.0)):
        own = slice(item, item + 1)
        alone, momentum = apg(cond[own], uncond[own], scale, 0.5 * x[own])
        assert torch.equal(together[own], alone)
        assert torch.equal(memory[own], momentum)
        torch.testing.assert_close(turned[own], adg(x[own], cond[own], uncond[own], 0.6, scale))


def test_adg_of_equal_branches_changes_nothing(branches: tuple[Tensor, Tensor, Tensor]) -> None:
    x, cond, _ = branches
    torch.testing.assert_close(adg(x, cond, cond, 0.7, 7.0), cond, atol=2e-3, rtol=0)


def test_adg_turns_no_further_than_its_limit(branches: tuple[Tensor, Tensor, Tensor]) -> None:
    x, cond, uncond = branches
    torch.testing.assert_close(adg(x, cond, uncond, 0.9, 100.0), adg(x, cond, uncond, 0.9, 1000.0))
