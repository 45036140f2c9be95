"""The ADaMoS HiFi-GAN vocoder: log-mel frames to a waveform."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acestep_batch.engine.v1.mel import LogMelSpectrogram
from acestep_batch.engine.v1.sizes import VocoderSizes


class VocoderConfig(VocoderSizes):
    """The sizes, and the analysis that follows from them."""

    __slots__ = ()

    def mel_transform(self) -> LogMelSpectrogram:
        """The analysis that matches the vocoder, with the window and filters that follow from the sizes."""
        return LogMelSpectrogram(
            self.sampling_rate, self.n_fft, self.win_length, self.hop_length, self.n_mels, self.f_min, self.f_max
        )


class _ChannelsFirstLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of ``[B, C, T]``."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class _ConvNeXtBlock(nn.Module):
    """Depthwise convolution, then a two-layer perceptron per frame (Liu et al., A ConvNet for the 2020s, 2022)."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv1d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.dwconv(x).transpose(1, 2))  # [B, T, C]
        h = self.gamma * self.pwconv2(F.gelu(self.pwconv1(h)))
        return x + h.transpose(1, 2)


class _ConvNeXtBackbone(nn.Module):
    """``[B, input_channels, T]`` -> ``[B, dims[-1], T]``."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        dims, kernel_size = config.dims, config.kernel_sizes[0]
        stem = nn.Sequential(
            nn.Conv1d(config.input_channels, dims[0], kernel_size, padding=kernel_size // 2, padding_mode="replicate"),
            _ChannelsFirstLayerNorm(dims[0], eps=1e-6),
        )
        transitions = (
            nn.Sequential(_ChannelsFirstLayerNorm(narrow, eps=1e-6), nn.Conv1d(narrow, wide, 1))
            for narrow, wide in pairwise(dims)
        )
        self.channel_layers = nn.ModuleList([stem, *transitions])
        self.stages = nn.ModuleList(
            nn.Sequential(*(_ConvNeXtBlock(channels, kernel_size) for _ in range(depth)))
            for depth, channels in zip(config.depths, dims, strict=True)
        )
        self.norm = _ChannelsFirstLayerNorm(dims[-1], eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        for channel_layer, stage in zip(self.channel_layers, self.stages, strict=True):
            x = stage(channel_layer(x))
        return self.norm(x)


def _weight_normed(layer: nn.Conv1d | nn.ConvTranspose1d) -> nn.Module:
    """Replace the weight by the published pair: ``weight_g`` (length per first index) and ``weight_v`` (direction)."""
    direction = layer.weight.detach()
    del layer.weight
    layer.register_parameter("weight_g", nn.Parameter(direction.new_ones(len(direction), 1, 1)))  # until it is loaded
    layer.register_parameter("weight_v", nn.Parameter(direction))
    return layer


def fold_weight_norm(module: nn.Module) -> None:
    """Turn every ``weight_g`` and ``weight_v`` into a plain ``weight`` (Salimans & Kingma, 2016): w = g * v / |v|.

    Needed once after loading; a weight-normed layer cannot run before.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d) and hasattr(layer, "weight_g"):
            length, direction = layer.get_parameter("weight_g").detach(), layer.get_parameter("weight_v").detach()
            del layer.weight_g, layer.weight_v
            layer.weight = nn.Parameter(direction * (length / _lengths(direction)), requires_grad=False)


def _lengths(weight: Tensor) -> Tensor:
    return torch.linalg.vector_norm(weight, dim=(1, 2), keepdim=True)


def _same_conv(n_in: int, n_out: int, kernel_size: int, dilation: int = 1) -> nn.Module:
    """A weight-normed convolution that keeps the length (odd kernels)."""
    padding = dilation * (kernel_size - 1) // 2
    return _weight_normed(nn.Conv1d(n_in, n_out, kernel_size, dilation=dilation, padding=padding))


class _ResidualBlock(nn.Module):
    """Pairs of a dilated and a plain convolution, each pair with a skip (Kong et al., HiFi-GAN, 2020)."""

    def __init__(self, channels: int, kernel_size: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_same_conv(channels, channels, kernel_size, dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(_same_conv(channels, channels, kernel_size) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            x = x + plain(F.silu(dilated(F.silu(x))))
        return x


class _HiFiGANHead(nn.Module):
    """Frames ``[B, num_mels, T]`` -> samples in (-1, 1) ``[B, 1, T * hop_length]``.

    Every level halves the channels, lengthens time, and averages residual blocks of several kernel sizes.
    """

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        widths = config.head_widths
        self.conv_pre = _same_conv(config.num_mels, widths[0], config.pre_conv_kernel_size)
        self.ups = nn.ModuleList(
            _weight_normed(nn.ConvTranspose1d(wide, narrow, kernel_size, rate, padding=(kernel_size - rate) // 2))
            for wide, narrow, rate, kernel_size in zip(
                widths[:-1], widths[1:], config.upsample_rates, config.upsample_kernel_sizes, strict=True
            )
        )
        shapes = list(zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True))
        self.blocks_per_level = len(shapes)
        self.resblocks = nn.ModuleList(_ResidualBlock(width, *shape) for width in widths[1:] for shape in shapes)
        self.conv_post = _same_conv(widths[-1], 1, config.post_conv_kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_pre(x)
        for level, up in enumerate(self.ups):
            x = up(F.silu(x))
            first = level * self.blocks_per_level
            total = self.resblocks[first](x)
            for block in self.resblocks[first + 1 : first + self.blocks_per_level]:
                total = total + block(x)
            x = total / self.blocks_per_level
        return torch.tanh(self.conv_post(F.silu(x)))


class ADaMoSHiFiGANV1(nn.Module):
    """ConvNeXt backbone, HiFi-GAN head and the matching log-mel analysis; keys are the published checkpoint's."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = _ConvNeXtBackbone(config)
        self.head = _HiFiGANHead(config)
        self.mel_transform = config.mel_transform()

    def forward(self, mel: Tensor, window: int | None = None) -> Tensor:
        """Log-mel frames ``[B, n_mels, T]`` -> waveforms ``[B, T * hop_length]``; B counts channels and songs alike.

        ``window`` is the number of frames that the head turns into samples at once, None for all. With
        ``head_reach`` frames more on either side the samples are the same up to the rounding of sums, and the head,
        whose layers hold up to 8 times as many numbers as the samples are, never holds more than a window's.
        """
        frames: Tensor = self.backbone(mel)
        window = window or frames.shape[-1]
        reach, hop_length = self.config.head_reach, self.config.hop_length
        pieces = []
        for start in range(0, frames.shape[-1], window):
            first = max(start - reach, 0)
            samples = self.head(frames[..., first : start + window + reach]).squeeze(1)
            pieces.append(samples[:, (start - first) * hop_length :][:, : window * hop_length])
        return torch.cat(pieces, dim=-1)
