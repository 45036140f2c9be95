"""Every parameter of the published model, by name and shape, against what the engine builds at its sizes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from torch import nn
from transformers import UMT5Config, UMT5EncoderModel

from acestep_batch.engine.v1.transformer import UNUSED_PARAMETERS, ACEStepTransformer2DModel
from acestep_batch.engine.v1.vocoder import ADaMoSHiFiGANV1, VocoderConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
CONFIGS: dict[str, dict[str, Any]] = json.loads((GOLDEN / "published_configs.json").read_text(encoding="utf-8"))
ROWS = [row.split("\t") for row in (GOLDEN / "published_keys.tsv").read_text(encoding="utf-8").splitlines()[1:]]
BUILD: dict[str, Callable[[dict[str, Any]], nn.Module]] = {
    "ace_step_transformer": ACEStepTransformer2DModel.from_config,
    "music_dcae_f8c8": AutoencoderDC.from_config,
    "music_vocoder": lambda config: ADaMoSHiFiGANV1(VocoderConfig.from_dict(config)),
    "umt5-base": lambda config: UMT5EncoderModel(UMT5Config(**config)),
}


def published(component: str) -> dict[str, str]:
    """Name to shape of all tensors in a component's file."""
    return {name: shape for owner, name, shape in ROWS if owner == component}


def tensors(model: nn.Module) -> dict[str, str]:
    return {name: ",".join(map(str, tensor.shape)) for name, tensor in model.state_dict().items()}


def test_every_component_is_compared() -> None:
    assert {row[0] for row in ROWS} == set(BUILD)
    assert len(ROWS) == 1902


@pytest.mark.parametrize("component", BUILD)
def test_parameters_are_the_published_ones_less_the_listed_unused(component: str) -> None:
    with torch.device("meta"):
        model = BUILD[component](CONFIGS[component])
    unused = UNUSED_PARAMETERS if component == "ace_step_transformer" else ""
    expected = {name: shape for name, shape in published(component).items() if not re.fullmatch(unused, name)}
    assert tensors(model) == expected


def test_the_unused_parameters_are_a_fifth_of_the_transformer() -> None:
    sizes = {
        name: torch.Size(map(int, shape.split(","))).numel()
        for name, shape in published("ace_step_transformer").items()
    }
    unused = {name for name in sizes if re.fullmatch(UNUSED_PARAMETERS, name)}
    assert len(unused) == 24 * 8 + 12
    assert sum(sizes.values()) == CONFIGS["param_counts"]["ace_step_transformer"]
    assert sum(sizes[name] for name in unused) / sum(sizes.values()) == pytest.approx(0.217, abs=0.001)


@pytest.mark.parametrize(
    ("component", "default"),
    [("ace_step_transformer", ACEStepTransformer2DModel), ("music_vocoder", lambda: ADaMoSHiFiGANV1(VocoderConfig()))],
)
def test_the_defaults_are_the_published_sizes(component: str, default: Callable[[], nn.Module]) -> None:
    with torch.device("meta"):
        assert tensors(default()) == tensors(BUILD[component](CONFIGS[component]))
