"""Which songs of 1.5 may be denoised together, and how many model calls each takes; no torch."""

from __future__ import annotations

from typing import Any

from acestep_batch.engine.v15.limits import cover_calls, guided_calls
from acestep_batch.engine.v15.request import V15Request
from acestep_batch.engine.v15.timesteps import schedule
from acestep_batch.engine.v15.variant import Variant


def sampling_key(request: V15Request, variant: Variant) -> tuple[Any, ...]:
    """What songs must share to be denoised together: length, timesteps, solver, LoRAs, and what runs when.

    Texts, seeds, sources and scales may differ. The engine splits such songs once more, by the number of vectors that
    they attend to: the transformer has no mask for them, so that padding would be heard.
    """
    steps = schedule(request, variant)
    guided = tuple(guided_calls(request, variant, steps.times))
    kind = request.use_adg if any(guided) else None
    covered = cover_calls(request, len(steps.times))
    return request.frames, request.infer_method, steps, guided, kind, covered, request.adapters


def model_calls(request: V15Request, variant: Variant) -> int:
    """How often the transformer is evaluated for one song, guided calls twice; independent of batching."""
    times = schedule(request, variant).times
    return len(times) + sum(guided_calls(request, variant, times))
