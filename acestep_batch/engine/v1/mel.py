"""Log-mel spectrogram of a waveform, as the audio codec's encoder reads it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAGNITUDE_FLOOR = 1e-6
MEL_FLOOR = 1e-5


def _hz_to_slaney_mel(frequency_hz: Tensor) -> Tensor:
    """Slaney's scale: 3 mel per 200 Hz below 1 kHz, 27 mel per factor of 6.4 above."""
    linear = frequency_hz * 3.0 / 200.0
    logarithmic = 15.0 + torch.log(frequency_hz.clamp(min=1.0) / 1000.0) * (27.0 / math.log(6.4))
    return torch.where(frequency_hz < 1000.0, linear, logarithmic)


def _slaney_mel_to_hz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * torch.exp((mel - 15.0) * (math.log(6.4) / 27.0)))


def slaney_filterbank(sample_rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float) -> Tensor:
    """Triangular mel filters of unit area (Slaney, Auditory Toolbox, 1998), ``[n_fft // 2 + 1, n_mels]`` float32.

    Frequencies are in Hz; the filters' corners are equally spaced in mel from ``f_min`` to ``f_max``.
    """
    bins_hz = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    ends = _hz_to_slaney_mel(torch.tensor([f_min, f_max], dtype=torch.float64))
    fractions = torch.linspace(0, 1, n_mels + 2, dtype=torch.float64)
    corners_hz = _slaney_mel_to_hz(ends[0] + fractions * (ends[1] - ends[0]))
    low, centre, high = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    rising = (bins_hz[:, None] - low) / (centre - low)
    falling = (high - bins_hz[:, None]) / (high - centre)
    return (torch.minimum(rising, falling).clamp(min=0) * 2.0 / (high - low)).float()


class _Spectrogram(nn.Module):
    """Magnitudes of a Hann-windowed short-time Fourier transform without centring."""

    window: Tensor

    def __init__(self, n_fft: int, win_length: int, hop_length: int) -> None:
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        self.register_buffer("window", torch.hann_window(win_length))

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, N]`` -> ``[B, n_fft // 2 + 1, N // hop_length]``."""
        margin = self.n_fft - self.hop_length
        padded = F.pad(audio.unsqueeze(1), (margin // 2, margin - margin // 2), mode="reflect").squeeze(1)
        spectrum = torch.stft(
            padded,
            self.n_fft,
            hop_length=self.hop_length,
            win_length=self.window.shape[0],
            window=self.window,
            center=False,
            return_complex=True,
        )
        return (torch.view_as_real(spectrum).square().sum(-1) + MAGNITUDE_FLOOR).sqrt()


class _MelScale(nn.Module):
    fb: Tensor

    def __init__(self, filterbank: Tensor) -> None:
        super().__init__()
        self.register_buffer("fb", filterbank)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """``[B, bins, T]`` -> ``[B, n_mels, T]``."""
        return (magnitudes.transpose(1, 2) @ self.fb).transpose(1, 2)


class LogMelSpectrogram(nn.Module):
    """Natural logarithm of the mel magnitudes; module names are the published checkpoint's.

    The window and the filters are buffers: a checkpoint carries its own.
    """

    def __init__(
        self, sample_rate: int, n_fft: int, win_length: int, hop_length: int, n_mels: int, f_min: float, f_max: float
    ) -> None:
        super().__init__()
        self.spectrogram = _Spectrogram(n_fft, win_length, hop_length)
        self.mel_scale = _MelScale(slaney_filterbank(sample_rate, n_fft, n_mels, f_min, f_max))

    def forward(self, audio: Tensor) -> Tensor:
        """Audio ``[B, N]`` with N over ``(n_fft - hop_length) / 2`` -> ``[B, n_mels, N // hop_length]``."""
        mel: Tensor = self.mel_scale(self.spectrogram(audio))
        return mel.clamp(min=MEL_FLOOR).log()
