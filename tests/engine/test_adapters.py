"""LoRAs in an engine: a song depends on its own adapters alone, and without them on none that were there before."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lora_maker import FILE, targeted, write_file
from safetensors.torch import load_file, save_file

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.embedded import load_embedded_engine
from acestep_batch.engine.tasks import Adapter
from acestep_batch.engine.v1.adapters import Adapters
from acestep_batch.engine.v1.batching import sampling_key
from acestep_batch.engine.v1.conditioning import LyricTokenizer
from acestep_batch.engine.v1.loading import load_engine
from acestep_batch.engine.v1.pipeline import V1Engine
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel
from acestep_batch.problems import Refused

MakeRequest = Callable[..., SongRequest]
SHORT = {"infer_step": 2, "audio_duration": 0.5, "guidance_interval": 1.0}


@pytest.fixture
def own_engine(checkpoint: Path, lyric_tokenizer: LyricTokenizer) -> V1Engine:
    return load_engine(checkpoint, lyric_tokenizer, "cpu", torch.float32, False, "own", [])


@pytest.fixture
def folders(tmp_path: Path, transformer: ACEStepTransformer2DModel) -> list[Path]:
    return [write_file(tmp_path / name / "same name", transformer, seed) for seed, name in enumerate(("one", "other"))]


def latents(engine: V1Engine, request: SongRequest, *adapters: Adapter) -> np.ndarray:
    (song,) = engine.denoise([replace(request, adapters=adapters)])
    return song.latents


def test_songs_with_and_without_an_adapter_do_not_touch_each_other(
    own_engine: V1Engine, folders: list[Path], make_request: MakeRequest
) -> None:
    request, adapter = make_request(**SHORT), Adapter(folders[0], 1.0)
    without = latents(own_engine, request)
    first, second, third = (latents(own_engine, request, *each) for each in ((adapter,), (), (adapter,)))
    assert np.array_equal(second, without)
    assert np.array_equal(third, first)
    assert np.abs(first - without).max() > 1e-2
    songs = own_engine.denoise([replace(request, seed=seed, adapters=(adapter,)) for seed in (request.seed, 5)])
    np.testing.assert_allclose(songs[0].latents, first, atol=1e-4)


def test_several_adapters_and_their_weights_add_up(
    own_engine: V1Engine, folders: list[Path], make_request: MakeRequest
) -> None:
    request, weights = make_request(**SHORT), (0.5, -0.25)
    pair = tuple(Adapter(folder, weight) for folder, weight in zip(folders, weights, strict=True))
    merged = copy.deepcopy(own_engine)
    together = latents(own_engine, request, *pair)
    parts = [load_file(folder / FILE) for folder in folders]
    for name, layer in targeted(merged._transformer).items():
        for weight, tensors in zip(weights, parts, strict=True):
            layer.weight += weight * (tensors[f"{name}.lora_B.weight"] @ tensors[f"{name}.lora_A.weight"])
    np.testing.assert_allclose(together, latents(merged, request), atol=1e-4)
    other = tuple(replace(adapter, weight=1.0) for adapter in pair)
    assert np.abs(latents(own_engine, request, *other) - together).max() > 1e-3
    assert np.array_equal(latents(own_engine, request, *pair), together)


def test_what_is_taken_off_leaves_every_bit_and_every_name(
    transformer: ACEStepTransformer2DModel, folders: list[Path]
) -> None:
    model = copy.deepcopy(transformer)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    adapters = Adapters(model)
    assert not adapters.use(())
    for wanted in ((Adapter(folders[0], 1.0),), tuple(Adapter(folder, 0.5) for folder in folders), ()):
        assert adapters.use(wanted)
        assert not adapters.use(wanted)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_another_file_under_the_same_path_is_another_adapter(
    own_engine: V1Engine, folders: list[Path], make_request: MakeRequest
) -> None:
    request = make_request(**SHORT)
    first = latents(own_engine, request, Adapter(folders[0], 1.0, "first"))
    (folders[0] / FILE).write_bytes((folders[1] / FILE).read_bytes())
    assert np.array_equal(latents(own_engine, request, Adapter(folders[0], 1.0, "first")), first)
    second = latents(own_engine, request, Adapter(folders[0], 1.0, "second"))
    assert np.array_equal(second, latents(own_engine, request, Adapter(folders[1] / FILE, 1.0)))


def test_an_adapter_that_does_not_fit_is_refused_and_leaves_the_model_plain(
    own_engine: V1Engine, folders: list[Path], make_request: MakeRequest
) -> None:
    request, good = make_request(**SHORT), Adapter(folders[0], 1.0)
    without = latents(own_engine, request)
    latents(own_engine, request, good)
    tensors = load_file(folders[1] / FILE)
    save_file({name: tensor[..., :-1].contiguous() for name, tensor in tensors.items()}, folders[1] / FILE)
    with pytest.raises(Refused, match="has the shapes"):
        latents(own_engine, request, good, Adapter(folders[1], 1.0))
    assert np.array_equal(latents(own_engine, request), without)


def test_a_stay_in_float32_and_out_of_the_device_keeps_adapters(
    checkpoint: Path, lyric_tokenizer: LyricTokenizer, folders: list[Path], make_request: MakeRequest
) -> None:
    half = load_engine(checkpoint, lyric_tokenizer, "cpu", torch.bfloat16, False, "half", [])
    request, adapter = make_request(**SHORT), Adapter(folders[0], 1.0)
    before = latents(half, request, adapter)
    with half.in_float32():
        assert not np.array_equal(latents(half, request, adapter), before)
    with half.offloaded():
        assert np.array_equal(latents(half, request, adapter), before)
    assert np.array_equal(latents(half, request, adapter), before)


def test_the_embedded_model_takes_adapters(tmp_path: Path, make_request: MakeRequest) -> None:
    engine = load_embedded_engine("cpu", torch.float32, compile_transformer=False)
    request = make_request(**SHORT)
    without = latents(engine, request)
    folder = write_file(tmp_path, engine._transformer)
    assert np.abs(latents(engine, request, Adapter(folder, 1.0)) - without).max() > 1e-3
    assert np.array_equal(latents(engine, request), without)


def test_songs_with_other_adapters_are_not_denoised_together(make_request: MakeRequest, tmp_path: Path) -> None:
    adapters = [(), (Adapter(tmp_path, 1.0),), (Adapter(tmp_path, 0.5),), (Adapter(tmp_path, 1.0),) * 2]
    assert len({sampling_key(make_request(adapters=each)) for each in adapters}) == 4
