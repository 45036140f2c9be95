"""From logits to one token: guidance, repetition penalty, top-k, top-p, temperature; knows no model and no grammar.

The order is that of the reference (ace-step/ACE-Step-1.5 at f30aee4, its PyTorch path): top-k and top-p see logits
that the temperature has not touched yet.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from acestep_batch.engine.v15.orchestration import PlannerRequest


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn."""

    temperature: float
    """0 takes the likeliest token."""
    top_k: int | None
    top_p: float | None
    repetition_penalty: float
    """1 changes nothing."""

    @classmethod
    def of(cls, request: PlannerRequest) -> Self:
        """The settings of a song; a ``lm_top_k`` of 0 and a ``lm_top_p`` of 1 switch these off."""
        return cls(
            temperature=request.lm_temperature,
            top_k=request.lm_top_k or None,
            top_p=request.lm_top_p if request.lm_top_p < 1 else None,
            repetition_penalty=request.lm_repetition_penalty,
        )


def guided(with_conditions: Tensor, without: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance on logits, in float32; both of one shape."""
    return without.float() + scale * (with_conditions.float() - without.float())


def penalised(logits: Tensor, ids: Tensor, seen: Collection[int], penalty: float) -> Tensor:
    """Make tokens that occurred less likely (arXiv:1909.05858); ``logits`` [N] belong to the tokens ``ids`` [N]."""
    if penalty == 1.0:
        return logits
    occurred = torch.isin(ids, torch.tensor(sorted(seen), dtype=ids.dtype))
    return torch.where(occurred, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def top_k_of(logits: Tensor, k: int) -> Tensor:
    """The ``k`` highest logits, and those equal to the last of them; the others become minus infinity."""
    if k >= len(logits):
        return logits
    return logits.masked_fill(logits < torch.topk(logits, k).values[-1], -torch.inf)


def top_p_of(logits: Tensor, p: float) -> Tensor:
    """The likeliest tokens up to the one that brings their probability above ``p``; the others become -infinity."""
    descending, order = torch.sort(logits, descending=True, stable=True)
    probabilities = torch.softmax(descending, dim=-1)
    before = torch.cumsum(probabilities, dim=-1) - probabilities
    return logits.index_fill(0, order[before > p], -torch.inf)


def draw_token(
    logits: Tensor, ids: Tensor, seen: Collection[int], sampling: Sampling, generator: torch.Generator
) -> int:
    """One of the tokens ``ids`` [N], by their ``logits`` [N]; both on the CPU.

    ``seen`` are the tokens of the prompt and the answer so far. Takes one uniform number from the song's generator,
    whatever the settings, unless the temperature is 0.
    """
    scores = penalised(logits.float(), ids, seen, sampling.repetition_penalty)
    if sampling.top_k is not None:
        scores = top_k_of(scores, sampling.top_k)
    if sampling.top_p is not None:
        scores = top_p_of(scores, sampling.top_p)
    if sampling.temperature <= 0:
        return int(ids[scores.argmax()])
    cumulative = torch.softmax(scores.double() / sampling.temperature, dim=-1).cumsum(dim=-1)
    total = cumulative[-1]
    point = torch.rand((), generator=generator, dtype=torch.float64) * total
    # The first sum above the point belongs to a token that raised it: one of probability 0 is never hit.
    below_total = torch.minimum(point, torch.nextafter(total, torch.zeros_like(total)))
    return int(ids[torch.searchsorted(cumulative, below_total, right=True)])
