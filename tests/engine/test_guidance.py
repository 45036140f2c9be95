"""Guidance against the reference implementation, and what its formulas promise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.guidance import (
    apg,
    cfg,
    cfg_star,
    double_condition,
    guidance_of,
    guidance_scale_at,
    guide,
)
from acestep_batch.engine.v1.limits import guided_steps

CPU = torch.device("cpu")
GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
STEPS = [
    case
    for case in json.loads((GOLDEN / "d_guidance.json").read_text(encoding="utf-8"))["cases"]
    if case["case"] != "d_zero"
]
CASES = sorted({case["case"] for case in STEPS})

Golden = Callable[[str, str], dict[str, Tensor]]
MakeRequest = Callable[..., SongRequest]


def assert_equals_reference(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * max(theirs.abs().max().item(), 1e-12))


def three_branches(songs: int) -> list[Tensor]:
    return list(torch.randn(3, songs, 8, 16, 4, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("name", CASES)
def test_every_kind_equals_reference(name: str, golden: Golden) -> None:
    momentum: Tensor | float = 0.0
    for step in (step for step in STEPS if step["case"] == name):
        theirs = golden("d_guidance", f"{name}.s{step['step']}")
        cond, text_only, uncond = theirs["cond"], theirs["text_only"], theirs["uncond"]
        scale = step["guidance_scale"]
        velocity, momentum = apg(cond, uncond, scale, momentum)
        assert_equals_reference(velocity, theirs["apg"])
        assert_equals_reference(momentum, theirs["momentum"])
        assert_equals_reference(apg(cond, uncond, scale, 0.0)[0], theirs["apg_nomomentum"])
        assert_equals_reference(cfg(cond, uncond, scale), theirs["cfg"])
        assert_equals_reference(cfg_star(cond, uncond, scale, step["cfg_star_i"]), theirs["cfg_star"])
        both = double_condition(cond, text_only, uncond, step["guidance_scale_text"], step["guidance_scale_lyric"])
        assert_equals_reference(both, theirs["double"])


def test_equal_branches_and_a_zero_branch_are_finite(golden: Golden) -> None:
    theirs = golden("d_guidance", "d_zero")
    cond = theirs["cond"]
    assert_equals_reference(apg(cond, cond, 15.0, 0.0)[0], theirs["apg"])
    assert_equals_reference(cfg_star(cond, torch.zeros_like(cond), 15.0, 5), theirs["cfg_star"])


@pytest.mark.parametrize("cfg_type", ["apg", "cfg", "cfg_star"])
def test_songs_of_a_batch_are_guided_independently(make_request: MakeRequest, cfg_type: str) -> None:
    requests = [make_request(cfg_type=cfg_type, guidance_scale=scale) for scale in (3.0, 15.0)]
    cond, uncond, momentum = three_branches(2)
    batch, batch_momentum = guide(guidance_of(requests, CPU), (cond, uncond), 2, momentum)
    for song, request in enumerate(requests):
        one = slice(song, song + 1)
        alone, alone_momentum = guide(guidance_of([request], CPU), (cond[one], uncond[one]), 2, momentum[one])
        torch.testing.assert_close(alone, batch[one], rtol=0, atol=1e-5)
        torch.testing.assert_close(alone_momentum, batch_momentum[one], rtol=0, atol=1e-5)


def test_three_branches_are_combined_by_their_own_scales(make_request: MakeRequest) -> None:
    requests = [make_request(guidance_scale_text=scale, guidance_scale_lyric=2.0) for scale in (3.0, 5.0)]
    cond, text_only, uncond = three_branches(2)
    batch, _ = guide(guidance_of(requests, CPU), (cond, text_only, uncond), 2, 0.0)
    torch.testing.assert_close(batch[1], double_condition(cond[1], text_only[1], uncond[1], 5.0, 2.0))


def test_a_scale_of_one_is_the_conditional_branch() -> None:
    cond, uncond, _ = three_branches(1)
    torch.testing.assert_close(apg(cond, uncond, 1.0, 0.0)[0], cond)
    torch.testing.assert_close(cfg(cond, uncond, 1.0), cond)
    torch.testing.assert_close(cfg_star(cond, uncond, 1.0, 2), cond)


def test_apg_moves_only_orthogonally_to_the_conditional_branch() -> None:
    cond, uncond, _ = three_branches(2)
    moved = apg(cond, uncond, 15.0, 0.0)[0] - cond
    torch.testing.assert_close((moved * cond).sum(dim=(-1, -2)), torch.zeros(2, 8), rtol=0, atol=1e-3)


def test_cfg_star_stands_still_for_two_calls() -> None:
    cond, uncond, _ = three_branches(1)
    assert [cfg_star(cond, uncond, 4.0, call).any().item() for call in range(4)] == [False, False, True, True]


def test_decay_falls_from_the_scale_to_the_minimum(make_request: MakeRequest) -> None:
    request = make_request(infer_step=60, guidance_interval_decay=1.0)
    scales = [guidance_scale_at(request, call) for call in guided_steps(request)]
    assert scales[0] == request.guidance_scale
    assert scales[-1] == pytest.approx(request.min_guidance_scale)
    assert scales == sorted(scales, reverse=True)


def test_an_unknown_kind_is_named(make_request: MakeRequest) -> None:
    cond, uncond, _ = three_branches(1)
    with pytest.raises(ValueError, match="'cfgg' is not one of apg, cfg, cfg_star"):
        guide(guidance_of([make_request(cfg_type="cfgg")], CPU), (cond, uncond), 2, 0.0)
