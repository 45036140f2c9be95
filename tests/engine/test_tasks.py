"""Tasks on a song that exists: against the reference implementation, and what they promise to keep."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from parity.tasks import with_tasks
from torch import Tensor

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.tasks import (
    AudioToAudio,
    AwaitedSource,
    Edit,
    Extend,
    LatentSource,
    Repaint,
    Retake,
    SourceTask,
)
from acestep_batch.engine.v1.batching import branches, model_calls, sampling_key
from acestep_batch.engine.v1.conditioning import Conditioner
from acestep_batch.engine.v1.limits import LONGEST_FRAMES, UNUSED_SETTINGS, denoised_frames, song_frames, trims
from acestep_batch.engine.v1.refusals import crash_reason
from acestep_batch.engine.v1.sampling import denoise
from acestep_batch.engine.v1.tasks import extend_canvas, turned, whole
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
CASES = json.loads((GOLDEN / "tasks.json").read_text(encoding="utf-8"))["cases"]
FRAMES = 12

Golden = Callable[[str, str], dict[str, Tensor]]
MakeRequest = Callable[..., SongRequest]
Render = Callable[[Sequence[SongRequest]], Tensor]


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def render(transformer: ACEStepTransformer2DModel, conditioner: Conditioner) -> Render:
    def latents(requests: Sequence[SongRequest]) -> Tensor:
        sources = [latents_of(request) for request in requests]
        conditioning = conditioner.conditioning(requests, branches(requests[0]))
        return denoise(transformer, conditioning, requests, sources=sources)

    return latents


def latents_of(request: SongRequest) -> Tensor | None:
    if isinstance(request.task, SourceTask) and isinstance(request.task.source, LatentSource):
        return torch.from_numpy(request.task.source.latents)
    return None


def source(frames: int = FRAMES, seed: int = 0) -> LatentSource:
    return LatentSource(torch.randn(8, 16, frames, generator=torch.Generator().manual_seed(seed)).numpy())


def edit(given_source: LatentSource, **changes: Any) -> Edit:
    return replace(Edit(given_source, 9, "jazz", "[inst]", None, 0.0, 1.0, 1), **changes)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_latents_and_model_calls_equal_the_reference(case: dict[str, Any], render: Render, golden: Golden) -> None:
    name = Path(case["params"].get("ref_audio_input") or case["params"].get("src_audio_path") or "none").stem
    encoded = golden("tasks", "source").get(name)
    requests = with_tasks(case, None if encoded is None else LatentSource(encoded.numpy()))
    assert [crash_reason(request) for request in requests] == [None] * len(requests)
    assert [song_frames(request) for request in requests] == [case["latent_shape"][-1]] * len(requests)
    theirs = golden("tasks", case["id"])["final_latents"]
    torch.testing.assert_close(render(requests), theirs, rtol=0, atol=max(5e-4, 20 * case["sensitivity"]))
    # Of an edit one call of the reference is a pass of both branches.
    together = 2 if "edit" in case["id"] and case["params"]["guidance_scale"] != 1 else 1
    assert [model_calls(request) for request in requests] == [together * case["n_model_calls"]] * len(requests)


BATCHES: dict[str, list[Any]] = {
    "retakes and a new song": [Retake(3, 0.4), None, Retake(4, 1.0)],
    "repaints and an extension": [
        Repaint(source(), 2, 5, 3, 0.5),
        Repaint(source(seed=1), 0, 9, 4, 0.5),
        Extend(source(7), 2, 3, 5, 0.5),
    ],
    "extensions on either side": [Extend(source(9), 3, 0, 3, 1.0), Extend(source(9, 1), 0, 3, 4, 1.0)],
    "audio2audio": [AudioToAudio(source(), 0.4), AudioToAudio(source(seed=1), 0.4)],
    "edits": [
        edit(source(), edit_n_min=0.2, edit_n_max=0.6, edit_n_avg=2),
        edit(source(seed=1), retake_seed=8, edit_n_min=0.2, edit_n_max=0.6, edit_n_avg=2, edit_target_lyrics=""),
    ],
    "edits by pingpong": [
        edit(source(), edit_n_min=0.5, edit_n_max=0.5),
        edit(source(seed=1), edit_n_min=0.5, edit_n_max=0.5),
    ],
}


# An edit's first phase has no pingpong, and knows no other solver than Euler's.
PAIRS = [
    (name, solver)
    for name in BATCHES
    for solver in ("euler", "heun", "pingpong")
    if not name.startswith("edits") or solver == ("pingpong" if "pingpong" in name else "euler")
]


@pytest.mark.parametrize(("name", "solver"), PAIRS)
def test_a_task_does_not_depend_on_its_batch(render: Render, make_request: MakeRequest, name: str, solver: str) -> None:
    tasks = BATCHES[name]
    texts: list[dict[str, Any]] = [{}, {"prompt": "jazz", "lyrics": ""}, {"lyrics": "[inst]", "omega_scale": -30.0}]
    songs = [
        make_request(seed=seed, audio_duration=1.2, task=task, scheduler_type=solver, **texts[seed])
        for seed, task in enumerate(tasks)
    ]
    assert len({sampling_key(song) for song in songs}) == 1
    batch = render(songs)
    for item, song in enumerate(songs):
        torch.testing.assert_close(batch[item], render([song])[0], rtol=0, atol=1e-4)


def test_a_retake_without_variance_is_the_song_and_with_all_of_it_the_other_one(
    render: Render, make_request: MakeRequest
) -> None:
    song = make_request(audio_duration=1.2, infer_step=3)
    assert torch.equal(render([replace(song, task=Retake(77, 0.0))]), render([song]))
    other = render([replace(song, seed=77)])
    torch.testing.assert_close(render([replace(song, task=Retake(77, 1.0))]), other, rtol=0, atol=1e-4)
    assert not torch.allclose(render([song]), other, atol=0.1)


@given(variance=st.floats(0, 1))
def test_turned_noise_keeps_its_power(variance: float) -> None:
    draws = torch.Generator().manual_seed(0)
    noise, other = (torch.randn(8, 16, 500, generator=draws) for _ in range(2))
    assert turned(noise, other, variance).std().item() == pytest.approx(1, abs=0.03)


def test_a_repaint_of_all_frames_is_a_retake(render: Render, make_request: MakeRequest) -> None:
    song = make_request(audio_duration=1.2, infer_step=4)
    assert song_frames(song) == FRAMES
    painted = render([replace(song, task=Repaint(source(), 0, FRAMES, 5, 0.3))])
    assert torch.equal(painted, render([replace(song, task=Retake(5, 0.3))]))


@pytest.mark.parametrize(("start", "end"), [(0, 5), (5, 9), (9, 12), (0, 11)])
def test_a_repaint_keeps_every_other_frame_bit_for_bit(
    render: Render, make_request: MakeRequest, start: int, end: int
) -> None:
    given_source = source()
    (made,) = render([make_request(infer_step=4, task=Repaint(given_source, start, end, 5, 0.5))])
    same = (made == torch.from_numpy(given_source.latents)).all(dim=0).all(dim=0)
    assert [frame for frame in range(FRAMES) if not same[frame]] == list(range(start, end))


@pytest.mark.parametrize(("left", "right"), [(3, 0), (0, 4), (2, 5), (0, 20), (15, 14)])
def test_an_extension_keeps_its_source_bit_for_bit(
    render: Render, make_request: MakeRequest, left: int, right: int
) -> None:
    given_source = source()
    request = make_request(infer_step=3, task=Extend(given_source, left, right, 5, 1.0))
    (made,) = render([request])
    assert made.shape[-1] == song_frames(request) == left + FRAMES + right
    assert torch.equal(made[..., left : left + FRAMES], torch.from_numpy(given_source.latents))
    added = torch.cat((made[..., :left], made[..., left + FRAMES :]), dim=-1)
    assert torch.isfinite(added).all()
    assert added.std() > 0.1


@given(frames=st.integers(1, 4000), pad=st.integers(1, LONGEST_FRAMES - 1), on_the_left=st.booleans())
def test_an_extension_past_the_longest_length_goes_through_the_model_in_part(
    frames: int, pad: int, on_the_left: bool
) -> None:
    left, right = (pad, 0) if on_the_left else (0, pad)
    task = Extend(AwaitedSource(frames), left, right, 0, 1.0)
    kept_left, kept_right = trims(task)
    seen = frames - kept_left - kept_right
    assert seen + pad == min(frames + pad, LONGEST_FRAMES)
    assert (kept_right if on_the_left else kept_left) == frames - seen
    data = torch.arange(1.0, frames + 1).expand(1, 1, frames)
    canvas = extend_canvas(task, data, torch.zeros(1, 1, frames), torch.ones(1, 1, max(frames, pad)))
    assert canvas.painted.sum() == pad
    assert torch.equal(canvas.noise[0, 0] == 1, canvas.painted)
    made = whole(task, data, canvas.data)
    assert torch.equal(made[..., left : left + frames], data)
    assert made.shape[-1] == frames + pad


def test_a_left_extension_past_the_longest_length_is_rendered(render: Render, make_request: MakeRequest) -> None:
    given_source = source(LONGEST_FRAMES)
    request = make_request(infer_step=1, guidance_scale=1.0, task=Extend(given_source, 6, 0, 5, 1.0))
    (made,) = render([request])
    assert denoised_frames(request) == LONGEST_FRAMES
    assert torch.equal(made[..., 6:], torch.from_numpy(given_source.latents))


@pytest.mark.parametrize("solver", ["euler", "heun", "pingpong"])
def test_full_strength_gives_the_reference_back_and_none_a_new_song(
    render: Render, make_request: MakeRequest, solver: str
) -> None:
    song = make_request(audio_duration=1.2, infer_step=3, scheduler_type=solver)
    given_source = source()
    request = replace(song, task=AudioToAudio(given_source, 1.0))
    assert model_calls(request) == 0
    assert torch.equal(render([request])[0], torch.from_numpy(given_source.latents))
    if solver != "pingpong":  # whose later draws are others when a song starts from audio
        torch.testing.assert_close(render([replace(song, task=AudioToAudio(given_source, 0.0))]), render([song]))


def test_an_edit_towards_the_same_words_without_guidance_gives_the_source_back(
    render: Render, make_request: MakeRequest
) -> None:
    given_source, song = source(), make_request(guidance_scale=1.0, infer_step=3)
    same = edit(given_source, edit_target_prompt=song.prompt, edit_target_lyrics=song.lyrics)
    (made,) = render([replace(song, task=same)])
    torch.testing.assert_close(made, torch.from_numpy(given_source.latents), rtol=0, atol=1e-4)
    (other,) = render([replace(song, task=edit(given_source))])
    assert (other - torch.from_numpy(given_source.latents)).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("task", "steps"),
    [(Repaint(source(), 1, 3, 5, 0.5), 3), (AudioToAudio(source(), 0.5), 3), (edit(source(), edit_n_min=0.5), 3)],
    ids=["repaint", "audio2audio", "edit"],
)
def test_the_steps_of_a_task_are_reported(
    transformer: ACEStepTransformer2DModel,
    conditioner: Conditioner,
    make_request: MakeRequest,
    task: SourceTask,
    steps: int,
) -> None:
    reported: list[tuple[int, int]] = []
    request = make_request(task=task)
    conditioning = conditioner.conditioning([request], branches(request))
    note = lambda done, total: reported.append((done, total))  # noqa: E731
    denoise(transformer, conditioning, [request], note, [latents_of(request)])
    assert reported == [(step + 1, steps) for step in range(steps)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Repaint(source(), 1, 3, 5, 0.5), Repaint(source(), 1, 3, 5, 1.0)),
        (Repaint(source(), 1, 3, 5, 0.5), None),
        (Repaint(source(), 1, 3, 5, 0.5), Repaint(source(13), 1, 3, 5, 0.5)),
        (AudioToAudio(source(), 0.5), AudioToAudio(source(), 0.4)),
        (AudioToAudio(source(), 0.0), None),
        (edit(source()), edit(source(), edit_n_avg=2)),
        (edit(source()), edit(source(), edit_n_max=0.5)),
        (edit(source()), Retake(5, 0.5)),
    ],
)
def test_tasks_that_take_other_passes_have_another_key(make_request: MakeRequest, one: Any, other: Any) -> None:
    first, second = (make_request(audio_duration=1.2, task=task) for task in (one, other))
    assert sampling_key(first) != sampling_key(second)


OTHERWISE: dict[str, Any] = {
    "audio_duration": 2.0,
    "omega_scale": -30.0,
    "seed": 99,
    "cfg_type": "cfg",
    "oss_steps": (1, 2),
    "guidance_interval": 1.0,
    "guidance_interval_decay": 0.5,
    "min_guidance_scale": 1.0,
    "guidance_scale_text": 3.0,
    "guidance_scale_lyric": 2.0,
    "use_erg_tag": False,
    "use_erg_lyric": False,
    "use_erg_diffusion": False,
}


@pytest.mark.parametrize(
    "task",
    [Repaint(source(), 1, 3, 5, 0.5), Extend(source(), 0, 3, 5, 0.5), AudioToAudio(source(), 0.5), edit(source())],
    ids=lambda task: task.name,
)
def test_settings_said_to_be_unused_change_nothing(render: Render, make_request: MakeRequest, task: SourceTask) -> None:
    request = make_request(task=task, infer_step=4)
    unused = UNUSED_SETTINGS[type(task)]
    assert unused <= OTHERWISE.keys()
    changed = replace(request, **{name: OTHERWISE[name] for name in unused})
    assert model_calls(changed) == model_calls(request)
    assert torch.equal(render([changed]), render([request]))
    for name in {"guidance_interval", "seed", "use_erg_diffusion"} - unused:
        assert not torch.equal(render([replace(request, **{name: OTHERWISE[name]})]), render([request])), name
