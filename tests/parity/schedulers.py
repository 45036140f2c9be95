"""Stage e: tables of noise levels, and runs of the solvers on recorded velocities."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.refusals import crash_reason
from acestep_batch.engine.v1.schedules import chosen_steps, for_heun, timesteps, uniform_steps
from acestep_batch.engine.v1.solvers import SOLVERS, omega_gain

from .checks import RELATIVE, Case, Check, largest, relative, ulps
from .expected import Difference, Instead, expected_difference
from .pack import read_cases, read_tensors, requests_of, tensors_of


def scheduler_stage(pack: Path) -> Iterator[Check]:
    """Every table and every run of ``e_schedulers``."""
    cases, tensors = read_cases(pack, "e_schedulers"), read_tensors(pack, "e_schedulers")
    for recorded in cases:
        case = Case("e", recorded["id"])
        theirs = tensors_of(tensors, recorded["id"])
        difference = expected_difference("e", recorded)
        if difference is not None and difference.instead is Instead.REFUSAL:
            yield case.refusal(crash_reason(_chosen_steps_request(recorded)) is not None, difference.reason)
        elif "x0" in theirs:
            yield from case.guarded(partial(_check_run, case, recorded, theirs, difference))
        else:
            yield from case.guarded(partial(_check_table, case, recorded, theirs))


def _chosen_steps_request(recorded: dict[str, Any]) -> SongRequest:
    scheduler = recorded.get("scheduler") or recorded["id"].split(".")[1]  # failed cases are named KIND.SCHEDULER
    steps = ",".join(map(str, recorded.get("oss_steps", [1])))
    return requests_of({"params": {"scheduler_type": scheduler, "oss_steps": steps}})[0]


def _check_table(case: Case, recorded: dict[str, Any], theirs: dict[str, Tensor]) -> Iterator[Check]:
    if "oss_steps" in recorded:
        table = chosen_steps(recorded["oss_steps"])
    else:
        table = _uniform_table(recorded, recorded.get("sigma_max_arg", 1.0))
    yield case.check("sigmas, ulp", ulps(table, theirs["sigmas"]), 1)
    yield case.check("timesteps", largest(timesteps(table), theirs["timesteps"]))


def _uniform_table(recorded: dict[str, Any], sigma_max: float = 1.0) -> Tensor:
    table = uniform_steps(recorded["steps"], sigma_max)
    return for_heun(table) if recorded["scheduler"] == "heun" else table


def _check_run(
    case: Case, recorded: dict[str, Any], theirs: dict[str, Tensor], singles: Difference | None
) -> Iterator[Check]:
    sigmas = _uniform_table(recorded)

    def run(songs: slice) -> Tensor:  # [calls, B, 8, 16, F], the latents after each call
        seen: list[Tensor] = []
        velocities = theirs["model_outputs"][:, songs]
        noise = iter(theirs["noise"][:, songs]) if "noise" in theirs else iter(())

        def velocity(x: Tensor, call: int) -> Tensor:
            seen.append(x)
            return velocities[call]

        solve, gain = SOLVERS[recorded["scheduler"]], omega_gain(recorded["omega"])
        last = solve(velocity, theirs["x0"][songs], sigmas, gain, noise)
        return torch.stack([*seen[1:], last])

    if "omega_effective" in recorded:
        yield case.check("omega gain", abs(omega_gain(recorded["omega"]) - recorded["omega_effective"]), 1e-9)
    batch = run(slice(None))
    if singles is not None:
        alone = torch.cat([run(slice(song, song + 1)) for song in range(len(theirs["x0"]))], dim=1)
        yield case.check("own singles", relative(batch, alone), RELATIVE, singles.reason)
    else:
        yield case.check("latents", relative(batch, theirs["x"]), RELATIVE)
