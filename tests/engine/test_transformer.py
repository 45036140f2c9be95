"""The transformer and its lyric encoder against the reference implementation, and what batching promises."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel, Conditioning

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
CASES = json.loads((GOLDEN / "c_transformer.json").read_text(encoding="utf-8"))["cases"]
ENCODE, DECODE = ([case for case in CASES if case["kind"] == kind] for kind in ("encode", "decode"))
ERG_TAU = 0.01

Golden = Callable[[str, str], dict[str, Tensor]]


def assert_equals_reference(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


def condition(transformer: ACEStepTransformer2DModel, case: dict[str, Tensor], erg: bool) -> Conditioning:
    mask = case["out_mask"].bool()
    scale = torch.full((len(mask),), ERG_TAU if erg else 1.0)
    return transformer.condition(case["out"], None if mask.all() else mask, scale)


def predict(
    transformer: ACEStepTransformer2DModel,
    case: dict[str, Tensor],
    conditioning: Conditioning,
    frame_mask: Tensor | None = None,
) -> Tensor:
    """The velocity of a recorded call, whose items have times of their own."""
    times = transformer.embed_times(case["timestep"], case["x"].shape[-1])
    velocity: Tensor = transformer(case["x"], times, conditioning, frame_mask)
    return velocity


@pytest.mark.parametrize("case", ENCODE, ids=lambda case: case["id"])
@torch.inference_mode()
def test_encode_equals_reference(case: dict[str, Any], transformer: ACEStepTransformer2DModel, golden: Golden) -> None:
    given = golden("c_transformer", case["id"])
    scale = ERG_TAU if case["erg_lyric"] else 1.0
    lyrics = transformer.encode_lyrics(given["lyric_ids"], given["lyric_mask"].bool(), scale)
    assert_equals_reference(transformer.join(given["speaker"], given["text_hidden"], lyrics), given["out"])


@pytest.mark.parametrize("case", DECODE, ids=lambda case: case["id"])
@torch.inference_mode()
def test_decode_equals_reference(case: dict[str, Any], transformer: ACEStepTransformer2DModel, golden: Golden) -> None:
    given = golden("c_transformer", case["id"])
    conditioning = condition(transformer, golden("c_transformer", case["encoder"]), case["erg_diffusion"])
    frame_mask = given["attention_mask"].bool()
    velocity = predict(transformer, given, conditioning, None if frame_mask.all() else frame_mask)
    assert_equals_reference(velocity, given["out"])


@torch.inference_mode()
def test_all_true_masks_change_nothing(transformer: ACEStepTransformer2DModel, golden: Golden) -> None:
    case, encoded = golden("c_transformer", "dec.w32"), golden("c_transformer", "enc.basic")
    plain = condition(transformer, encoded, erg=False)
    nothing_padded = torch.ones(encoded["out"].shape[:2], dtype=torch.bool)
    masked = transformer.condition(encoded["out"], nothing_padded, torch.ones(1))
    torch.testing.assert_close(
        predict(transformer, case, plain),
        predict(transformer, case, masked, torch.ones(1, 32, dtype=torch.bool)),
        rtol=0,
        atol=1e-5,
    )


@torch.inference_mode()
def test_items_of_a_batch_are_independent(transformer: ACEStepTransformer2DModel) -> None:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(3, 8, 16, 9, generator=generator)
    states = torch.randn(3, 7, transformer.config.inner_dim, generator=generator)
    lengths, query_scale = torch.tensor([7, 4, 5]), torch.tensor([1.0, ERG_TAU, 1.0])
    mask = torch.arange(7) < lengths[:, None]
    times = transformer.embed_times(torch.tensor([500.0]), 9)
    batch = transformer(latents, times, transformer.condition(states, mask, query_scale))
    for item, length in enumerate(lengths.tolist()):
        one = slice(item, item + 1)
        alone = transformer.condition(states[one, :length], None, query_scale[one])
        torch.testing.assert_close(transformer(latents[one], times, alone), batch[one], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_first_items_of_a_conditioning(transformer: ACEStepTransformer2DModel, golden: Golden) -> None:
    case = golden("c_transformer", "dec.batch")
    whole = condition(transformer, golden("c_transformer", "enc.batch_masks"), erg=False)
    first = predict(transformer, {name: tensor[:1] for name, tensor in case.items()}, whole.first(1))
    assert_equals_reference(first, case["out"][:1])


@torch.inference_mode()
def test_a_call_of_a_schedule_equals_the_call_alone(transformer: ACEStepTransformer2DModel) -> None:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 8, 16, 9, generator=generator)
    states = torch.randn(2, 7, transformer.config.inner_dim, generator=generator)
    conditioning = transformer.condition(states, None, torch.ones(2))
    timesteps = torch.tensor([1000.0, 730.5, 8.9286])
    schedule = transformer.embed_times(timesteps, 9)
    assert schedule.modulation.shape == (3, 6, transformer.config.inner_dim)
    velocities = [transformer(latents, schedule.at(call), conditioning) for call in range(3)]
    for velocity, timestep in zip(velocities, timesteps, strict=True):
        alone = transformer.embed_times(timestep[None], 9)
        torch.testing.assert_close(velocity, transformer(latents, alone, conditioning), rtol=0, atol=1e-5)
    assert (velocities[0] - velocities[2]).abs().max() > 1e-2


@torch.inference_mode()
def test_blocks_compile_as_one_graph(transformer: ACEStepTransformer2DModel, golden: Golden) -> None:
    compiled = copy.deepcopy(transformer)
    compiled.compile_repeated_blocks(backend="eager", fullgraph=True, dynamic=True)
    for name in ("dec.w7", "dec.w32_erg"):
        case, erg = golden("c_transformer", name), name.endswith("erg")
        encoded = golden("c_transformer", "enc.basic_erg" if erg else "enc.basic")
        assert_equals_reference(predict(compiled, case, condition(compiled, encoded, erg)), case["out"])


def test_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="inner_dim 30 is not num_attention_heads 2 times attention_head_dim 16"):
        ACEStepTransformer2DModel(inner_dim=30, attention_head_dim=16, num_attention_heads=2)
