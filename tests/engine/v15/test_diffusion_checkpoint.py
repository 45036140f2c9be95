"""Both layouts load the same song; what does not fit is refused by name; no file of a checkpoint runs code."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusion_support import engine, latents, song, tone
from safetensors.torch import load_file, save_file
from tiny_v15 import MODEL, write_official, write_text_encoder_and_vae
from torch import Tensor

from acestep_batch.engine.v15.checkpoint_layout import (
    OFFICIAL_FOLDERS,
    SILENCE_FILE,
    describe_layout,
    find_layout,
    layout_files,
    layout_problems,
)
from acestep_batch.engine.v15.key_map import diffusers_config, diffusers_name
from acestep_batch.engine.v15.loading import load_components
from acestep_batch.engine.v15.pipeline import V15Engine
from acestep_batch.engine.v15.silence_latent import read_silence_latent
from acestep_batch.engine.v15.variant import Variant
from acestep_batch.problems import Refused

COVER = song(task="cover", src_audio=tone(0.4), audio_cover_strength=0.5)


@pytest.fixture(scope="module")
def diffusers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As ``AceStepPipeline.save_pretrained`` writes it."""
    folder, parts = tmp_path_factory.mktemp("diffusers"), engine()._parts
    (folder / "model_index.json").write_text("{}", encoding="utf-8")
    parts.transformer.save_pretrained(folder / "transformer", max_shard_size="40KB")
    parts.condition_encoder.save_pretrained(folder / "condition_encoder")
    parts.audio_tokenizer.save_pretrained(folder / "audio_tokenizer")
    parts.detokenizer.save_pretrained(folder / "audio_token_detokenizer")
    write_text_encoder_and_vae(folder / "text_encoder", folder / "tokenizer", folder / "vae")
    return folder


@pytest.fixture(scope="module")
def official_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the model's authors publish it."""
    return write_official(tmp_path_factory.mktemp("official"))


@pytest.fixture
def official_copy(official_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(official_folder, tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def rendered(folder: Path, **choice: Any) -> np.ndarray:
    components = load_components(find_layout(folder, **choice), "cpu")
    (denoised,) = V15Engine(components, "test").denoise([COVER])
    return denoised.latents


@pytest.mark.parametrize("layout", ["diffusers_folder", "official_folder"])
def test_a_song_is_the_same_from_either_layout(layout: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(layout)
    found = find_layout(folder)
    assert found.kind == layout.removesuffix("_folder")
    assert layout_problems(found) == []
    np.testing.assert_array_equal(rendered(folder), latents(COVER))


def test_a_model_published_by_itself_takes_the_rest_from_the_bundle(official_copy: Path, tmp_path: Path) -> None:
    own = tmp_path / "elsewhere" / "my-sft"
    own.parent.mkdir()
    shutil.move(official_copy / OFFICIAL_FOLDERS[Variant.TURBO], own)
    change_config(own / "config.json", is_turbo=False, model_version="sft")
    assert layout_problems(find_layout(own, bundle=official_copy)) == []
    assert load_components(find_layout(own, bundle=official_copy), "cpu").variant is Variant.SFT
    assert {problem.message for problem in layout_problems(find_layout(own))} == {"is missing"}
    beside = official_copy / OFFICIAL_FOLDERS[Variant.SFT]
    shutil.move(own, beside)
    for layout in (find_layout(beside), find_layout(official_copy, Variant.SFT)):
        assert layout_problems(layout) == []
        assert layout.folders["transformer"] == beside


def change_config(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def test_types_are_chosen_by_part(official_folder: Path) -> None:
    components = load_components(find_layout(official_folder), "cpu", "bfloat16")
    assert {value.dtype for part in components.modules() for value in part.parameters()} == {torch.bfloat16}
    assert components.text_encoder.model.rotary_emb.inv_freq.dtype is torch.float32


def test_a_diffusers_folder_without_audio_tokens_refuses_codes_alone(diffusers_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(diffusers_folder, folder)
    shutil.rmtree(folder / "audio_tokenizer")
    made = V15Engine(load_components(find_layout(folder), "cpu"), "test")
    np.testing.assert_array_equal(made.denoise([song()])[0].latents, latents(song()))
    with pytest.raises(ValueError, match="no audio tokenizer"):
        made.denoise([song(audio_codes=(1,))])


def test_every_file_is_described(official_folder: Path, tmp_path: Path) -> None:
    layout = find_layout(official_folder)
    facts = describe_layout(layout, tmp_path)
    assert {each["path"] for each in facts} == {
        "Qwen3-Embedding-0.6B/config.json",
        "Qwen3-Embedding-0.6B/model.safetensors",
        "Qwen3-Embedding-0.6B/tokenizer.json",
        "acestep-v15-turbo/config.json",
        "acestep-v15-turbo/model.safetensors",
        "acestep-v15-turbo/silence_latent.pt",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    }
    assert len(facts) == len(layout_files(layout))


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def with_weights(change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        file = folder / "acestep-v15-turbo" / MODEL
        weights = load_file(file)
        change(weights)
        save_file(weights, file)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            with_weights(lambda w: w.pop("decoder.layers.1.self_attn.q_proj.weight")),
            "layers.1.self_attn.to_q.weight is missing",
        ),
        (with_weights(lambda w: w.pop("null_condition_emb")), "null_condition_emb is missing"),
        (with_weights(lambda w: w.update({"decoder.extra": torch.zeros(1)})), "extra is unexpected"),
        (with_weights(lambda w: w.update({"vocoder.weight": torch.zeros(1)})), "vocoder.weight is unexpected"),
        (
            with_weights(lambda w: w.update({"detokenizer.norm.weight": torch.zeros(3)})),
            "norm.weight has shape [3], not [32]",
        ),
        (lambda folder: change_config(folder / "acestep-v15-turbo/config.json", num_hidden_layers=3), "layers.2"),
        (lambda folder: change_config(folder / "acestep-v15-turbo/config.json", head_dim="x"), "can be built"),
        (lambda folder: (folder / "Qwen3-Embedding-0.6B/tokenizer.json").write_text("{}"), "tokenizer"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(
    official_copy: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(official_copy)
    with pytest.raises(Refused) as refused:
        load_components(find_layout(official_copy), "cpu")
    assert message.replace("can be built", "can be built") in str(refused.value)


@pytest.mark.parametrize(
    ("damage", "where", "message"),
    [
        (removed("acestep-v15-turbo/config.json"), "config.json", "is missing"),
        (removed(f"acestep-v15-turbo/{MODEL}"), MODEL, "is missing"),
        (removed("vae/diffusion_pytorch_model.safetensors"), "diffusion_pytorch_model.safetensors", "is missing"),
        (removed("Qwen3-Embedding-0.6B/tokenizer.json"), "tokenizer.json", "is missing"),
        (
            lambda folder: change_config(folder / "vae/config.json", _class_name="Pipeline"),
            "config.json",
            "'AutoencoderOobleck'",
        ),
        (
            lambda folder: change_config(folder / "acestep-v15-turbo/config.json", num_hidden_layers=10**6),
            "config.json",
            "no size",
        ),
        (lambda folder: (folder / "vae/config.json").write_text("[]"), "config.json", "not readable as JSON"),
        (
            lambda folder: (folder / f"acestep-v15-turbo/{MODEL}").write_bytes(b"\0" * 9),
            MODEL,
            "not a safetensors file",
        ),
    ],
)
def test_a_faulty_file_is_named(official_copy: Path, damage: Callable[[Path], None], where: str, message: str) -> None:
    damage(official_copy)
    (problem,) = layout_problems(find_layout(official_copy))
    assert problem.where.endswith(where)
    assert message in problem.message


def test_a_folder_without_silence_or_model_is_no_checkpoint(official_copy: Path, tmp_path: Path) -> None:
    (official_copy / "acestep-v15-turbo" / SILENCE_FILE).unlink()
    (problem,) = layout_problems(find_layout(official_copy))
    assert problem.where.endswith(SILENCE_FILE)
    with pytest.raises(Refused, match=r"is no ACE-Step 1\.5 checkpoint"):
        find_layout(tmp_path)
    with pytest.raises(Refused, match="is not a folder"):
        find_layout(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "weights.bin"])
def test_an_index_names_no_files_elsewhere(diffusers_folder: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(diffusers_folder, folder)
    index = folder / "transformer/diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"norm_out.weight": name}}), encoding="utf-8")
    (problem,) = layout_problems(find_layout(folder))
    assert "is no index of weights" in problem.message


def test_buffers_that_are_computed_are_not_loaded() -> None:
    assert diffusers_name("decoder.rotary_emb.inv_freq") is None
    assert diffusers_name("tokenizer.quantizer.layers.0._levels") is None
    assert diffusers_name("decoder.layers.3.cross_attn.k_norm.weight") == (
        "transformer",
        "layers.3.cross_attn.norm_k.weight",
    )
    with pytest.raises(KeyError):
        diffusers_name("vocoder.weight")


def test_xl_models_have_encoders_of_their_own_size() -> None:
    official = {"hidden_size": 2560, "intermediate_size": 9728, "num_attention_heads": 32, "num_key_value_heads": 8}
    encoders = {"encoder_hidden_size": 2048, "encoder_intermediate_size": 6144, "encoder_num_attention_heads": 16}
    transformer, condition_encoder = (
        diffusers_config(name, official | encoders) for name in ("transformer", "condition_encoder")
    )
    assert (transformer["hidden_size"], transformer["encoder_hidden_size"]) == (2560, 2048)
    assert condition_encoder["hidden_size"] == 2048
    assert condition_encoder["num_attention_heads"] == 16
    assert condition_encoder["num_key_value_heads"] == 8


class Runs:
    """A pickle of it would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize(
    "content",
    [
        torch.zeros(1, 8, 20).half(),
        torch.zeros(1, 20, 8).transpose(1, 2),
        torch.zeros(1, 8, 21)[:, :, 1:],
        torch.zeros(4, 20),
        [torch.zeros(1, 8, 20)],
        {"silence": torch.zeros(1, 8, 20)},
        Runs(),
    ],
    ids=["half", "transposed", "view", "two dimensions", "list", "dict", "code"],
)
def test_silence_is_one_contiguous_float32_tensor(
    content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / SILENCE_FILE)
    with pytest.raises(Refused, match="is not a float32 tensor as torch saves it"):
        read_silence_latent(tmp_path / SILENCE_FILE)
    assert not Path("ran").exists()


def test_silence_is_what_torch_reads(tmp_path: Path) -> None:
    silence = torch.randn(1, 8, 20, generator=torch.Generator().manual_seed(0))
    torch.save(silence, tmp_path / SILENCE_FILE)
    np.testing.assert_array_equal(read_silence_latent(tmp_path / SILENCE_FILE), silence.transpose(1, 2).numpy())


def silence_archive(file: Path, **changes: bytes) -> Path:
    """A file of silence with some of its entries exchanged."""
    torch.save(torch.zeros(1, 8, 20), file)
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(entries)).partition("/")[0]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (entries | {f"{root}/{name}": value for name, value in changes.items()}).items():
            archive.writestr(name, content)
    return file


@pytest.mark.parametrize(
    "changes",
    [
        {"data/0": b"\0" * 636},
        {"data/0": b"\0" * 1280},
        {"byteorder": b"big"},
        {"data.pkl": b"\x80\x02."},
        {"data.pkl": b"not a pickle"},
        {"data.pkl": b"N" * 20_000 + b"."},
        {"data.pkl": pickle.dumps(Runs(), protocol=2)},
        {f"more/{index}": b"" for index in range(40)},
    ],
    ids=["short", "long", "big-endian", "empty pickle", "no pickle", "long pickle", "code", "many entries"],
)
def test_damaged_silence_is_refused(changes: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(Refused):
        read_silence_latent(silence_archive(tmp_path / SILENCE_FILE, **changes))


def test_packed_and_cut_off_silence_is_refused(tmp_path: Path) -> None:
    file = silence_archive(tmp_path / SILENCE_FILE)
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    (tmp_path / "cut.pt").write_bytes(file.read_bytes()[:-200])
    (tmp_path / "empty.pt").write_bytes(b"")
    for name in ("packed.pt", "cut.pt", "empty.pt", "absent.pt"):
        with pytest.raises(Refused):
            read_silence_latent(tmp_path / name)
