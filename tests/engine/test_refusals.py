"""Settings and tasks that are refused, each by a reason that names the setting; and those that are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.tasks import (
    AudioSource,
    AudioToAudio,
    AwaitedSource,
    Edit,
    Extend,
    LatentSource,
    Repaint,
    Retake,
)
from acestep_batch.engine.v1.limits import LONGEST_FRAMES, NATIVE_SAMPLE_RATE, latent_frames, source_frames
from acestep_batch.engine.v1.pipeline import V1Engine
from acestep_batch.engine.v1.refusals import crash_reason

MakeRequest = Callable[..., SongRequest]
AWAITED = AwaitedSource(30)
REPAINT = Repaint(AWAITED, 5, 10, retake_seed=1, retake_variance=0.5)
EXTEND = Extend(AWAITED, 5, 0, retake_seed=1, retake_variance=0.5)
EDIT = Edit(AWAITED, 1, "jazz", "", None, edit_n_min=0.0, edit_n_max=1.0, edit_n_avg=1)
PINGPONG = {"scheduler_type": "pingpong"}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"audio_duration": 0.05}, "0.05 s is shorter than one latent frame"),
        ({"scheduler_type": "heun", "oss_steps": (1, 3)}, "oss_steps"),
        ({"infer_step": 4, "guidance_interval": 0.3, "guidance_interval_decay": 0.5}, "at least two guided steps"),
    ],
)
def test_crash_reason_names_the_setting(make_request: MakeRequest, changes: dict[str, object], part: str) -> None:
    assert part in str(crash_reason(make_request(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scheduler_type": "heun"},
        {"infer_step": 4, "guidance_interval": 0.3},
        {"infer_step": 4, "guidance_interval": 0.3, "guidance_interval_decay": 0.5, "guidance_scale": 1.0},
        {"guidance_interval": 0.0, "guidance_interval_decay": 1.0},
    ],
)
def test_settings_that_render_have_no_crash_reason(make_request: MakeRequest, changes: dict[str, object]) -> None:
    assert crash_reason(make_request(**changes)) is None


@pytest.mark.parametrize(
    ("task", "changes", "part"),
    [
        (Retake(1, 1.5), {}, "retake_variance 1.5 is not between 0 and 1"),
        (Retake(1, float("nan")), {}, "retake_variance nan is not between 0 and 1"),
        (replace(REPAINT, retake_variance=0.0), {}, "retake_variance 0.0 redraws nothing"),
        (replace(EXTEND, retake_variance=0.0), {"scheduler_type": "heun"}, "retake_variance 0.0 redraws nothing"),
        (replace(REPAINT, retake_variance=1e-18), {}, "retake_variance 1e-18 redraws nothing"),
        (replace(REPAINT, start_frame=-1), {}, "repaint from -0.09 s (frame -1) to 0.93 s (frame 10)"),
        (replace(REPAINT, end_frame=31), {}, "does not lie within the source, which has 2.79 s (30 frames)"),
        (replace(REPAINT, start_frame=10), {}, "repaint from 0.93 s (frame 10) to 0.93 s (frame 10)"),
        (replace(EXTEND, left_frames=0), {}, "extend adds 0 frames on the left and 0 on the right"),
        (replace(EXTEND, right_frames=-3), {}, "-3 on the right"),
        (replace(EXTEND, left_frames=1300, right_frames=1300), {}, "on both sides makes 244.27 s"),
        (replace(EXTEND, left_frames=LONGEST_FRAMES), {}, "extend adds 239.91 s: of 240 s at once nothing"),
        (AudioToAudio(AWAITED, 1.01), {}, "ref_audio_strength 1.01 is not between 0 and 1"),
        (AudioToAudio(AWAITED, 0.9), {"infer_step": 6}, "ref_audio_strength 0.9 leaves none of 6 steps"),
        (replace(EDIT, edit_n_min=0.5, edit_n_max=0.4), {}, "edit_n_min 0.5 and edit_n_max 0.4 are not in order"),
        (replace(EDIT, edit_n_min=1.0), {}, "edit_n_min 1.0 of 6 steps leaves none"),
        (replace(EDIT, edit_n_avg=0), {}, "edit_n_avg 0"),
        (EDIT, PINGPONG, "scheduler_type pingpong has no first phase"),
        (replace(EDIT, edit_n_max=0.5), PINGPONG, "scheduler_type pingpong has no first phase"),
        (replace(REPAINT, source=AwaitedSource(0)), {}, "the source has no audio in it"),
        (replace(REPAINT, source=AudioSource(np.zeros((2, 0)), 44100)), {}, "the source has no audio in it"),
        (replace(REPAINT, source=AudioSource(np.zeros((3, 9)), 44100)), {}, "shape [3, 9]"),
        (replace(REPAINT, source=AudioSource(np.zeros((2, 9)), 0)), {}, "a sample rate of 0 Hz"),
        (replace(REPAINT, source=AudioSource(np.full((1, 9), np.nan), 44100)), {}, "samples that are no numbers"),
        (replace(REPAINT, source=LatentSource(np.zeros((8, 15, 30)))), {}, "latents of the shape [8, 15, 30]"),
        (replace(REPAINT, source=LatentSource(np.full((8, 16, 30), np.inf))), {}, "latents that are no numbers"),
        (REPAINT, {"scheduler_type": "heun", "oss_steps": (1, 3)}, "oss_steps"),
    ],
)
def test_a_task_that_makes_nothing_is_refused(
    make_request: MakeRequest, task: Any, changes: dict[str, Any], part: str
) -> None:
    assert part in str(crash_reason(make_request(task=task, **changes)))


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        (Retake(1, 0.0), {}),
        (REPAINT, {"audio_duration": 0.0}),
        (replace(REPAINT, start_frame=0, end_frame=30), {}),
        (replace(EXTEND, left_frames=LONGEST_FRAMES - 1), {}),
        (replace(EXTEND, left_frames=0, right_frames=3, source=AwaitedSource(LONGEST_FRAMES)), {}),
        (AudioToAudio(AWAITED, 1.0), {}),
        (AudioToAudio(AWAITED, 0.0), {"oss_steps": (1, 3)}),
        (EDIT, {"scheduler_type": "heun", "oss_steps": (1, 3)}),
        (EDIT, {"guidance_interval": 0.3, "infer_step": 4, "guidance_interval_decay": 0.5}),
        (replace(EDIT, edit_n_min=0.5, edit_n_max=0.5), PINGPONG),
        (replace(REPAINT, source=AudioSource(np.zeros((1, 44100)), 8000)), {}),
    ],
)
def test_a_task_that_can_be_done_is_not(make_request: MakeRequest, task: Any, changes: dict[str, Any]) -> None:
    assert crash_reason(make_request(task=task, **changes)) is None


def test_the_engine_refuses_with_the_same_words(engine: V1Engine, make_request: MakeRequest) -> None:
    request = make_request(task=replace(REPAINT, retake_variance=0.0))
    with pytest.raises(ValueError, match="redraws nothing") as refused:
        engine.denoise([request])
    assert str(refused.value) == crash_reason(request)


def test_a_source_that_is_not_made_yet_is_no_source(engine: V1Engine, make_request: MakeRequest) -> None:
    with pytest.raises(ValueError, match="is not made yet"):
        engine.denoise([make_request(task=REPAINT)])


@given(samples=st.integers(1, 10**7), rate=st.integers(1, 400_000))
def test_a_sources_frames_hold_all_of_it_and_less_than_one_more(samples: int, rate: int) -> None:
    frames = source_frames(AudioSource(np.broadcast_to(np.float32(0), (1, samples)), rate))
    assert latent_frames(samples / rate) <= frames <= samples * NATIVE_SAMPLE_RATE / rate / 4096 + 1 + 1 / 4096
