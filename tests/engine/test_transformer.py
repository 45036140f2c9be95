"""The transformer and its lyric encoder against the reference implementation, and what batching promises."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from acestep_batch.engine.v1.transformer import UNUSED_PARAMETERS, ACEStepTransformer2DModel, Conditioning

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


def test_parameters_are_the_published_ones_less_the_unused() -> None:
    with torch.device("meta"):
        model = ACEStepTransformer2DModel()
    ours = {name: ",".join(map(str, tensor.shape)) for name, tensor in model.state_dict().items()}
    rows = (GOLDEN / "transformer_keys.tsv").read_text(encoding="utf-8").splitlines()
    published = dict(row.split("\t") for row in rows)
    unused = {name for name in published if re.fullmatch(UNUSED_PARAMETERS, name)}
    assert ours == {name: shape for name, shape in published.items() if name not in unused}
    assert len(unused) == 24 * 8 + 12


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
    frame_mask = given["attention_mask"]
    velocity = transformer(given["x"], given["timestep"], conditioning, None if frame_mask.all() else frame_mask.bool())
    assert_equals_reference(velocity, given["out"])


@torch.inference_mode()
def test_all_true_masks_change_nothing(transformer: ACEStepTransformer2DModel, golden: Golden) -> None:
    case, encoded = golden("c_transformer", "dec.w32"), golden("c_transformer", "enc.basic")
    plain = condition(transformer, encoded, erg=False)
    nothing_padded = torch.ones(encoded["out"].shape[:2], dtype=torch.bool)
    masked = transformer.condition(encoded["out"], nothing_padded, torch.ones(1))
    torch.testing.assert_close(
        transformer(case["x"], case["timestep"], plain),
        transformer(case["x"], case["timestep"], masked, torch.ones(1, 32, dtype=torch.bool)),
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
    time = torch.tensor([500.0])
    batch = transformer(latents, time, transformer.condition(states, mask, query_scale))
    for item, length in enumerate(lengths.tolist()):
        one = slice(item, item + 1)
        alone = transformer.condition(states[one, :length], None, query_scale[one])
        torch.testing.assert_close(transformer(latents[one], time, alone), batch[one], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_first_items_of_a_conditioning(transformer: ACEStepTransformer2DModel, golden: Golden) -> None:
    case = golden("c_transformer", "dec.batch")
    whole = condition(transformer, golden("c_transformer", "enc.batch_masks"), erg=False)
    first = transformer(case["x"][:1], case["timestep"][:1], whole.first(1))
    assert_equals_reference(first, case["out"][:1])


@torch.inference_mode()
def test_blocks_compile_as_one_graph(transformer: ACEStepTransformer2DModel, golden: Golden) -> None:
    compiled = copy.deepcopy(transformer)
    compiled.compile_repeated_blocks(backend="eager", fullgraph=True, dynamic=True)
    for name in ("dec.w7", "dec.w32_erg"):
        case, erg = golden("c_transformer", name), name.endswith("erg")
        encoded = golden("c_transformer", "enc.basic_erg" if erg else "enc.basic")
        assert_equals_reference(compiled(case["x"], case["timestep"], condition(compiled, encoded, erg)), case["out"])


def test_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="inner_dim 30 is not num_attention_heads 2 times attention_head_dim 16"):
        ACEStepTransformer2DModel(inner_dim=30, attention_head_dim=16, num_attention_heads=2)
