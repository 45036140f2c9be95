"""What a run of stage 4 follows from beside its data: rates, averages, weights and shares; pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run follows from, beside its data and sizes; a checkpoint keeps it."""

    seed: int = 0
    batch: int = 16
    learning_rate: float = 1.5e-3
    warm_up: int = 100
    full_rate: int = 3000
    """Steps after which the rate falls with the root of the step."""
    ends_at: int = 0
    """The step at which the rate has fallen to nothing, linearly from ``cool_down`` steps before; 0 is never."""
    cool_down: int = 3000
    ema: float = 0.999
    noise_mean: float = 1.3
    """Of the logit of noise levels: above 0 there are more of the high ones, at which a song's key is decided."""
    component_power: float = 0.35
    onset_strength: float = 1.0
    looped: float = 0.3
    """The share of steps whose songs are longer than clips: their bars are repeated."""

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        left = max(self.ends_at - step, 0) / max(self.cool_down, 1) if self.ends_at else 1.0
        fall = min((step + 1) / self.warm_up, 1.0, (self.full_rate / (step + 1)) ** 0.5)
        return self.learning_rate * fall * min(left, 1.0)

    def kept(self, step: int) -> float:
        """The share of the average that a step keeps: less at first, when there is little worth keeping."""
        return min(self.ema, (step + 1) / (step + 10))
