"""A LoRA's file is judged by its header: what fits passes, and what does not is named in words before any work."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lora_maker import FILE, write_file
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from acestep_batch.engine.embedded_sizes import TRANSFORMER_CONFIG
from acestep_batch.engine.lora_files import lora_file
from acestep_batch.engine.v1.lora_files import adaptable_layers, lora_problems
from acestep_batch.engine.v1.sizes import TransformerSizes
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel

LAYER = "transformer_blocks.3.attn.to_q"


@pytest.fixture
def sizes(transformer: ACEStepTransformer2DModel) -> TransformerSizes:
    return TransformerSizes.from_dict(dict(transformer.config))


@pytest.fixture
def folder(tmp_path: Path, transformer: ACEStepTransformer2DModel) -> Path:
    return write_file(tmp_path / "lora", transformer)


@pytest.mark.parametrize("config", [{}, dict(TRANSFORMER_CONFIG)], ids=["published", "embedded"])
def test_layers_that_take_a_lora_are_the_models_linear_ones(config: dict[str, object]) -> None:
    with torch.device("meta"):
        model = ACEStepTransformer2DModel.from_config(config)
    linear = {
        name: (module.in_features, module.out_features)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    }
    assert adaptable_layers(TransformerSizes.from_dict(config)) == linear


def test_a_published_file_fits_as_a_folder_and_as_a_file(folder: Path, sizes: TransformerSizes) -> None:
    assert lora_problems(folder, sizes) == lora_problems(folder / FILE, sizes) == []
    assert lora_file(folder) == lora_file(folder / FILE) == folder / FILE


Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda t: {f"transformer.{name}": each for name, each in t.items()}, "and 207 more: no layer of this model"),
        (lambda t: {name.replace("lora_A", "lora_down"): each for name, each in t.items()}, "not .lora_A.weight or"),
        (lambda t: t | {f"{LAYER}.alpha": torch.ones(1)}, f"{LAYER}.alpha: not .lora_A.weight or .lora_B.weight"),
        (lambda t: {name: t[name] for name in t if name != f"{LAYER}.lora_B.weight"}, f"{LAYER} has lora_A alone"),
        (lambda t: t | {f"{LAYER}.lora_A.weight": torch.ones(2, 8)}, f"{LAYER} has the shapes [2, 8] and"),
        (lambda t: t | {f"{LAYER}.lora_A.weight": torch.ones(3)}, f"{LAYER} has the shapes [3] and"),
        (lambda t: t | {name: t[name].int() for name in t if LAYER in name}, "is of type I32"),
        (lambda _: {}, "holds no weights"),
    ],
    ids=["prefix", "other names", "alpha", "half a pair", "wrong shape", "one dimension", "integers", "empty"],
)
def test_what_does_not_fit_is_named(folder: Path, sizes: TransformerSizes, change: Change, part: str) -> None:
    save_file(change(load_file(folder / FILE)), folder / FILE)
    assert part in "\n".join(problem.message for problem in lora_problems(folder, sizes))


def test_a_lora_of_another_size_does_not_fit(folder: Path) -> None:
    (problem,) = lora_problems(folder, TransformerSizes())
    assert "not [r, 1024] and [1024, r]" in problem.message


@pytest.mark.parametrize("metadata", ["{", "[]"])
def test_damaged_settings_are_named(folder: Path, sizes: TransformerSizes, metadata: str) -> None:
    save_file(load_file(folder / FILE), folder / FILE, {"lora_adapter_metadata": metadata})
    (problem,) = lora_problems(folder, sizes)
    assert "lora_adapter_metadata" in problem.message
    save_file(load_file(folder / FILE), folder / FILE, {"lora_adapter_metadata": json.dumps({"r": 3})})
    assert lora_problems(folder, sizes) == []


def test_a_file_that_is_missing_cut_off_or_something_else_is_named(folder: Path, sizes: TransformerSizes) -> None:
    content = (folder / FILE).read_bytes()
    for damaged, part in ((content[:-1], "is cut off"), (content[:100], "is cut off"), (b"lora", "is not a safetens")):
        (folder / FILE).write_bytes(damaged)
        (problem,) = lora_problems(folder, sizes)
        assert part in problem.message
    (folder / FILE).unlink()
    for path in (folder, folder / FILE, folder / "nowhere"):
        (problem,) = lora_problems(path, sizes)
        assert problem.message == "is missing"


def test_the_check_imports_no_torch() -> None:
    code = "import sys, acestep_batch.engine.v1.lora_files; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
