"""The one table of what differs from the reference implementation on purpose, with the reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from acestep_batch.engine.v1.solvers import omega_gain

from .pack import CALL_DEFAULTS, requests_of
from .tasks import TASK_DEFAULTS


class Instead(Enum):
    """What is checked in place of equality with the recording."""

    REFUSAL = "refused"
    OWN_SINGLES = "own singles"


@dataclass(frozen=True, slots=True)
class Difference:
    """A rule: the first one of a case's stage that applies holds."""

    stage: str
    applies: Callable[[Mapping[str, Any]], bool]
    instead: Instead
    reason: str


def failed(case: Mapping[str, Any]) -> bool:
    return "error" in case


def edits_of_a_batch(case: Mapping[str, Any]) -> bool:
    return failed(case) and case["params"].get("task") == "edit" and case["params"].get("batch_size", 1) > 1


def redraws_nothing(case: Mapping[str, Any]) -> bool:
    return case["params"].get("task") in ("repaint", "extend") and case["params"].get("retake_variance") == 0


def pingpong_averages(case: Mapping[str, Any]) -> bool:
    """Whether an edit's first phase has steps, and pingpong to take them."""
    params = case["params"]
    first, last = (
        int(params["infer_step"] * params.get(name, TASK_DEFAULTS[name])) for name in ("edit_n_min", "edit_n_max")
    )
    return params.get("task") == "edit" and params.get("scheduler_type") == "pingpong" and first < last


def songs_couple(case: Mapping[str, Any]) -> bool:
    """Whether the songs of a recorded batch depend on each other: by pingpong's noise, else by the omega mean.

    The mean over equal songs is each song's own. Repaint and extend have neither.
    """
    if case["params"].get("task") in ("repaint", "extend"):
        return False
    seeds = [request.seed for request in requests_of(case)]
    if case["params"].get("scheduler_type", CALL_DEFAULTS["scheduler_type"]) == "pingpong":
        return len(seeds) > 1
    return len(set(seeds)) > 1 and omega_gain(case["params"].get("omega_scale", CALL_DEFAULTS["omega_scale"])) != 1


def trajectory_couples(case: Mapping[str, Any]) -> bool:
    """Like ``songs_couple`` for a run of a solver, whose noise is recorded."""
    return case.get("batch", 1) > 1 and case.get("scheduler") != "pingpong" and omega_gain(case["omega"]) != 1


EXPECTED_DIFFERENCES = (
    Difference(
        "g",
        edits_of_a_batch,
        Instead.OWN_SINGLES,
        "the reference cannot edit several songs at once; here each must equal its own single render",
    ),
    Difference(
        "g",
        redraws_nothing,
        Instead.REFUSAL,
        "at a variance of 0 the reference takes no step and gives back noise; here it is refused with a reason",
    ),
    Difference(
        "g",
        pingpong_averages,
        Instead.REFUSAL,
        "the reference computes the steps of pingpong in an edit's first phase and drops them; here they are refused"
        " with a reason, and the second phase alone must equal the recording",
    ),
    Difference(
        "g", failed, Instead.REFUSAL, "the reference fails on these settings; here they are refused with a reason"
    ),
    Difference("e", failed, Instead.REFUSAL, "the reference has no such schedule; here it is refused with a reason"),
    Difference(
        "g",
        songs_couple,
        Instead.OWN_SINGLES,
        "the reference couples the songs of a batch, through the mean in the omega scaling and through pingpong's"
        " noise; here a song has both to itself, so each must equal its own single render",
    ),
    Difference(
        "e",
        trajectory_couples,
        Instead.OWN_SINGLES,
        "the reference takes the mean in the omega scaling over the batch; here each item has its own, so each must"
        " equal its own single run",
    ),
)


def expected_difference(stage: str, case: Mapping[str, Any]) -> Difference | None:
    """How ``case`` differs on purpose; None where the engine must equal the recording."""
    rules = (rule for rule in EXPECTED_DIFFERENCES if rule.stage == stage)
    return next((rule for rule in rules if rule.applies(case)), None)
