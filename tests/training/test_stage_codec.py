"""Stage 1: what the codec keeps, whitening, and going on from a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from stand_in_clips import stand_in

from acestep_batch.engine.v1.autoencoder import MusicDecoder
from acestep_batch.engine.v1.column_codec import columns_of, pixels_of, with_neighbours
from acestep_batch.engine.v1.magnitude_vocoder import MagnitudeVocoder, MagnitudeVocoderConfig
from training.clips import Clips, read_clips
from training.codec import (
    CODEC_FILE,
    FIT_FILE,
    Fit,
    decode,
    encode,
    held_out_error,
    learn,
    load_codec,
    principal_components,
    white_codec,
)
from training.progress import load


def mel_of(clips: Clips, count: int = 20) -> torch.Tensor:
    return torch.from_numpy(clips.mel(0)[:count].astype("float32"))


def test_columns_are_the_pixels_in_another_order() -> None:
    pixels = torch.randn(2, 2, 128, 24)
    columns = columns_of(pixels)
    assert columns.shape == (2, 3, 2048)
    assert torch.equal(columns[1, 2].view(2, 128, 8), pixels[1, :, :, 16:])
    assert torch.equal(pixels_of(columns), pixels)


def test_a_frame_is_seen_with_its_neighbours_and_the_ends_with_themselves() -> None:
    frames = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]])
    seen = with_neighbours(frames)[0].tolist()
    assert seen == [[1, 10, 1, 10, 2, 20], [1, 10, 2, 20, 3, 30], [2, 20, 3, 30, 3, 30]]


def test_the_components_come_back_before_anything_is_learnt(dataset: Path) -> None:
    clips = read_clips(dataset)
    components = principal_components(clips)
    given = components.of(mel_of(clips))
    kept = Fit()(given)
    torch.testing.assert_close(kept[..., :128], given[..., :128])
    assert (kept[..., 128:] == 0).all()


@pytest.mark.slow
def test_the_codec_does_with_pixels_what_was_learnt_of_components(dataset: Path, checkpoints: Path) -> None:
    clips = read_clips(dataset)
    fit, components = learn(clips, checkpoints / FIT_FILE, 0, 1, 1.0, "cpu")  # at its end: no step is made
    codec, _ = white_codec(fit, components, clips)
    mel = mel_of(clips)
    columns = fit(components.of(mel)) @ (components.axes * components.spreads).T + components.mean
    torch.testing.assert_close(decode(codec, encode(codec, mel)), pixels_of(columns), rtol=0, atol=0.02)


def test_latents_are_white_and_the_weightiest_come_first(dataset: Path, checkpoints: Path) -> None:
    codec, variances = load_codec(checkpoints)
    latents = encode(codec, mel_of(read_clips(dataset), 19)).flatten(1, 2).transpose(1, 2).flatten(0, 1)
    strong = variances > 1.0
    assert strong.sum() > 10
    covariance = torch.cov(latents.T)[strong][:, strong]
    torch.testing.assert_close(covariance, torch.eye(len(covariance)), rtol=0, atol=0.1)
    assert (variances.diff() <= 0).all()


def test_the_error_is_that_of_held_out_clips(dataset: Path, checkpoints: Path) -> None:
    codec, _ = load_codec(checkpoints)
    clips = read_clips(dataset)
    held_out = mel_of(clips)[19:]
    error = (decode(codec, encode(codec, held_out)) - held_out).square().mean().sqrt().item()
    assert held_out_error(codec, clips) == pytest.approx(error)
    assert load(checkpoints / CODEC_FILE)["held_out_nat"] == pytest.approx(error)
    assert error < 0.5 * held_out.std().item()


def test_the_product_decodes_what_the_recipe_encodes(dataset: Path, checkpoints: Path) -> None:
    codec, _ = load_codec(checkpoints)
    latents = encode(codec, mel_of(read_clips(dataset), 1))
    decoder = MusicDecoder(codec, MagnitudeVocoder(MagnitudeVocoderConfig()), torch.float32, "cpu")
    torch.testing.assert_close(decoder.decode_mel(latents), decode(codec, latents), rtol=0, atol=1e-3)


@pytest.mark.slow
def test_a_fit_that_was_stopped_goes_on_where_it_was(dataset: Path, tmp_path: Path) -> None:
    clips = read_clips(dataset)
    whole, _ = learn(clips, tmp_path / "whole.pt", 0, 2, 1.0, "cpu")
    learn(clips, tmp_path / "parts.pt", 0, 2, 1e-9, "cpu")  # time for one step
    assert load(tmp_path / "parts.pt")["step"] == 1
    parts, _ = learn(clips, tmp_path / "parts.pt", 0, 2, 1.0, "cpu")
    assert torch.equal(parts.narrow.weight, whole.narrow.weight)


def test_too_few_clips_cannot_be_measured(checkpoints: Path, tmp_path: Path) -> None:
    few = read_clips(stand_in(tmp_path, clips=2))
    with pytest.raises(ValueError, match="too few to leave one out"):
        held_out_error(load_codec(checkpoints)[0], few)
