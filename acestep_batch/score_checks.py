"""Whether the scores that are asked for can be given, before any work: their names, their weights, their device."""

from __future__ import annotations

import re
from collections.abc import Sequence

from acestep_batch.hardware import Machine, TorchBuild, gpu_problem
from acestep_batch.problems import Problem, Refused
from acestep_batch.scores.known import parse_scores, score_problems

_DEVICES = re.compile(r"cpu|mps|cuda(:\d{1,4})?")


def scores_asked_problems(
    texts: Sequence[str], device: str, machine: Machine, build: TorchBuild | None
) -> list[Problem]:
    """Why ``scores=`` cannot be given on ``score_device=``; whether weights are whole is seen when they are loaded."""
    try:
        problems = score_problems(parse_scores(texts))
    except Refused as refused:
        problems = list(refused.problems)
    found = device_problem(device, machine, build)
    return problems if found is None else [*problems, found]


def device_problem(device: str, machine: Machine, build: TorchBuild | None) -> Problem | None:
    """Why scores cannot be computed on a device; None where nothing is known against it."""
    if not _DEVICES.fullmatch(device):
        return Problem("score_device", f"'{device}' is no device", "allowed: cpu, mps, cuda, cuda:0 and so on")
    number = int(device.partition(":")[2] or 0)
    if device.startswith("cuda") and (found := gpu_problem(machine, build, number)):
        return Problem("score_device", found.message, "score_device=cpu works anywhere")
    if device == "mps" and not machine.is_apple_silicon:
        return Problem("score_device", "this is no Mac with Apple silicon", "score_device=cpu works anywhere")
    return None
