"""One comparison with the reference implementation, and the measures of difference that comparisons use."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

RELATIVE = 1e-5
"""Of the largest recorded value: text encoder, transformer, guidance, solvers."""
MEL = 1e-4
"""Of log-mel values, of encoded latents and of the audio that is encoded."""
WAVEFORM = 1e-4
"""Of the 99th percentile and the root mean square of a waveform's difference, where no sensitivity is recorded."""
LATENTS = 5e-4
SENSITIVITY_FACTOR = 20
WAVEFORM_SENSITIVITY_FACTOR = 50


class Verdict(Enum):
    """What became of a comparison."""

    PASS = "pass"
    FAIL = "FAIL"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of one quantity of a case; an error that is not a number fails."""

    stage: str
    case: str
    what: str
    error: float
    tolerance: float
    verdict: Verdict
    note: str = ""

    @property
    def ratio(self) -> float:
        """Error over tolerance, 0 where both are 0."""
        if self.error == 0:
            return 0.0
        return self.error / self.tolerance if self.tolerance > 0 and not math.isnan(self.error) else math.inf


@dataclass(frozen=True, slots=True)
class Case:
    """Makes the checks of one case."""

    stage: str
    name: str

    def check(self, what: str, error: float, tolerance: float = 0.0, note: str = "") -> Check:
        verdict = Verdict.PASS if error <= tolerance else Verdict.FAIL
        return Check(self.stage, self.name, what, float(error), float(tolerance), verdict, note)

    def not_checked(self, what: str, reason: str) -> Check:
        return Check(self.stage, self.name, what, math.nan, math.nan, Verdict.NOT_CHECKED, reason)

    def refusal(self, refused: bool, expected: str) -> Check:
        """Settings on which the reference fails must be refused; ``expected`` is the reason why."""
        return self.check("refused", 0.0 if refused else math.inf, note=expected if refused else "it was not refused")

    def guarded(self, checks: Callable[[], Iterator[Check]]) -> Iterator[Check]:
        """The checks of ``checks``; an exception is a failed one, so that the other cases still run."""
        try:
            yield from checks()
        except Exception as error:  # whatever the engine raises, the table has to say so
            yield self.check("exception", math.inf, note=f"{type(error).__name__}: {error}")

    def waveform(self, what: str, ours: Tensor, theirs: Tensor, p99: float, rms: float) -> Iterator[Check]:
        """Compare the bulk of the samples, not the worst: an untrained vocoder has a few steep points."""
        if ours.shape != theirs.shape:
            yield self.check(what, math.inf, note=f"shape {list(ours.shape)}, recorded {list(theirs.shape)}")
            return
        difference = (ours.double() - theirs.double()).abs().flatten()
        rank = max(1, math.ceil(0.99 * len(difference)))
        yield self.check(f"{what} p99", difference.kthvalue(rank).values.item(), p99)
        yield self.check(f"{what} rms", difference.square().mean().sqrt().item(), rms)


def count_different(ours: object, theirs: object) -> float:
    """How many items of two sequences differ; missing and surplus ones count."""
    if not isinstance(ours, list) or not isinstance(theirs, list):
        return float(ours != theirs)
    return float(sum(a != b for a, b in zip(ours, theirs, strict=False)) + abs(len(ours) - len(theirs)))


def largest(ours: Tensor, theirs: Tensor) -> float:
    """The largest absolute difference; infinite where shapes differ."""
    if ours.shape != theirs.shape:
        return math.inf
    return (ours.double() - theirs.double()).abs().max().item() if theirs.numel() else 0.0


def relative(ours: Tensor, theirs: Tensor) -> float:
    """The largest absolute difference, over the largest recorded value."""
    scale = theirs.double().abs().max().item() if theirs.numel() else 1.0
    return largest(ours, theirs) / max(scale, 1e-12)


def ulps(ours: Tensor, theirs: Tensor) -> float:
    """The largest distance of float32 values of equal sign, in steps from one such value to the next."""
    if ours.shape != theirs.shape or ours.dtype != torch.float32 or theirs.dtype != torch.float32:
        return math.inf
    if not bool((torch.isfinite(ours) & (ours >= 0) & (theirs >= 0)).all()):
        return math.inf
    return (ours.view(torch.int32).long() - theirs.view(torch.int32).long()).abs().max().item()
