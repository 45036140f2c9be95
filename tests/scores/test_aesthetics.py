"""Audiobox aesthetics against numbers of the original implementation, at tiny sizes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from acestep_batch.scores import aesthetics
from acestep_batch.scores.aesthetics import AXES, RATE
from acestep_batch.scores.base import ScoredSong
from acestep_batch.scores.known import find_score
from acestep_batch.scores.loading import scored

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "aesthetics"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))


def signal(samples: int) -> NDArray[np.float32]:
    """A rising tone in pulses, with a steady high one: `[N]` at 16 kHz."""
    time = np.arange(samples) / RATE
    pulses = 0.3 * np.sin(2 * np.pi * (110 + 40 * time) * time) * np.exp(-(time % 0.5) * 4)
    return (pulses + 0.05 * np.sin(2 * np.pi * 3000 * time)).astype(np.float32)


def song(samples: int) -> ScoredSong:
    return ScoredSong(np.stack([signal(samples)] * 2, axis=1), RATE, "", "")


@pytest.mark.parametrize("samples", [int(samples) for samples in EXPECTED])
def test_judgements_are_those_of_the_original(samples: int) -> None:
    """Of one window, of a window and a short rest, and of less than a window."""
    found = aesthetics.load(GOLDEN, "cpu").score(song(samples))
    wanted = {AXES[axis].name: value for axis, value in EXPECTED[str(samples)].items()}
    assert found == pytest.approx(wanted, abs=2e-5)
    assert len(set(wanted.values())) == 4


def test_the_numbers_are_rounded_and_the_golden_ones_tell_signals_apart() -> None:
    found = scored(aesthetics.load(GOLDEN, "cpu"), song(50_000))
    assert list(found) == ["content_enjoyment", "content_usefulness", "production_complexity", "production_quality"]
    assert found["production_quality"] == round(EXPECTED["50000"]["PQ"], 3)
    assert EXPECTED["50000"]["PQ"] != pytest.approx(EXPECTED["160000"]["PQ"], abs=1e-3)


@pytest.mark.parametrize(
    ("left_out", "complaint"),
    [
        ("layer_weights.CE", "has no layer_weights.CE"),
        ("wavlm_model.encoder.layers.1.fc2.bias", "is not as published"),
        ("proj_layer.PQ.0.weight", "is not as published"),
        ("wavlm_model.encoder.pos_conv.0.weight_v", "is not as published"),
    ],
)
def test_weights_that_lack_something_are_refused(tmp_path: Path, left_out: str, complaint: str) -> None:
    shutil.copy(GOLDEN / "config.json", tmp_path)
    weights = load_file(GOLDEN / "model.safetensors")
    del weights[left_out]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=complaint):
        aesthetics.load(tmp_path, "cpu")


def test_a_config_without_its_scales_is_refused(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "model.safetensors", tmp_path)
    (tmp_path / "config.json").write_text('{"target_transform": {"CE": {"mean": 1}}}')
    with pytest.raises(ValueError, match="target_transform"):
        aesthetics.load(tmp_path, "cpu")


def test_it_is_found_by_its_name() -> None:
    assert find_score("aesthetics", GOLDEN).problem == ""
