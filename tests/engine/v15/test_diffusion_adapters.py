"""LoRAs on 1.5's transformer: heard in their own songs alone, in every form that they come in, and gone bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusion_support import song
from lora_maker import FILE, RANK, targeted, write_file, write_peft
from safetensors.torch import load_file, save_file

from acestep_batch.engine.tasks import Adapter
from acestep_batch.engine.v15.adapters import Adapters
from acestep_batch.engine.v15.batching import sampling_key
from acestep_batch.engine.v15.embedded_diffusion import EmbeddedV15Engine, load_embedded_v15
from acestep_batch.engine.v15.variant import Variant
from acestep_batch.problems import Refused

SHORT = {"duration_s": 0.4, "timesteps": (1.0, 0.5)}


@pytest.fixture
def engine() -> EmbeddedV15Engine:
    return load_embedded_v15()


@pytest.fixture
def folders(tmp_path: Path, engine: EmbeddedV15Engine) -> list[Path]:
    return [write_file(tmp_path / name, transformer_of(engine), seed) for seed, name in enumerate(("one", "other"))]


def transformer_of(engine: EmbeddedV15Engine) -> Any:
    return engine._parts.transformer


def latents(engine: EmbeddedV15Engine, *adapters: Adapter, **changes: Any) -> np.ndarray:
    (made,) = engine.denoise([song(**SHORT | changes, adapters=adapters)])
    return made.latents


def test_songs_with_and_without_an_adapter_do_not_touch_each_other(
    engine: EmbeddedV15Engine, folders: list[Path]
) -> None:
    adapter = Adapter(folders[0], 1.0)
    without = latents(engine)
    first, second, third = (latents(engine, *each) for each in ((adapter,), (), (adapter,)))
    assert np.array_equal(second, without)
    assert np.array_equal(third, first)
    assert np.abs(first - without).max() > 1e-2
    songs = engine.denoise([song(**SHORT, seed=seed, adapters=(adapter,)) for seed in (7, 8)])
    assert np.array_equal(songs[0].latents, first)


def test_several_adapters_and_their_weights_add_up(engine: EmbeddedV15Engine, folders: list[Path]) -> None:
    weights = (0.5, -0.25)
    pair = tuple(Adapter(folder, weight) for folder, weight in zip(folders, weights, strict=True))
    merged = load_embedded_v15()
    for weight, folder in zip(weights, folders, strict=True):
        tensors = load_file(folder / FILE)
        for name, layer in targeted(transformer_of(merged)).items():
            layer.weight += weight * (tensors[f"{name}.lora_B.weight"] @ tensors[f"{name}.lora_A.weight"])
    together = latents(engine, *pair)
    np.testing.assert_allclose(together, latents(merged), atol=1e-4)
    assert np.abs(latents(engine, pair[0]) - together).max() > 1e-3
    assert np.array_equal(latents(engine, *pair), together)


def test_what_is_taken_off_leaves_every_bit_and_every_name(engine: EmbeddedV15Engine, folders: list[Path]) -> None:
    model = transformer_of(engine)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    adapters = Adapters(model)
    for wanted in ((Adapter(folders[0], 1.0),), tuple(Adapter(folder, 0.5) for folder in folders), ()):
        assert adapters.use(wanted)
        assert not adapters.use(wanted)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_every_form_of_one_lora_is_one_sound(engine: EmbeddedV15Engine, folders: list[Path], tmp_path: Path) -> None:
    plain, weights = latents(engine, Adapter(folders[0], 1.0)), load_file(folders[0] / FILE)
    save_file({f"transformer.{name}": each for name, each in weights.items()}, tmp_path / "diffusers.safetensors")
    peft = write_peft(tmp_path / "peft", folders[0], lora_alpha=RANK)
    for form in (tmp_path / "diffusers.safetensors", peft, peft / "adapter_model.safetensors"):
        assert np.array_equal(latents(engine, Adapter(form, 1.0)), plain), form


@pytest.mark.parametrize(
    ("settings", "factor"),
    [
        ({"lora_alpha": 2 * RANK}, 2.0),
        ({"lora_alpha": 3, "use_rslora": True}, 3**0.5),
        ({"lora_alpha": 6.0, "use_dora": False, "modules_to_save": None}, 2.0),
    ],
)
def test_a_lora_is_as_strong_as_its_training_says(
    engine: EmbeddedV15Engine, folders: list[Path], tmp_path: Path, settings: dict[str, Any], factor: float
) -> None:
    stronger = latents(engine, Adapter(folders[0], factor))
    assert np.abs(stronger - latents(engine, Adapter(folders[0], 1.0))).max() > 1e-3
    peft = write_peft(tmp_path / "peft", folders[0], **settings)
    np.testing.assert_allclose(latents(engine, Adapter(peft, 1.0)), stronger, atol=1e-5)
    metadata = {f"transformer.{name}": value for name, value in settings.items()}
    words = {"lora_adapter_metadata": json.dumps(metadata)}
    save_file(load_file(folders[0] / FILE), tmp_path / "told.safetensors", words)
    np.testing.assert_allclose(latents(engine, Adapter(tmp_path / "told.safetensors", 1.0)), stronger, atol=1e-5)


def test_what_peft_itself_computes_is_what_is_heard(
    engine: EmbeddedV15Engine, folders: list[Path], tmp_path: Path
) -> None:
    from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict

    trained = load_embedded_v15()
    config = LoraConfig(r=RANK, lora_alpha=7, target_modules=list(targeted(transformer_of(trained))))
    inject_adapter_in_model(config, transformer_of(trained), "theirs")
    set_peft_model_state_dict(transformer_of(trained), load_file(folders[0] / FILE), "theirs")
    expected = latents(trained)
    ours = latents(engine, Adapter(write_peft(tmp_path / "peft", folders[0], lora_alpha=7), 1.0))
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_an_adapter_that_does_not_fit_is_refused_and_leaves_the_model_plain(
    engine: EmbeddedV15Engine, folders: list[Path]
) -> None:
    good, without = Adapter(folders[0], 1.0), latents(engine)
    latents(engine, good)
    tensors = load_file(folders[1] / FILE)
    save_file({name: tensor[..., :-1].contiguous() for name, tensor in tensors.items()}, folders[1] / FILE)
    with pytest.raises(Refused, match="has the shapes"):
        latents(engine, good, Adapter(folders[1], 1.0))
    assert np.array_equal(latents(engine), without)


def test_a_stay_in_float32_and_out_of_the_device_keeps_adapters(folders: list[Path]) -> None:
    half, adapter = load_embedded_v15(dtype=torch.bfloat16), Adapter(folders[0], 1.0)
    before = latents(half, adapter)
    with half.in_float32():
        inside = latents(half, adapter)
        assert not np.array_equal(inside, before)
    with half.offloaded():
        assert np.array_equal(latents(half, adapter), before)
    assert np.array_equal(latents(half, adapter), before)
    latents(half)
    with half.in_float32():  # loaded in the stay, and before it
        assert np.array_equal(latents(half, adapter), inside)
    assert np.array_equal(latents(half, adapter), before)


def test_songs_with_other_adapters_are_not_denoised_together(engine: EmbeddedV15Engine, tmp_path: Path) -> None:
    adapters = [(), (Adapter(tmp_path, 1.0),), (Adapter(tmp_path, 0.5),), (Adapter(tmp_path, 1.0),) * 2]
    songs = [song(adapters=each) for each in adapters]
    assert len({sampling_key(each, Variant.TURBO) for each in songs}) == 4
    with pytest.raises(ValueError, match="do not share one micro-batch key"):
        engine.denoise(songs)
