"""Solvers: exact where the answer is known, and the same as diffusers' scheduler."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusion_support import song
from torch import Tensor

from acestep_batch.engine.v15.noise import batch_noise
from acestep_batch.engine.v15.solvers import SOLVERS, ode, sde
from acestep_batch.engine.v15.timesteps import schedule
from acestep_batch.engine.v15.variant import Variant

CPU = torch.device("cpu")
STEPS = schedule(song(), Variant.TURBO)


def draws(seed: int = 1) -> Iterator[Tensor]:
    return batch_noise([seed], 12, 8, CPU)


def test_ode_is_exact_for_a_constant_velocity() -> None:
    x = next(draws())
    torch.testing.assert_close(ode(lambda x, call: torch.full_like(x, 0.5), x, STEPS, draws()), x - 0.5)


@pytest.mark.parametrize("method", ["ode", "sde"])
def test_a_velocity_that_points_at_the_data_arrives_there(method: str) -> None:
    noise = draws()
    x, data = next(noise), torch.linspace(-1, 1, 96).reshape(1, 12, 8)
    found = SOLVERS[method](lambda x, call: (x - data) / STEPS.times[call], x, STEPS, noise)
    torch.testing.assert_close(found, data)


@pytest.mark.parametrize("method", ["ode", "sde"])
def test_solvers_are_those_of_diffusers_scheduler(method: str) -> None:
    noise = draws()
    x = next(noise)
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0, stochastic_sampling=method == "sde")
    scheduler.set_timesteps(sigmas=list(STEPS.times))
    generator = torch.Generator().manual_seed(1)
    theirs = torch.randn(1, 12, 8, generator=generator)
    for t in scheduler.timesteps:
        theirs = scheduler.step(torch.sin(3 * theirs), t, theirs, generator=generator, return_dict=False)[0]
    torch.testing.assert_close(SOLVERS[method](lambda x, call: torch.sin(3 * x), x, STEPS, noise), theirs)


def test_sde_draws_once_for_each_step_but_the_last() -> None:
    drawn = 0

    def counted() -> Iterator[Tensor]:
        nonlocal drawn
        for draw in draws():
            drawn += 1
            yield draw

    sde(lambda x, call: x, next(draws()), STEPS, counted())
    assert drawn == len(STEPS.times) - 1


def test_each_song_has_a_stream_of_its_own() -> None:
    together, first, second = batch_noise([5, 6], 9, 8, CPU), batch_noise([5], 9, 8, CPU), batch_noise([6], 9, 8, CPU)
    for _ in range(3):
        assert torch.equal(next(together), torch.cat((next(first), next(second))))
