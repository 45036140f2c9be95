"""The vocoder without a learned phase: samples with the magnitudes asked for, in any window."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from acestep_batch.engine.v1.magnitude_vocoder import (
    MagnitudeVocoder,
    MagnitudeVocoderConfig,
    griffin_lim,
)
from acestep_batch.engine.v1.vocoder import VocoderConfig

SMALL = MagnitudeVocoderConfig(width=16, hidden=32, blocks=1, iterations=3)


def vocoder(config: MagnitudeVocoderConfig = SMALL) -> MagnitudeVocoder:
    torch.manual_seed(0)
    made = MagnitudeVocoder(config)
    made.start_from_filters()
    return made.eval().requires_grad_(False)


def chord() -> Tensor:
    seconds = torch.arange(40 * 512) / 44100
    return 0.2 * sum(torch.sin(2 * torch.pi * hz * seconds) for hz in (220.0, 330.0, 554.4))[None]


def mel_of(audio: Tensor) -> Tensor:
    return VocoderConfig().mel_transform()(audio)


def test_griffin_lim_finds_samples_with_the_magnitudes() -> None:
    audio = chord()
    padded = torch.nn.functional.pad(audio, (768, 768))
    frames = padded.unfold(-1, 2048, 512) * torch.hann_window(2048)
    magnitudes = torch.fft.rfft(frames).abs()
    angles = torch.rand(magnitudes.shape[1:], generator=torch.Generator().manual_seed(0)) * 6.28
    errors = []
    for iterations in (1, 32):
        made = griffin_lim(magnitudes, torch.polar(torch.ones_like(angles), angles), iterations, 2048, 512)
        assert made.shape == audio.shape
        again = torch.fft.rfft(
            torch.nn.functional.pad(made, (768, 768)).unfold(-1, 2048, 512) * torch.hann_window(2048)
        )
        errors.append(((again.abs() - magnitudes).norm() / magnitudes.norm()).item())
    assert errors[1] < 0.15 < errors[0]


def test_the_untrained_network_already_has_the_tones() -> None:
    made = vocoder()(mel_of(chord()))
    assert made.shape == (1, 40 * 512)
    spectrum = torch.fft.rfft(made[0]).abs()
    hz = torch.arange(len(spectrum)) * 44100 / made.shape[-1]
    near = torch.zeros_like(hz, dtype=torch.bool)
    for tone in (220.0, 330.0, 554.4):
        near |= (hz - tone).abs() < 60
    assert spectrum[near].square().sum() > 0.9 * spectrum.square().sum()


@pytest.mark.parametrize("window", [1, 7, 32, 64])
def test_windows_change_no_sample(window: int) -> None:
    mel, own = mel_of(chord()), vocoder()
    torch.testing.assert_close(own(mel, window), own(mel), rtol=0, atol=1e-4)


def test_equal_channels_stay_equal_and_songs_do_not_mix() -> None:
    mel, own = mel_of(chord()), vocoder()
    together = own(torch.cat((mel, mel - 1.0, mel)))
    torch.testing.assert_close(together[0], together[2], rtol=0, atol=1e-6)
    torch.testing.assert_close(together[1:2], own(mel - 1.0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("value", [-50.0, 50.0])
def test_no_log_mel_makes_what_is_no_sample(value: float) -> None:
    made = vocoder()(torch.full((1, 128, 12), value))
    assert made.isfinite().all()
    assert made.abs().max() <= 1.0


def test_half_precision_is_near() -> None:
    mel, own = mel_of(chord()), vocoder()
    expected = own(mel)
    made = own.to(torch.bfloat16)(mel.bfloat16())
    assert made.dtype is torch.bfloat16
    assert made.float().std().item() == pytest.approx(expected.std().item(), rel=0.2)
