"""What is taught is what v1's solvers integrate, from the noise that they begin with."""

from __future__ import annotations

import math

import pytest
import torch

from acestep_batch.engine.v1.schedules import uniform_steps
from acestep_batch.engine.v1.solvers import SOLVERS
from training.flow import at_level, component_weights, noise_levels, onset_weights, velocity

SHAPE = (2, 8, 16, 12)
SIGMAS = uniform_steps(7)


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(SHAPE, generator=generator), torch.randn(SHAPE, generator=generator)


@pytest.mark.parametrize("solver", ["euler", "heun"])
def test_the_taught_velocity_leads_from_noise_to_data(solver: str) -> None:
    data, noise = pair()
    table = SIGMAS if solver == "euler" else torch.cat((SIGMAS[:1], SIGMAS[1:-1].repeat_interleave(2), SIGMAS[-1:]))
    made = SOLVERS[solver](lambda _x, _call: velocity(data, noise), noise, table, 1.0, iter(()))
    torch.testing.assert_close(made, data, rtol=0, atol=1e-5)


def test_on_the_way_a_song_is_what_is_taught_at_that_level() -> None:
    data, noise = pair()
    seen = []

    def taught(x: torch.Tensor, _call: int) -> torch.Tensor:
        seen.append(x)
        return velocity(data, noise)

    SOLVERS["euler"](taught, noise, SIGMAS, 1.0, iter(()))
    for x, sigma in zip(seen, SIGMAS[:-1], strict=True):
        torch.testing.assert_close(x, at_level(data, noise, sigma.expand(2)), rtol=0, atol=1e-5)


def test_pingpong_finds_the_data_at_every_level() -> None:
    data, noise = pair()
    fresh = iter([torch.randn(SHAPE) for _ in SIGMAS])
    looks = []

    def taught(x: torch.Tensor, call: int) -> torch.Tensor:
        looks.append(call)
        return (x - data) / SIGMAS[call]  # the velocity of whatever noise x has

    made = SOLVERS["pingpong"](taught, noise, SIGMAS, 1.0, fresh)
    torch.testing.assert_close(made, data, rtol=0, atol=1e-5)
    assert looks == list(range(7))


def test_a_mean_moves_the_levels_up() -> None:
    levels = noise_levels(4000, torch.Generator().manual_seed(0), 1.0)
    middle = 1 / (1 + math.exp(-1.0))
    assert levels.median().item() == pytest.approx(3 * middle / (1 + 2 * middle), abs=0.02)


def test_levels_are_where_the_schedules_look() -> None:
    levels = noise_levels(4000, torch.Generator().manual_seed(0))
    assert 0 < levels.min() < levels.max() < 1
    assert levels.median().item() == pytest.approx(0.75, abs=0.02)  # 0.5, shifted by 3
    again = noise_levels(4000, torch.Generator().manual_seed(0))
    assert torch.equal(levels, again)


def test_weights_are_one_on_average_and_follow_the_variances() -> None:
    variances = torch.linspace(100.0, 1.0, 128)
    assert torch.equal(component_weights(variances, 0.0), torch.ones(8, 16))
    weights = component_weights(variances, 0.5)
    assert weights.mean().item() == pytest.approx(1.0, abs=1e-5)
    assert (weights[0, 0] / weights[7, 15]).item() == pytest.approx(10.0, rel=1e-3)


def test_frames_where_something_begins_weigh_more() -> None:
    data = torch.zeros(1, 8, 16, 10)
    data[..., 5:] = 3.0
    weights = onset_weights(data, 1.0)[0, 0, 0]
    assert weights.argmax() == 5
    assert weights.mean().item() == pytest.approx(1.0, abs=1e-5)
    assert torch.equal(onset_weights(data, 0.0), torch.ones(1, 1, 1, 10))
