"""Whole songs, noise to latents, against the reference implementation; batches against songs alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from acestep_batch.engine.base import SETTINGS, SongRequest, StepCallback
from acestep_batch.engine.v1.batching import branches, model_calls, sampling_key
from acestep_batch.engine.v1.conditioning import Conditioner
from acestep_batch.engine.v1.draws import batch_noise
from acestep_batch.engine.v1.sampling import denoise
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
CASES = json.loads((GOLDEN / "g_e2e.json").read_text(encoding="utf-8"))["cases"]
UNCOUPLED = [case for case in CASES if "coupled" not in case]

Golden = Callable[[str, str], dict[str, Tensor]]
MakeRequest = Callable[..., SongRequest]
Render = Callable[..., Tensor]


def requests_of(case: dict[str, Any]) -> list[SongRequest]:
    """The songs of a golden case, one for each of its seeds."""
    settings = {name: value for name, value in case["params"].items() if name in SETTINGS}
    settings["lyrics_language"] = None
    settings["oss_steps"] = tuple(int(step) for step in settings["oss_steps"].split(",") if step)
    return [SongRequest(**settings, seed=seed, rng="song", overlapped_decode=False) for seed in case["actual_seeds"]]


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def render(transformer: ACEStepTransformer2DModel, conditioner: Conditioner) -> Render:
    def latents(requests: list[SongRequest], on_step: StepCallback | None = None) -> Tensor:
        return denoise(transformer, conditioner.conditioning(requests, branches(requests[0])), requests, on_step)

    return latents


@pytest.mark.parametrize("case", UNCOUPLED, ids=lambda case: case["id"])
def test_latents_equal_reference(case: dict[str, Any], render: Render, golden: Golden) -> None:
    theirs = golden("g_e2e", case["id"])["final_latents"]
    tolerance = max(5e-4, 20 * case["sensitivity"])
    torch.testing.assert_close(render(requests_of(case)), theirs, rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_noise_and_model_calls_equal_reference(
    case: dict[str, Any], render: Render, transformer: ACEStepTransformer2DModel, golden: Golden
) -> None:
    requests = requests_of(case)
    calls: list[tuple[float, str, bool]] = []
    inputs: list[Tensor] = []

    def record(_module: object, args: tuple[Any, ...]) -> None:
        latents, times, conditioning = args
        names = [branch.value for branch in branches(requests[0])]
        weakened = (conditioning.query_scale < 1).flatten().tolist()
        for item in range(0, len(latents), len(requests)):
            calls.append((times.timesteps.item(), names[item // len(requests)], weakened[item]))
        inputs.append(latents[: len(requests)])

    with transformer.register_forward_pre_hook(record):
        render(requests)
    frames, noise = case["latent_shape"][-1], golden("g_e2e", "noise")
    assert torch.equal(inputs[0], torch.stack([noise[f"{seed}.{frames}"] for seed in case["actual_seeds"]]))
    assert calls == [(pytest.approx(time, abs=1e-4), name, weakened) for time, name, weakened in case["calls"]]
    assert [model_calls(request) for request in requests] == [case["n_model_calls"]] * len(requests)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scheduler_type": "heun", "cfg_type": "cfg", "guidance_interval": 1.0},
        {"scheduler_type": "pingpong", "cfg_type": "cfg_star", "guidance_interval": 1.0},
        {"scheduler_type": "pingpong", "guidance_scale_text": 3.0, "guidance_scale_lyric": 2.0},
        {"guidance_scale": 0.0},
    ],
    ids=["euler-apg", "heun-cfg", "pingpong-cfg_star", "pingpong-double", "unguided"],
)
def test_a_song_does_not_depend_on_its_batch(
    render: Render, make_request: MakeRequest, changes: dict[str, Any]
) -> None:
    guided = changes.get("guidance_scale") != 0.0
    songs = [
        make_request(seed=1, **changes),
        make_request(seed=2, lyrics="[inst]", omega_scale=-30.0, **changes),
        make_request(seed=3, prompt="jazz", lyrics="", use_erg_diffusion=False, **changes),
        make_request(seed=1, use_erg_lyric=False, **({**changes, "guidance_scale": 3.0} if guided else changes)),
    ]
    assert len({sampling_key(song) for song in songs}) == 1
    batch = render(songs)
    cpu = torch.device("cpu")
    for item, song in enumerate(songs):
        together, alone = (islice(batch_noise(those, cpu, torch.float32), 3) for those in (songs, [song]))
        assert all(torch.equal(many[item], one[0]) for many, one in zip(together, alone, strict=True))
        torch.testing.assert_close(batch[item], render([song])[0], rtol=0, atol=1e-4)


def test_the_same_request_gives_the_same_bits(render: Render, make_request: MakeRequest) -> None:
    request = make_request(scheduler_type="pingpong")
    assert torch.equal(render([request]), render([request]))


def test_reference_draws_on_the_cpu_in_float32_are_the_songs_own(render: Render, make_request: MakeRequest) -> None:
    request = make_request(scheduler_type="pingpong")
    assert torch.equal(render([request]), render([replace(request, rng="reference")]))


def test_time_is_embedded_once_for_all_calls(
    render: Render, transformer: ACEStepTransformer2DModel, make_request: MakeRequest
) -> None:
    embedded: list[int] = []

    def note(_module: object, args: tuple[Tensor]) -> None:
        embedded.append(len(args[0]))

    with transformer.t_block.register_forward_pre_hook(note):
        render([make_request(scheduler_type="heun", seed=seed) for seed in (1, 2)])
    assert embedded == [2 * 6 - 1]


def test_steps_are_reported_and_can_cancel(render: Render, make_request: MakeRequest) -> None:
    reported: list[tuple[int, int]] = []
    render([make_request(scheduler_type="heun", infer_step=3)], lambda done, total: reported.append((done, total)))
    assert reported == [(call, 5) for call in range(1, 6)]

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render([make_request()], cancel)


@pytest.mark.parametrize(
    "changes",
    [
        {"audio_duration": 4.0},
        {"infer_step": 7},
        {"scheduler_type": "pingpong"},
        {"cfg_type": "cfg"},
        {"guidance_interval": 0.9},
        {"guidance_scale": 1.0},
        {"guidance_scale_text": 2.0, "guidance_scale_lyric": 2.0},
        {"oss_steps": (1, 3, 6)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_songs_that_need_other_passes_have_another_key(make_request: MakeRequest, changes: dict[str, Any]) -> None:
    assert sampling_key(make_request()) != sampling_key(make_request(**changes))
