"""Frames, guided steps and the settings that cannot be rendered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.limits import guided_steps, latent_frames, solver_steps

MakeRequest = Callable[..., SongRequest]


@dataclass(frozen=True)
class Settings:
    """What a caller that has no complete request yet may pass."""

    infer_step: int
    guidance_interval: float
    audio_duration: float = 10.0
    oss_steps: tuple[int, ...] = ()
    scheduler_type: str = "euler"
    guidance_scale: float = 15.0
    guidance_interval_decay: float = 0.0
    task: None = None


@pytest.mark.parametrize(("duration_s", "frames"), [(1.0, 10), (3.0, 32), (5.03, 54), (240.0, 2583), (0.09, 0)])
def test_latent_frames(duration_s: float, frames: int) -> None:
    assert latent_frames(duration_s) == frames


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"infer_step": 60}, range(15, 45)),
        ({"infer_step": 6, "guidance_interval": 1.0}, range(0, 6)),
        ({"infer_step": 8, "guidance_interval": 0.0}, range(4, 4)),
        ({"infer_step": 6, "scheduler_type": "heun"}, range(1, 4)),
        ({"infer_step": 60, "oss_steps": (1, 3, 6)}, range(0, 2)),
        ({"guidance_scale": 1.0}, range(0)),
        ({"guidance_scale": 0.0}, range(0)),
    ],
)
def test_guided_steps(make_request: MakeRequest, changes: dict[str, object], expected: range) -> None:
    assert guided_steps(make_request(**changes)) == expected


@given(infer_step=st.integers(1, 200), guidance_interval=st.floats(0, 1))
def test_guided_steps_lie_among_the_steps_around_their_middle(infer_step: int, guidance_interval: float) -> None:
    settings = Settings(infer_step, guidance_interval)
    guided = guided_steps(settings)
    assert 0 <= guided.start <= guided.stop <= solver_steps(settings)
    assert abs(guided.start - (infer_step - guided.stop)) <= 1


def test_limits_and_refusals_import_no_torch() -> None:
    code = "import sys, acestep_batch.engine.v1.refusals; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
