"""Timesteps: torch's values without torch, the turbo model's own tables, and levels that end at the data."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from diffusion_support import song
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.engine.v15.timesteps import (
    TURBO_SHIFTS,
    TURBO_TIMESTEPS,
    listed_timesteps,
    schedule,
    turbo_shift,
    turbo_timesteps,
    uniform_timesteps,
)
from acestep_batch.engine.v15.variant import Variant, variant_of


@pytest.mark.parametrize("shift", [1.0, 1.7, 3.0, 5.0])
def test_uniform_timesteps_are_torchs_values(shift: float) -> None:
    for steps in range(1, 201):
        t = torch.linspace(1.0, 0.0, steps + 1)
        t = t if shift == 1.0 else shift * t / (1 + (shift - 1) * t)
        assert list(uniform_timesteps(steps, shift)) == t[:-1].tolist(), steps


@given(steps=st.integers(1, 300), shift=st.floats(0.1, 10))
def test_uniform_timesteps_fall_from_noise_towards_data(steps: int, shift: float) -> None:
    times = uniform_timesteps(steps, shift)
    assert len(times) == steps
    assert times[0] == pytest.approx(1)
    assert all(later < earlier for earlier, later in pairwise(times))
    assert times[-1] > 0


@given(shift=st.floats(0, 10))
def test_the_turbo_model_renders_the_nearest_shift(shift: float) -> None:
    assert min(abs(shift - known) for known in TURBO_SHIFTS) == abs(shift - turbo_shift(shift))
    assert turbo_timesteps(shift) == turbo_timesteps(turbo_shift(shift))


@given(chosen=st.lists(st.floats(0.01, 1), min_size=1, max_size=20))
def test_the_turbo_model_renders_the_nearest_timesteps(chosen: list[float]) -> None:
    known = torch.tensor(TURBO_TIMESTEPS)
    expected = [(known - t).abs().min().item() for t in chosen]
    found = [abs(ours - t) for ours, t in zip(turbo_timesteps(3.0, chosen), chosen, strict=True)]
    assert found == pytest.approx(expected, abs=1e-6)


def test_only_zeros_at_the_end_are_dropped() -> None:
    assert listed_timesteps([1.0, 0.0, 0.5, 0.0, 0.0]) == (1.0, 0.0, 0.5)
    assert listed_timesteps([0.0]) == ()


@pytest.mark.parametrize("variant", Variant)
@pytest.mark.parametrize("method", ["ode", "sde"])
def test_each_call_goes_to_the_next_and_the_last_to_the_data(variant: Variant, method: str) -> None:
    steps = schedule(song(infer_method=method, timesteps=(1.0, 0.75, 0.3, 0.0)), variant)
    assert steps.times == pytest.approx((1.0, 0.75, 0.3))
    assert steps.targets == (*steps.times[1:], 0.0)


@pytest.mark.parametrize("variant", [Variant.BASE, Variant.SFT])
def test_sde_of_base_and_sft_renoises_to_an_unshifted_table(variant: Variant) -> None:
    steps = schedule(song(infer_method="sde", infer_step=4), variant)
    assert steps.times == uniform_timesteps(4, 3.0)
    assert steps.targets == (0.75, 0.5, 0.25, 0.0)


def test_turbo_takes_8_steps_whatever_is_asked() -> None:
    assert schedule(song(infer_step=30), Variant.TURBO) == schedule(song(), Variant.TURBO)
    assert len(schedule(song(infer_step=30), Variant.BASE).times) == 30


@pytest.mark.parametrize(
    ("config", "variant"),
    [
        ({"is_turbo": True, "model_version": "turbo"}, Variant.TURBO),
        ({"is_turbo": False, "model_version": "xl_turbo"}, Variant.TURBO),
        ({"is_turbo": False, "model_version": "sft"}, Variant.SFT),
        ({"is_turbo": False, "model_version": "base"}, Variant.BASE),
        ({"model_version": None}, Variant.BASE),
    ],
)
def test_a_checkpoint_says_which_variant_it_is(config: dict[str, object], variant: Variant) -> None:
    assert variant_of(config) is variant


@pytest.mark.parametrize(
    "module", ["batching", "prompts", "checkpoint_layout", "silence_latent", "embedded_configs", "dtypes"]
)
def test_what_a_dry_run_needs_imports_no_torch(module: str) -> None:
    script = f"import sys, acestep_batch.engine.v15.{module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
