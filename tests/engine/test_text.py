"""The text encoder against the reference implementation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from acestep_batch.engine.v1.text import TextEncoder

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
CASES = json.loads((GOLDEN / "b_text_encoder.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
@torch.inference_mode()
def test_tokens_and_vectors_equal_reference(
    case: dict[str, Any], text_encoder: TextEncoder, golden: Callable[[str, str], dict[str, Tensor]]
) -> None:
    prompts = [case["prompt"]] if isinstance(case["prompt"], str) else case["prompt"]
    theirs = golden("b_text_encoder", case["id"])
    ids, mask = text_encoder.tokenize(prompts)
    assert torch.equal(ids, theirs["ids"])
    assert torch.equal(mask, theirs["mask"].bool())
    for name, query_scale in (("hidden", 1.0), ("hidden_erg", 0.01)):
        hidden, _ = text_encoder.encode(prompts, query_scale)
        torch.testing.assert_close(hidden, theirs[name], rtol=0, atol=1e-5 * theirs[name].abs().max().item())


@torch.inference_mode()
def test_weakening_leaves_the_model_as_it_was(text_encoder: TextEncoder) -> None:
    before, _ = text_encoder.encode(["jazz"])
    weakened, _ = text_encoder.encode(["jazz"], 0.01)
    after, _ = text_encoder.encode(["jazz"])
    assert not torch.equal(before, weakened)
    assert torch.equal(before, after)
