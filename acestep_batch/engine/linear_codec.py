"""A linear codec in an autoencoder's place: 8 log-mel columns to one latent frame and back, each by one matrix.

It has the interface of diffusers' AutoencoderDC as ``MusicDecoder`` and ``MusicEncoder`` use it, so that scale and range
of latents and pixels stay theirs. It knows neither audio nor where its matrices come from.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

CLASS_NAME = "LinearCodec"
"""Of a ``config.json``, under ``_class_name``."""
CHANNELS, MELS, COLUMNS = 2, 128, 8
LATENT_CHANNELS, LATENT_HEIGHT = 8, 16
PIXELS = CHANNELS * MELS * COLUMNS
"""Numbers in the pixels of one latent frame."""
LATENTS = LATENT_CHANNELS * LATENT_HEIGHT
"""Numbers in one latent frame."""


class LinearCodec(nn.Module):
    """Encoder and decoder under the names that an AutoencoderDC has."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ColumnEncoder()
        self.decoder = ColumnDecoder()


class ColumnEncoder(nn.Linear):
    """Pixels ``[B, 2, 128, 8 * F]`` -> latents ``[B, 8, 16, F]``."""

    def __init__(self) -> None:
        super().__init__(PIXELS, LATENTS)

    def forward(self, pixels: Tensor) -> Tensor:
        latents = super().forward(columns_of(pixels))  # [B, F, 128]
        return latents.transpose(1, 2).unflatten(1, (LATENT_CHANNELS, LATENT_HEIGHT))


class ColumnDecoder(nn.Linear):
    """Latents ``[B, 8, 16, F]`` -> pixels ``[B, 2, 128, 8 * F]``."""

    def __init__(self) -> None:
        super().__init__(LATENTS, PIXELS)

    def forward(self, latents: Tensor) -> Tensor:
        return pixels_of(super().forward(latents.flatten(1, 2).transpose(1, 2)))


def columns_of(pixels: Tensor) -> Tensor:
    """``[B, 2, 128, 8 * F]`` -> what one latent frame stands for, ``[B, F, 2048]``."""
    return pixels.unflatten(-1, (-1, COLUMNS)).permute(0, 3, 1, 2, 4).flatten(2)


def pixels_of(columns: Tensor) -> Tensor:
    """The way back from ``columns_of``."""
    pixels = columns.unflatten(-1, (CHANNELS, MELS, COLUMNS)).permute(0, 2, 3, 1, 4)
    return cast(Tensor, pixels.flatten(3))
