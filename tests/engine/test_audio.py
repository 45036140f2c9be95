"""The audio side of the engine against the reference implementation, and what its parts promise.

Recorded tensors named ``..._everyK`` hold every K-th sample.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from acestep_batch.engine.v1.at_once import LARGE, SMALL, AtOnce
from acestep_batch.engine.v1.autoencoder import MusicDecoder, build_vocoder, load_decoder
from acestep_batch.engine.v1.limits import latent_frames
from acestep_batch.engine.v1.mel import slaney_filterbank
from acestep_batch.engine.v1.music_encoder import MusicEncoder, load_encoder
from acestep_batch.engine.v1.resample import resample
from acestep_batch.engine.v1.vocoder import ADaMoSHiFiGANV1, VocoderConfig, fold_weight_norm

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
DCAE_FOLDER = GOLDEN / "checkpoint" / "music_dcae_f8c8"
VOCODER_FOLDER = GOLDEN / "checkpoint" / "music_vocoder"
MEL_TOLERANCE = 1e-4
CASES = {case["id"]: case for case in json.loads((GOLDEN / "f_audio.json").read_text(encoding="utf-8"))["cases"]}


@pytest.fixture(scope="module")
def recorded() -> dict[str, Tensor]:
    return load_file(GOLDEN / "f_audio.safetensors")


@pytest.fixture(scope="module")
def decoder() -> MusicDecoder:
    return load_decoder(DCAE_FOLDER, VOCODER_FOLDER, torch.float32, "cpu")


@pytest.fixture(scope="module")
def encoder() -> MusicEncoder:
    return load_encoder(DCAE_FOLDER, VOCODER_FOLDER, torch.float32, "cpu")


def vocoder_config() -> dict[str, Any]:
    config: dict[str, Any] = json.loads((VOCODER_FOLDER / "config.json").read_text(encoding="utf-8"))
    return config


def assert_same_sound(ours: np.ndarray, theirs: Tensor) -> None:
    """The untrained vocoder has a few steep points: the bulk of the samples is compared, not the worst."""
    difference = np.abs(ours - theirs.numpy())
    p99, rms = np.quantile(difference, 0.99), np.sqrt(np.mean(difference**2))
    assert p99 <= 1e-4, f"p99 {p99:.2e}, max {difference.max():.2e}"
    assert rms <= 1e-4, f"rms {rms:.2e}, max {difference.max():.2e}"


@pytest.mark.parametrize(("case", "stride_44k", "stride_48k"), [("dec16", 5, 5), ("dec33", 7, 7)])
def test_decode_equals_the_reference(
    recorded: dict[str, Tensor], decoder: MusicDecoder, case: str, stride_44k: int, stride_48k: int
) -> None:
    latents = recorded[f"{case}.latent"]
    (native,) = decoder.decode(latents, 44100)
    (at_48k,) = decoder.decode(latents, 48000)
    assert native.shape == (2, CASES[case]["wav44k_len"])
    assert at_48k.shape == (2, CASES[case]["wav48k_len"])
    assert native.dtype == at_48k.dtype == np.float32
    assert_same_sound(native[:, ::stride_44k], recorded[f"{case}.wav44k_every{stride_44k}"])
    assert_same_sound(at_48k[:, ::stride_48k], recorded[f"{case}.wav48k_every{stride_48k}"])


@pytest.mark.parametrize("case", ["dec16", "dec33"])
def test_decoded_mel_equals_the_reference(recorded: dict[str, Tensor], decoder: MusicDecoder, case: str) -> None:
    mel = decoder.decode_mel(recorded[f"{case}.latent"])
    stored = recorded[f"{case}.mel"]
    torch.testing.assert_close(mel[..., : stored.shape[-1]], stored, atol=MEL_TOLERANCE, rtol=0)


def test_songs_of_a_batch_decode_as_alone(recorded: dict[str, Tensor], decoder: MusicDecoder) -> None:
    latents = recorded["dec_batch.latent"]
    together = decoder.decode(latents, 44100)
    for song, latent, stored in zip(together, latents, recorded["dec_batch.wav44k_every5"], strict=True):
        assert_same_sound(song[:, ::5], stored)
        np.testing.assert_array_equal(song, decoder.decode(latent.unsqueeze(0), 44100)[0])


@pytest.mark.parametrize(
    "at_once",
    [AtOnce(21, 4096), AtOnce(20, 16), AtOnce(28, 256), AtOnce(1, 4096)],
    ids=["3 and 1", "2 and 2", "all", "one by one"],
)
def test_songs_decoded_together_equal_songs_alone(decoder: MusicDecoder, at_once: AtOnce) -> None:
    latents = torch.randn(4, 8, 16, 7, generator=torch.Generator().manual_seed(7))
    sizes: list[int] = []

    def note(_module: object, args: tuple[Tensor]) -> None:
        sizes.append(len(args[0]))

    with decoder.decoder.register_forward_pre_hook(note):
        together = decoder.decode_in_groups(latents, 48000, at_once)
    assert sizes == {28: [4], 21: [3, 1], 20: [2, 2], 1: [1, 1, 1, 1]}[at_once.latent_frames]
    for song, latent in zip(together, latents, strict=True):
        np.testing.assert_allclose(song, decoder.decode(latent[None], 48000)[0], atol=1e-4)
    assert max(np.abs(together[0] - other).max() for other in together[1:]) > 0.1


@torch.inference_mode()
def test_small_windows_give_the_samples_of_the_large(recorded: dict[str, Tensor], decoder: MusicDecoder) -> None:
    latents = recorded["ovl600.latent"][..., :100]
    (small,) = decoder.decode(latents, 44100, small_windows=True)
    (large,) = decoder.decode_in_groups(latents, 44100, LARGE)
    assert latents.shape[-1] * 8 > SMALL.mel_frames  # several windows against one
    np.testing.assert_allclose(small, large, atol=1e-4)


def test_where_the_networks_are_decides_how_much_is_decoded_at_once() -> None:
    decoder = load_decoder(DCAE_FOLDER, VOCODER_FOLDER, torch.float32, "cpu")
    assert decoder.at_once == SMALL
    moved = decoder.to("meta")
    assert moved is decoder
    devices = {tensor.device.type for part in (moved.decoder, moved.vocoder) for tensor in part.state_dict().values()}
    assert devices == {"meta"}
    assert moved.at_once == LARGE


def test_overlapped_decode_equals_the_references_and_differs_from_the_plain(
    recorded: dict[str, Tensor], decoder: MusicDecoder
) -> None:
    latents = recorded["ovl600.latent"]
    (overlapped,) = decoder.decode_overlapped(latents, 48000)
    (plain,) = decoder.decode(latents, 48000)
    assert overlapped.shape == (2, CASES["ovl600"]["wav48k_len"])
    assert plain.shape == (2, CASES["full600"]["wav48k_len"])
    assert_same_sound(overlapped[:, ::211], recorded["ovl600.wav48k_every211"])
    assert_same_sound(overlapped[:, slice(*CASES["ovl600"]["win"])], recorded["ovl600.wav48k_win"])
    assert_same_sound(plain[:, ::211], recorded["full600.wav48k_every211"])
    assert np.abs(overlapped - plain[:, : overlapped.shape[1]]).max() > 0.1


def test_only_songs_over_48_s_are_decoded_in_windows(decoder: MusicDecoder) -> None:
    longer = torch.randn(1, 8, 16, latent_frames(48.1), generator=torch.Generator().manual_seed(0))
    at_48_s = longer[..., : latent_frames(48.0)]
    np.testing.assert_array_equal(decoder.decode_overlapped(at_48_s, 48000), decoder.decode(at_48_s, 48000))
    (in_windows,) = decoder.decode_overlapped(longer, 48000)
    assert in_windows.shape[1] == longer.shape[-1] * 4096 * 48000 // 44100  # a plain decode rounds up


@pytest.mark.parametrize("n_frames", [1, 60, 64])
def test_a_song_of_one_window_decodes_the_same_in_windows(decoder: MusicDecoder, n_frames: int) -> None:
    """Up to 512 mel frames nothing overlaps; a shorter song only sees padding behind its end."""
    latents = torch.randn(1, 8, 16, n_frames, generator=torch.Generator().manual_seed(n_frames))
    (overlapped,) = decoder.decode_windows(latents, 44100)
    (plain,) = decoder.decode(latents, 44100)
    assert overlapped.shape == plain.shape
    untouched = max(0, (n_frames - 4) * 4096)
    np.testing.assert_allclose(overlapped[:, :untouched], plain[:, :untouched], atol=1e-5)


@pytest.mark.parametrize("case", ["a44", "a48", "a32", "a_exact"])
def test_encode_equals_the_reference(recorded: dict[str, Tensor], encoder: MusicEncoder, case: str) -> None:
    sample_rate = CASES[case]["sr"]
    audio = recorded[f"{case}.audio"]
    native = resample(audio, sample_rate, 44100)
    padded = torch.nn.functional.pad(native, (0, CASES[case]["padded_len"] - native.shape[-1]))
    torch.testing.assert_close(padded[..., ::5], recorded[f"{case}.audio44k_padded_every5"], atol=MEL_TOLERANCE, rtol=0)
    mel = encoder.mel_transform(padded[0])
    torch.testing.assert_close(mel, recorded[f"{case}.logmel"][0], atol=MEL_TOLERANCE, rtol=0)
    latents = encoder.encode(audio, sample_rate)
    assert latents.shape[-1] == CASES[case]["latent_frames"]
    torch.testing.assert_close(latents, recorded[f"{case}.latent"], atol=MEL_TOLERANCE, rtol=0)


def test_encoding_a_batch_equals_the_reference(recorded: dict[str, Tensor], encoder: MusicEncoder) -> None:
    latents = encoder.encode(recorded["enc_batch_default_sr48k.audio"], 48000)
    torch.testing.assert_close(latents, recorded["enc_batch_default_sr48k.latent"], atol=MEL_TOLERANCE, rtol=0)


def test_one_channel_is_encoded_as_two_equal_ones(recorded: dict[str, Tensor], encoder: MusicEncoder) -> None:
    mono = recorded["a_exact.audio"][:, :1]
    torch.testing.assert_close(encoder.encode(mono, 44100), encoder.encode(mono.repeat(1, 2, 1), 44100))


def test_filters_and_window_equal_those_in_the_checkpoint() -> None:
    stored = load_file(VOCODER_FOLDER / "diffusion_pytorch_model.safetensors")
    torch.testing.assert_close(slaney_filterbank(44100, 2048, 128, 40, 16000), stored["mel_transform.mel_scale.fb"])
    vocoder = ADaMoSHiFiGANV1(VocoderConfig.from_dict(vocoder_config()))
    torch.testing.assert_close(
        vocoder.mel_transform.spectrogram.window, stored["mel_transform.spectrogram.window"], atol=0, rtol=0
    )


def test_vocoder_keys_and_shapes_equal_the_checkpoints_before_folding() -> None:
    stored = load_file(VOCODER_FOLDER / "diffusion_pytorch_model.safetensors")
    with torch.device("meta"):
        vocoder = ADaMoSHiFiGANV1(VocoderConfig.from_dict(vocoder_config()))
    assert {k: v.shape for k, v in vocoder.state_dict().items()} == {k: v.shape for k, v in stored.items()}


def test_published_vocoder_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        vocoder = ADaMoSHiFiGANV1(VocoderConfig())
    assert len(vocoder.state_dict()) == 713
    assert sum(parameter.numel() for parameter in vocoder.parameters()) == 103_005_138


def test_folding_gives_weights_of_the_stored_length() -> None:
    layer = ADaMoSHiFiGANV1(VocoderConfig.from_dict(vocoder_config())).head.conv_pre
    with torch.no_grad():
        layer.weight_g.fill_(3.0)
    direction = layer.weight_v.detach().clone()
    fold_weight_norm(layer)
    lengths = layer.weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 3.0))
    cosine = torch.nn.functional.cosine_similarity(layer.weight.flatten(1), direction.flatten(1))
    torch.testing.assert_close(cosine, torch.ones_like(cosine))


@pytest.mark.parametrize(
    ("change", "words"), [({"use_template": True}, "use_template"), ({"kernel_sizes": [7, 9]}, r"\[7, 9\]")]
)
def test_unknown_vocoder_variants_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_vocoder({**vocoder_config(), **change}, {})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_decodes_to_finite_float32(recorded: dict[str, Tensor], dtype: torch.dtype) -> None:
    decoder = load_decoder(DCAE_FOLDER, VOCODER_FOLDER, dtype, "cpu")
    (audio,) = decoder.decode(recorded["dec_batch.latent"][:1], 44100)
    assert audio.dtype == np.float32
    assert audio.shape == (2, 5 * 4096)
    assert np.isfinite(audio).all()


@pytest.mark.parametrize(("source", "target"), [(44100, 48000), (48000, 44100), (44100, 32000), (44100, 47999)])
def test_resampling_keeps_a_tone(source: int, target: int) -> None:
    n_source = 4001
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(n_source, dtype=torch.float64) / source)
    resampled = resample(tone, source, target)
    assert resampled.shape[-1] == -(-n_source * target // source)
    expected = torch.sin(2 * torch.pi * 1000 * torch.arange(resampled.shape[-1], dtype=torch.float64) / target)
    inside = slice(50, -50)
    torch.testing.assert_close(resampled[inside], expected[inside], atol=5e-3, rtol=0)


@pytest.mark.parametrize(("source", "target"), [(44100, 48000), (48000, 44100), (44100, 8000), (44100, 47999)])
def test_resampling_is_the_sum_under_a_windowed_sinc(source: int, target: int) -> None:
    audio = torch.randn(2, 700, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rate = target / source
    cutoff = 0.99 * min(1.0, rate)
    output = torch.arange(-(-700 * target // source), dtype=torch.float64)
    t = (cutoff * (torch.arange(700) - output[:, None] / rate)).clamp(-6, 6)
    weights = cutoff * torch.sinc(t) * torch.cos(torch.pi * t / 12) ** 2  # [output, source]
    torch.testing.assert_close(resample(audio, source, target), audio @ weights.T, atol=1e-9, rtol=0)


def test_resampling_to_the_same_rate_changes_nothing() -> None:
    audio = torch.randn(2, 100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(resample(audio, 44100, 44100), audio)


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    tone = torch.sin(2 * torch.pi * 15000 * torch.arange(8000, dtype=torch.float64) / 44100)
    assert resample(tone, 44100, 22050)[50:-50].abs().max() < 0.01


def test_rates_must_be_positive() -> None:
    with pytest.raises(ValueError, match="0 Hz"):
        resample(torch.zeros(2, 10), 44100, 0)
