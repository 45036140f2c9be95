"""Solvers against the reference implementation, and on equations whose solution is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from acestep_batch.engine.v1.schedules import for_heun, uniform_steps
from acestep_batch.engine.v1.solvers import SOLVERS, euler, heun, omega_gain, pingpong

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
CASES = json.loads((GOLDEN / "e_schedulers.json").read_text(encoding="utf-8"))["cases"]
RUNS = [case for case in CASES if case["id"].startswith("traj.")]

Golden = Callable[[str, str], dict[str, Tensor]]


def no_noise() -> Iterator[Tensor]:
    raise AssertionError("this solver must not draw noise")
    yield


@pytest.mark.parametrize("case", RUNS, ids=lambda case: case["id"])
def test_every_step_equals_reference(case: dict[str, Any], golden: Golden) -> None:
    theirs = golden("e_schedulers", case["id"])
    sigmas = uniform_steps(case["steps"])
    sigmas = for_heun(sigmas) if case["scheduler"] == "heun" else sigmas
    seen: list[Tensor] = []

    def velocity(x: Tensor, call: int) -> Tensor:
        seen.append(x)
        return theirs["model_outputs"][call]

    noise = iter(theirs["noise"]) if case["scheduler"] == "pingpong" else no_noise()
    seen.append(SOLVERS[case["scheduler"]](velocity, theirs["x0"], sigmas, omega_gain(case["omega"]), noise))
    ours = torch.stack(seen[1:])
    torch.testing.assert_close(ours, theirs["x"], rtol=0, atol=1e-5 * theirs["x"].abs().max().item())


@pytest.mark.parametrize(("omega_scale", "gain"), [(0.0, 1.0), (10.0, 1.046211715726001), (-20.0, 0.9238405844044235)])
def test_omega_gain(omega_scale: float, gain: float) -> None:
    assert omega_gain(omega_scale) == pytest.approx(gain, abs=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("solver", ["euler", "heun", "pingpong"])
def test_solvers_are_exact_on_the_velocity_of_a_straight_line(solver: str, steps: int) -> None:
    generator = torch.Generator().manual_seed(0)
    noise, data = torch.randn(2, 2, 8, 16, 3, generator=generator)
    sigmas = uniform_steps(steps)
    sigmas = for_heun(sigmas) if solver == "heun" else sigmas
    # Noise of zero makes pingpong return to the same line.
    result = SOLVERS[solver](lambda x, call: (x - data) / sigmas[call], noise, sigmas, 1.0, iter([data * 0] * steps))
    torch.testing.assert_close(result, data, rtol=0, atol=1e-5)


def test_euler_and_heun_are_exact_on_constant_velocity() -> None:
    x = torch.zeros(1, 8, 16, 2)
    slope = torch.full_like(x, 3.0)
    assert torch.equal(euler(lambda x, call: slope, x, uniform_steps(1), 1.0, no_noise()), -slope)
    for steps in (2, 9):
        table = uniform_steps(steps)
        for solver, sigmas in ((euler, table), (heun, for_heun(table))):
            result = solver(lambda x, call: slope, x, sigmas, 1.0, no_noise())
            torch.testing.assert_close(result, -slope, rtol=0, atol=1e-5)


def test_heun_is_of_second_order() -> None:
    x = torch.ones(1, 1, 1, 1, dtype=torch.float64)

    def error(solver: str, steps: int) -> float:
        table = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        sigmas = for_heun(table) if solver == "heun" else table
        # dx/dsigma = x with x(1) = 1 has x(sigma) = exp(sigma - 1); the last step of Heun is Euler's.
        result = SOLVERS[solver](lambda x, call: x, x, sigmas, 1.0, no_noise())
        return abs(result.item() - torch.exp(torch.tensor(-1.0, dtype=torch.float64)).item())

    assert error("euler", 40) / error("euler", 80) == pytest.approx(2, rel=0.1)
    assert error("heun", 40) / error("heun", 80) == pytest.approx(4, rel=0.1)


def test_gain_acts_on_each_song_by_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    x, slope = torch.randn(2, 3, 8, 16, 4, generator=generator)
    gain = torch.tensor([0.9, 1.0, 1.1])[:, None, None, None]
    sigmas = uniform_steps(3)
    batch = euler(lambda x, call: slope, x, sigmas, gain, no_noise())
    for song in range(3):
        one = slice(song, song + 1)
        alone = euler(lambda x, call, one=one: slope[one], x[one], sigmas, gain[one], no_noise())
        assert torch.equal(batch[one], alone)


def test_pingpong_ignores_the_gain() -> None:
    x = torch.ones(1, 8, 16, 2)
    runs = [pingpong(lambda x, call: x, x, uniform_steps(3), gain, iter([x] * 3)) for gain in (0.9, 1.1)]
    assert torch.equal(*runs)
