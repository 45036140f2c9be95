"""The estimates of memory against bytes counted while the real modules run without computing anything."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from hypothesis import given
from hypothesis import strategies as st
from live_bytes import LiveBytes, peak_bytes
from torch import nn
from transformers import UMT5Config, UMT5EncoderModel

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.embedded_sizes import embedded_sizes
from acestep_batch.engine.embedded_text import embedded_lyric_ids
from acestep_batch.engine.tasks import AwaitedSource, Edit
from acestep_batch.engine.v1.at_once import LARGE, SMALL
from acestep_batch.engine.v1.autoencoder import MusicDecoder
from acestep_batch.engine.v1.batching import branches
from acestep_batch.engine.v1.limits import latent_frames
from acestep_batch.engine.v1.memory import (
    Loaded,
    decoding_bytes,
    denoising_bytes,
    encoding_bytes,
    loaded,
    needed_bytes,
    songs_decoded_together,
    songs_that_fit,
    source_encoding_bytes,
    tokens_at_most,
    tokens_of,
    weights_bytes,
)
from acestep_batch.engine.v1.music_encoder import MusicEncoder
from acestep_batch.engine.v1.parameters import encoder_parameters
from acestep_batch.engine.v1.sampling import denoise
from acestep_batch.engine.v1.sizes import COMPONENTS, PUBLISHED, ModelSizes, read_sizes
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel
from acestep_batch.engine.v1.vocoder import ADaMoSHiFiGANV1, VocoderConfig, fold_weight_norm
from acestep_batch.problems import Refused
from benchmarks import engine_model, memory

MakeRequest = Callable[..., SongRequest]
GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
CONFIGS: dict[str, dict[str, Any]] = json.loads((GOLDEN / "published_configs.json").read_text(encoding="utf-8"))

BYTES = {torch.float32: 4, torch.bfloat16: 2}
MOST = 1.2
"""The estimates are at most this much above what is counted."""
DOUBLE = {"guidance_scale_text": 5.0, "guidance_scale_lyric": 2.0}
GUIDANCE: dict[int, dict[str, Any]] = {1: {"guidance_scale": 1.0}, 2: {}, 3: DOUBLE}
"""Settings by the number of their branches."""
MODELS = {
    "published": tuple(CONFIGS[name] for name in COMPONENTS),
    "mid-size": (
        engine_model.MID.transformer,
        {"vocab_size": 1077, **engine_model.MID.text_encoder},
        engine_model.MID.autoencoder,
        engine_model.MID.vocoder,
    ),
    "embedded": (
        engine_model.TINY.transformer,
        {"vocab_size": 1077, **engine_model.TINY.text_encoder},
        engine_model.TINY.autoencoder,
        engine_model.TINY.vocoder,
    ),
}
OTHERS = [name for name in MODELS if name != "published"]


@cache
def transformer(model: str, dtype: torch.dtype) -> ACEStepTransformer2DModel:
    with torch.device("meta"):
        built = ACEStepTransformer2DModel.from_config(dict(MODELS[model][0]))
    return nn.Module.to(built, dtype).eval().requires_grad_(False)


@cache
def decoder(model: str, dtype: torch.dtype) -> MusicDecoder:
    with torch.device("meta"):
        dcae = AutoencoderDC.from_config(dict(MODELS[model][2]))
        vocoder = ADaMoSHiFiGANV1(VocoderConfig.from_dict(MODELS[model][3]))
    fold_weight_norm(vocoder)
    for part in (dcae, vocoder):
        part.eval().requires_grad_(False)
    return MusicDecoder(dcae, vocoder, dtype, "meta")


def model_sizes(model: str) -> ModelSizes:
    return ModelSizes.from_configs(*MODELS[model])


def assert_close_above(estimate: int, counted: int) -> None:
    assert counted <= estimate <= MOST * counted, f"{estimate:,} of {counted:,} bytes: {estimate / counted:.3f}"


def test_live_bytes_are_counted_from_first_to_last_use() -> None:
    def work() -> None:
        first = torch.empty(1000, device="meta")  # 4,000 bytes
        second = first[:500] + 1  # 2,000; the view takes none
        del first
        torch.cat([second, second])  # 4,000 beside the 2,000

    with LiveBytes() as live:
        work()
    assert (live.peak, live.now) == (6000, 0)


@pytest.mark.parametrize("model", MODELS)
def test_weights_are_those_of_the_modules_when_loaded(model: str) -> None:
    with torch.device("meta"):
        text_encoder = UMT5EncoderModel(UMT5Config(**MODELS[model][1]))
    text_encoder.set_input_embeddings(text_encoder.shared)
    audio = decoder(model, torch.float32)
    parts = (transformer(model, torch.float32), text_encoder, audio.decoder, audio.vocoder)
    held = sum(tensor.nbytes for part in parts for tensor in (*part.parameters(), *part.buffers()))
    assert weights_bytes(model_sizes(model), 4) == held


def count_denoising(
    model: str, dtype: torch.dtype, duration_s: float, tokens: int, requests: list[SongRequest]
) -> tuple[int, int]:
    """Estimated and counted bytes of keys, values and the loop."""
    network, sizes = transformer(model, dtype), model_sizes(model)
    n_branches = len(branches(requests[0]))
    items = len(requests) * n_branches

    def work() -> None:
        states = torch.empty(items, tokens, sizes.transformer.inner_dim, dtype=dtype, device="meta")
        conditioning = network.condition(states, None, torch.empty(items, device="meta"))
        del states
        if items > 1:  # as if the texts differed in length
            conditioning = replace(conditioning, lengths=(tokens,) * items)
        denoise(network, conditioning, requests)

    estimate = denoising_bytes(sizes, latent_frames(duration_s), tokens, len(requests), n_branches, BYTES[dtype])
    return estimate, peak_bytes(work, network)


DENOISING = [
    (torch.bfloat16, 60.0, 600, 4, 3),
    (torch.bfloat16, 240.0, 300, 1, 2),
    (torch.float32, 30.0, 600, 1, 1),
    (torch.float32, 1.0, 5, 4, 2),
    *(
        pytest.param(dtype, duration_s, tokens, songs, n_branches, marks=pytest.mark.slow)
        for dtype in BYTES
        for duration_s, tokens in ((1.0, 600), (10.0, 100), (30.0, 600), (60.0, 600), (240.0, 2000))
        for songs in (1, 4)
        for n_branches in (1, 2, 3)
    ),
]


@pytest.mark.parametrize(("dtype", "duration_s", "tokens", "songs", "n_branches"), DENOISING)
def test_denoising(
    make_request: MakeRequest, dtype: torch.dtype, duration_s: float, tokens: int, songs: int, n_branches: int
) -> None:
    changes = {"infer_step": 2, "guidance_interval": 1.0, **GUIDANCE[n_branches]}
    requests = [make_request(audio_duration=duration_s, seed=seed, **changes) for seed in range(songs)]
    assert len(branches(requests[0])) == n_branches
    assert_close_above(*count_denoising("published", dtype, duration_s, tokens, requests))


@pytest.mark.parametrize(("model", "scheduler_type"), [("mid-size", "pingpong"), ("embedded", "heun")])
def test_denoising_with_other_sizes_and_solvers(make_request: MakeRequest, model: str, scheduler_type: str) -> None:
    changes = {"infer_step": 2, "guidance_interval": 1.0, "scheduler_type": scheduler_type}
    requests = [make_request(audio_duration=20.0, seed=seed, **changes) for seed in range(2)]
    assert_close_above(*count_denoising(model, torch.float32, 20.0, 400, requests))


DECODING = [
    (torch.bfloat16, 60.0, 4096),
    (torch.float32, 30.0, 256),
    *(
        pytest.param(dtype, duration_s, window, marks=pytest.mark.slow)
        for dtype in BYTES
        for duration_s in (1.0, 30.0, 240.0)
        for window in (256, 4096)
    ),
]


@pytest.mark.parametrize(("dtype", "duration_s", "window"), DECODING)
@pytest.mark.parametrize("songs", [1, 4])
def test_decoding(dtype: torch.dtype, duration_s: float, window: int, songs: int) -> None:
    assert_close_above(*count_decoding("published", dtype, duration_s, window, songs))


@pytest.mark.parametrize("model", OTHERS)
def test_decoding_with_other_sizes(model: str) -> None:
    assert_close_above(*count_decoding(model, torch.float32, 20.0, 256, 1))


def count_decoding(model: str, dtype: torch.dtype, duration_s: float, window: int, songs: int) -> tuple[int, int]:
    """Estimated and counted bytes of latent decoder and vocoder, for songs decoded together."""
    networks, frames = decoder(model, dtype), latent_frames(duration_s)

    def work() -> None:
        mel = networks.decode_mel(torch.empty(songs, 8, 16, frames, device="meta"))
        networks.vocoder(mel.flatten(0, 1).to(dtype), window).float()

    counted = peak_bytes(work, networks.decoder, networks.vocoder)
    return decoding_bytes(model_sizes(model), frames, BYTES[dtype], window, songs), counted


@pytest.mark.parametrize(
    ("model", "dtype"), [*((name, torch.float32) for name in MODELS), ("published", torch.bfloat16)]
)
@pytest.mark.parametrize("duration_s", [1.0, 60.0])
def test_encoding_a_source(model: str, dtype: torch.dtype, duration_s: float) -> None:
    config, frames = VocoderConfig.from_dict(MODELS[model][3]), latent_frames(duration_s)
    with torch.device("meta"):
        part = AutoencoderDC.from_config(dict(MODELS[model][2])).encoder.eval().requires_grad_(False)
        encoder = MusicEncoder(part, config.mel_transform(), config, dtype, "meta")

    def work() -> None:
        given = torch.empty(1, 2, frames * 4096, device="meta")
        padded = given + 0  # stands for what resampling and filling up make of it
        mel = encoder.mel_transform(padded.flatten(0, 1)).unflatten(0, padded.shape[:2])
        encoder.encoder((mel / 2).to(dtype)).float()

    counted = peak_bytes(work, encoder.encoder, encoder.mel_transform)
    assert_close_above(source_encoding_bytes(model_sizes(model), frames, BYTES[dtype]), counted)
    held = sum(tensor.numel() for tensor in (*part.parameters(), *encoder.mel_transform.buffers()))
    assert encoder_parameters(model_sizes(model)) == held


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_a_song_with_a_source_needs_what_encodes_it_too(device: str) -> None:
    plain, encoding = (loaded(PUBLISHED, device, True, encodes_sources=each) for each in (False, True))
    more = needed_bytes(encoding, 645, 600, 2, 4) - needed_bytes(plain, 645, 600, 2, 4)
    assert more >= 2 * encoder_parameters(PUBLISHED)


def test_an_edit_attends_to_the_longer_of_its_texts(make_request: MakeRequest) -> None:
    task = Edit(AwaitedSource(9), 1, "jazz", "la " * 500, None, 0.0, 1.0, 1)
    request = make_request(task=task)
    assert tokens_of(request) == tokens_at_most("jazz", "la " * 500) > tokens_of(make_request())
    assert tokens_of(make_request(lyrics="la " * 900, task=task)) > tokens_of(request)


@pytest.mark.parametrize("averaged", [1, 2])
def test_denoising_an_edit(make_request: MakeRequest, averaged: int) -> None:
    network, sizes = transformer("published", torch.bfloat16), PUBLISHED
    task = Edit(AwaitedSource(latent_frames(30.0)), 1, "", "", None, 0.0, 0.5, averaged)
    requests = [make_request(task=task, infer_step=2, seed=seed) for seed in range(2)]
    items, frames, tokens = 4 * len(requests), latent_frames(30.0), 600

    def work() -> None:
        states = torch.empty(items, tokens, sizes.transformer.inner_dim, dtype=torch.bfloat16, device="meta")
        conditioning = network.condition(states, None, torch.empty(items, device="meta"))
        del states
        denoise(network, conditioning, requests, sources=[torch.empty(8, 16, frames, device="meta")] * 2)

    assert len(branches(requests[0])) == 4
    estimate = denoising_bytes(sizes, frames, tokens, len(requests), 4, BYTES[torch.bfloat16])
    assert_close_above(estimate, peak_bytes(work, network))


@pytest.mark.parametrize(("dtype", "tokens"), [(torch.float32, 30), (torch.bfloat16, 400), (torch.bfloat16, 3000)])
def test_encoding(dtype: torch.dtype, tokens: int) -> None:
    network = transformer("published", dtype)
    ids = torch.zeros(1, tokens, dtype=torch.long, device="meta")
    counted = peak_bytes(lambda: network.encode_lyrics(ids), network)
    assert_close_above(encoding_bytes(PUBLISHED, tokens, BYTES[dtype]), counted)


def test_a_prompt_takes_less_than_lyrics() -> None:
    with torch.device("meta"):
        model = UMT5EncoderModel(UMT5Config(**CONFIGS["umt5-base"])).eval().requires_grad_(False)
    ids = torch.zeros(1, 256, dtype=torch.long, device="meta")
    assert peak_bytes(lambda: model(input_ids=ids), model) < encoding_bytes(PUBLISHED, 256, 4)


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize(("frames", "tokens", "n_branches"), [(10, 30, 1), (645, 600, 2), (2583, 2000, 3)])
def test_songs_that_fit_are_the_most_that_fit(device: str, frames: int, tokens: int, n_branches: int) -> None:
    model = loaded(PUBLISHED, device, bf16=True)

    def fit(memory_bytes: int) -> int:
        return songs_that_fit(model, memory_bytes, frames, tokens, n_branches, at_most=8)

    def needed(songs: int) -> int:
        return needed_bytes(model, frames, tokens, n_branches, songs)

    for memory_bytes in {needed(songs) - less for songs in range(1, 9) for less in (0, 1)}:
        songs = fit(memory_bytes)
        assert songs == 0 or needed(songs) <= memory_bytes
        assert songs == 8 or needed(songs + 1) > memory_bytes
    assert needed(1) < needed(8)
    assert (fit(0), fit(2**50)) == (0, 8)


def test_decoding_beside_denoising_needs_both_at_once() -> None:
    apart, beside = (needed_bytes(Loaded(PUBLISHED, 2, LARGE, both), 645, 600, 2, 4) for both in (False, True))
    less = min(
        denoising_bytes(PUBLISHED, 645, 600, songs=4, branches=2, bytes_a_weight=2),
        decoding_bytes(PUBLISHED, 645, 2, LARGE.mel_frames, songs=4),
    )
    assert beside - apart == pytest.approx(1.25 * less, abs=2)


@pytest.mark.parametrize("frames", [1, 645, 2583])
def test_songs_decoded_together_are_the_most_that_fit(frames: int) -> None:
    for songs in (1, 3):
        needed = decoding_bytes(PUBLISHED, frames, 2, LARGE.mel_frames, songs)
        assert songs_decoded_together(PUBLISHED, frames, 2, LARGE.mel_frames, needed) == songs
        assert songs_decoded_together(PUBLISHED, frames, 2, LARGE.mel_frames, needed - 1) == songs - 1


def test_a_model_is_estimated_as_it_is_loaded() -> None:
    """``meta`` stands for any device that is neither."""
    assert decoder("embedded", torch.float32).at_once == loaded(PUBLISHED, "meta", bf16=False).at_once == LARGE
    assert loaded(PUBLISHED, "cpu", bf16=False) == Loaded(PUBLISHED, 4, SMALL, decodes_beside_denoising=False)
    assert loaded(PUBLISHED, "cuda:1", bf16=True) == Loaded(PUBLISHED, 2, LARGE, decodes_beside_denoising=True)


def test_short_songs_that_are_decoded_together_need_no_more_than_one_long_one() -> None:
    """The bound of ``at_once`` and the formula agree on what it bounds."""
    longest = decoding_bytes(PUBLISHED, LARGE.latent_frames, 2, LARGE.mel_frames, songs=1)
    for frames in (1, 100, 645, 2000):
        together = decoding_bytes(PUBLISHED, frames, 2, LARGE.mel_frames, LARGE.songs(frames))
        assert together <= 1.1 * longest


@given(prompt=st.text(), lyrics=st.text(st.characters(codec="utf-8") | st.sampled_from("\n[verse] 7&"), min_size=1))
def test_the_embedded_model_has_no_more_tokens_than_estimated(prompt: str, lyrics: str) -> None:
    shortest = 1 + min(len(prompt.split()), 256)
    assert shortest + len(embedded_lyric_ids(lyrics)) <= tokens_at_most(prompt, lyrics)
    assert tokens_at_most(prompt, "") <= 1 + 256


def test_v1_has_no_more_tokens_than_estimated() -> None:
    """Of the 37 texts in 17 languages whose token ids were recorded; ordinary ones are not far below."""
    texts: dict[str, list[dict[str, Any]]] = json.loads((GOLDEN / "lyrics.json").read_text(encoding="utf-8"))
    assert len(texts) == 37
    shares = []
    for name, lines in texts.items():
        tokens = 1 + sum(len(line.get("ids", [])) + 1 for line in lines)
        estimate = tokens_at_most("", "\n".join(line["line"] for line in lines)) - 2
        assert tokens <= estimate, name
        shares.append(tokens / estimate)
    assert 0.5 < statistics.median(shares) < 0.7


def test_the_defaults_are_the_published_sizes() -> None:
    assert model_sizes("published") == PUBLISHED


@pytest.mark.usefixtures("drawn_weights")
def test_the_embedded_sizes_are_those_of_its_configurations() -> None:
    assert embedded_sizes() == model_sizes("embedded")


def test_a_checkpoint_is_read_and_a_broken_one_refused(checkpoint: Path, tmp_path: Path) -> None:
    configs = [json.loads((checkpoint / name / "config.json").read_text(encoding="utf-8")) for name in COMPONENTS]
    assert read_sizes(checkpoint) == ModelSizes.from_configs(*configs) != PUBLISHED
    for name, config in zip(COMPONENTS, configs, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    assert read_sizes(tmp_path) == read_sizes(checkpoint)
    for broken in ("{", "[]", '{"use_template": true}'):
        (tmp_path / "music_vocoder" / "config.json").write_text(broken)
        with pytest.raises(Refused, match="cannot be read"):
            read_sizes(tmp_path)


@pytest.mark.parametrize(
    ("component", "name", "value"),
    [
        ("music_dcae_f8c8", "encoder_layers_per_block", [1]),
        ("music_dcae_f8c8", "decoder_block_types", []),
        ("music_vocoder", "depths", [1, 1, 1, 1, 1, 1]),
        ("music_vocoder", "resblock_dilation_sizes", []),
    ],
)
def test_lists_that_differ_in_length_are_refused(
    checkpoint: Path, tmp_path: Path, component: str, name: str, value: list[object]
) -> None:
    shutil.copytree(checkpoint, tmp_path / "changed")
    file = tmp_path / "changed" / component / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), name: value}))
    with pytest.raises(Refused, match=rf"{component}/config.json: .*{name} has {len(value)}.*one entry per level"):
        read_sizes(tmp_path / "changed")


def test_the_tables_of_the_performance_page_are_what_the_benchmark_prints() -> None:
    page = (Path(__file__).parents[2] / "docs" / "performance.md").read_text(encoding="utf-8")
    assert memory.needs() in page
    assert memory.fits() in page
