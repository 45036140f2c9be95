"""Every recording of the diffusion half is reproduced, and the comparison notices when one is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.parity.checks import Verdict
from tests.parity15.diffusion import DIFFUSION
from tests.parity15.pack import Pack

GOLDEN = Path(__file__).parents[2] / "golden" / "v15"


@pytest.mark.parametrize("stage", DIFFUSION)
def test_recordings_are_reproduced(stage: str) -> None:
    with torch.inference_mode():
        checks = list(DIFFUSION[stage](Pack(GOLDEN)))
    assert checks
    assert [check for check in checks if check.verdict is not Verdict.PASS] == []


@pytest.mark.parametrize(
    ("stage", "file", "tensor"),
    [
        ("traj", "traj_turbo_sde_shift3", "final"),
        ("traj", "traj_base_sde_cfg7_shift3_8", "step03.noise"),
        ("traj", "traj_base_ode_cfg4_interval", "step02.v_uncond"),
        ("guide", "guidance", "apg1.2.guided"),
        ("guide", "guidance", "adg.1.guided"),
        ("fsq", "fsq", "z_quantized"),
        ("hints", "codes_hints", "hints_25hz"),
        ("dit", "dit_forward", "velocity"),
        ("dit", "tiny_weights", "transformer.layers.1.cross_attn.to_k.weight"),
        ("noise", "noise", "seed_b"),
    ],
)
def test_one_changed_value_is_noticed(stage: str, file: str, tensor: str, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    shutil.copytree(GOLDEN, pack)
    tensors = load_file(pack / f"{file}.safetensors")
    tensors[tensor].view(-1)[0] += 0.5
    save_file(tensors, pack / f"{file}.safetensors")
    with torch.inference_mode():
        verdicts = {check.verdict for check in DIFFUSION[stage](Pack(pack))}
    assert Verdict.FAIL in verdicts
