"""Schedules against the reference implementation: equal to the last bit, or the one before it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.schedules import chosen_steps, for_heun, schedule, timesteps, uniform_steps

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
CASES = json.loads((GOLDEN / "e_schedulers.json").read_text(encoding="utf-8"))["cases"]
TABLES = [case for case in CASES if case["id"].startswith(("tab.", "a2a."))]
CHOSEN = [case for case in CASES if case["id"].startswith("oss.") and "error" not in case]

Golden = Callable[[str, str], dict[str, Tensor]]
MakeRequest = Callable[..., SongRequest]


def assert_equals_reference(table: Tensor, theirs: dict[str, Tensor]) -> None:
    np.testing.assert_array_max_ulp(table.numpy(), theirs["sigmas"].numpy(), maxulp=1)
    np.testing.assert_array_max_ulp(timesteps(table).numpy(), theirs["timesteps"].numpy(), maxulp=1)


@pytest.mark.parametrize("case", TABLES, ids=lambda case: case["id"])
def test_uniform_steps_equal_reference(case: dict[str, Any], golden: Golden) -> None:
    table = uniform_steps(case["steps"], case.get("sigma_max_arg", 1.0))
    table = for_heun(table) if case["scheduler"] == "heun" else table
    assert_equals_reference(table, golden("e_schedulers", case["id"]))


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case["id"])
def test_chosen_steps_equal_reference(case: dict[str, Any], golden: Golden) -> None:
    assert_equals_reference(chosen_steps(case["oss_steps"]), golden("e_schedulers", case["id"]))


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        ({"infer_step": 5}, 5),
        ({"infer_step": 5, "scheduler_type": "pingpong"}, 5),
        ({"infer_step": 5, "scheduler_type": "heun"}, 9),
        ({"infer_step": 1, "scheduler_type": "heun"}, 1),
        ({"infer_step": 5, "oss_steps": (2, 4, 9)}, 3),
    ],
)
def test_a_request_has_one_level_before_each_call_and_zero_after_the_last(
    make_request: MakeRequest, changes: dict[str, object], calls: int
) -> None:
    table = schedule(make_request(**changes))
    assert len(timesteps(table)) == calls
    assert table[-1] == 0
    assert (table.diff() <= 0).all()
