"""A vocoder without a learned phase: a small network gives magnitudes, fast Griffin-Lim finds a signal that has them.

It has the interface of the v1 vocoder as ``MusicDecoder`` uses it. Griffin-Lim: Perraudin, Balazs & Sondergaard, A fast
Griffin-Lim algorithm, 2013.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acestep_batch.engine.v1.mel import slaney_filterbank

CLASS_NAME = "MagnitudeVocoder"
"""Of a ``config.json``, under ``_class_name``."""
LOG_FLOOR = -7.0
"""Natural logarithm of the smallest magnitude: below it, 16 bits hold nothing."""
LOG_CEILING = 7.0
"""Of the largest: a full-scale sine's is 6.2."""
MOMENTUM = 0.99
PHASE_SEED = 20130


@dataclass(frozen=True, slots=True)
class MagnitudeVocoderConfig:
    """Sizes of the network and of the analysis; the latter as in the v1 vocoder's configuration."""

    width: int = 192
    hidden: int = 576
    blocks: int = 3
    kernel_size: int = 7
    iterations: int = 16
    """Of Griffin-Lim."""
    sampling_rate: int = 44100
    n_fft: int = 2048
    hop_length: int = 512
    f_min: float = 40.0
    f_max: float = 16000.0
    n_mels: int = 128

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """Read a ``config.json``."""
        return cls(**{field.name: config[field.name] for field in fields(cls) if field.name in config})

    @property
    def bins(self) -> int:
        """Frequencies of a magnitude spectrum."""
        return self.n_fft // 2 + 1

    @property
    def reach(self) -> int:
        """How many frames to either side a sample depends on: the network's, and the overlap's in each iteration."""
        overlap = self.n_fft // self.hop_length - 1
        return (self.blocks + 1) * (self.kernel_size // 2) + overlap * (self.iterations + 1)


class _Block(nn.Module):
    """Depthwise convolution, then a two-layer perceptron per frame (Liu et al., A ConvNet for the 2020s, 2022)."""

    def __init__(self, config: MagnitudeVocoderConfig) -> None:
        super().__init__()
        width, kernel_size = config.width, config.kernel_size
        self.mix = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, config.hidden)
        self.narrow = nn.Linear(config.hidden, width)

    def forward(self, x: Tensor) -> Tensor:  # [B, T, width]
        mixed = self.mix(x.transpose(1, 2)).transpose(1, 2)
        return x + self.narrow(F.gelu(self.widen(self.norm(mixed))))


class MagnitudeVocoder(nn.Module):
    """Log-mel frames to samples."""

    def __init__(self, config: MagnitudeVocoderConfig) -> None:
        super().__init__()
        self.config = config
        kernel_size = config.kernel_size
        self.stem = nn.Conv1d(config.n_mels, config.width, kernel_size, padding=kernel_size // 2)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        self.residual = nn.Linear(config.width, config.bins)
        self.direct = nn.Linear(config.n_mels, config.bins)
        """From the mel bands at a frequency alone; the rest of the network adds to it."""

    def start_from_filters(self) -> None:
        """Set ``direct`` to the mean of the bands around each frequency, and ``residual`` to nothing."""
        config = self.config
        filters = slaney_filterbank(config.sampling_rate, config.n_fft, config.n_mels, config.f_min, config.f_max)
        shares = filters.clone()
        shares[: int((shares.sum(1) > 0).int().argmax()), 0] = 1.0
        shares[shares.sum(1) == 0, -1] = 1.0
        shares = shares / shares.sum(1, keepdim=True)
        with torch.no_grad():
            self.direct.weight.copy_(shares)
            self.direct.bias.copy_(-shares @ filters.sum(0).log())
            self.residual.weight.zero_()
            self.residual.bias.zero_()

    def log_magnitudes(self, mel: Tensor) -> Tensor:
        """Log-mel ``[B, 128, T]`` -> natural logarithm of the magnitudes ``[B, T, bins]``."""
        x = self.stem(mel).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.direct(mel.transpose(1, 2)) + self.residual(self.norm(x))

    def forward(self, mel: Tensor, window: int | None = None) -> Tensor:
        """Log-mel ``[B, 128, T]`` -> waveforms ``[B, T * hop_length]`` in (-1, 1); B counts channels and songs alike.

        ``window`` is the number of frames that become samples at once, None for all; what lies within ``reach`` on
        either side is computed again, so that the samples are the same up to the rounding of sums.
        """
        frames, config = mel.shape[-1], self.config
        window = window or frames
        phases = _first_phases(frames, config.bins).to(mel.device)
        pieces = []
        for start in range(0, frames, window):
            first, last = max(start - config.reach, 0), start + window + config.reach
            near = self.log_magnitudes(mel[..., first:last]).float().clamp(LOG_FLOOR, LOG_CEILING).exp()
            samples = griffin_lim(near, phases[first:last], config.iterations, config.n_fft, config.hop_length)
            pieces.append(samples[:, (start - first) * config.hop_length :][:, : window * config.hop_length])
        return torch.cat(pieces, dim=-1).clamp(-1.0, 1.0).to(mel.dtype)


@functools.lru_cache(maxsize=1)
def _first_phases(frames: int, bins: int) -> Tensor:
    """Unit complex numbers [T, bins], the same at the same place in every song: equal channels stay equal."""
    generator = torch.Generator().manual_seed(PHASE_SEED)
    angles = torch.stack([torch.rand(bins, generator=generator) for _ in range(frames)]) * (2 * math.pi)
    return torch.polar(torch.ones_like(angles), angles)


def griffin_lim(magnitudes: Tensor, phases: Tensor, iterations: int, n_fft: int, hop_length: int) -> Tensor:
    """Samples ``[B, T * hop_length]`` whose spectra have about the magnitudes ``[B, T, bins]``.

    Begins with ``phases``, unit complex numbers ``[T, bins]``. Frames lie as in ``mel.LogMelSpectrogram``.
    """
    window = torch.hann_window(n_fft, device=magnitudes.device)
    overlaps = _overlap_add((window * window).expand(1, magnitudes.shape[1], n_fft), hop_length).clamp(min=1e-3)

    def signal(spectra: Tensor) -> Tensor:
        return _overlap_add(torch.fft.irfft(spectra, n_fft) * window, hop_length) / overlaps

    spectra = magnitudes * phases
    before = torch.zeros_like(spectra)
    for _ in range(iterations):
        consistent = torch.fft.rfft(signal(spectra).unfold(-1, n_fft, hop_length) * window)
        ahead = consistent + MOMENTUM * (consistent - before)
        spectra, before = magnitudes * ahead / ahead.abs().clamp(min=1e-9), consistent
    margin = (n_fft - hop_length) // 2
    return signal(spectra)[:, margin : margin + magnitudes.shape[1] * hop_length]


def _overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """``[B, T, n_fft]`` -> ``[B, (T - 1) * hop_length + n_fft]``; n_fft is a multiple of ``hop_length``."""
    hops = frames.unflatten(-1, (-1, hop_length))  # [B, T, n, hop]
    count, overlap = hops.shape[1:3]
    out = hops.new_zeros(hops.shape[0], count + overlap - 1, hop_length)
    for each in range(overlap):
        out[:, each : each + count] += hops[:, :, each]
    return out.flatten(1)
