"""A small codec in an autoencoder's place: 8 log-mel columns and their neighbours to one latent frame, and back.

It has the interface of diffusers' AutoencoderDC as ``MusicDecoder`` and ``MusicEncoder`` use it, so that scale and
range of latents and pixels stay theirs. It knows neither audio nor how its weights were made.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

CLASS_NAME = "ColumnCodec"
"""Of a ``config.json``, under ``_class_name``."""
CHANNELS, MELS, COLUMNS = 2, 128, 8
LATENT_CHANNELS, LATENT_HEIGHT = 8, 16
PIXELS = CHANNELS * MELS * COLUMNS
"""Numbers in the pixels of one latent frame."""
LATENTS = LATENT_CHANNELS * LATENT_HEIGHT
"""Numbers in one latent frame."""
HIDDEN = 192
CONTEXT = 3
"""Frames that a frame is made of: itself and its neighbours."""


class ColumnCodec(nn.Module):
    """Encoder and decoder under the names that an AutoencoderDC has."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ColumnEncoder()
        self.decoder = ColumnDecoder()


class ColumnEncoder(nn.Module):
    """Pixels ``[B, 2, 128, 8 * F]`` -> latents ``[B, 8, 16, F]``: one linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(CONTEXT * PIXELS, LATENTS)

    def forward(self, pixels: Tensor) -> Tensor:
        latents: Tensor = self.linear(with_neighbours(columns_of(pixels)))  # [B, F, 128]
        return latents.transpose(1, 2).unflatten(1, (LATENT_CHANNELS, LATENT_HEIGHT))


class ColumnDecoder(nn.Module):
    """Latents ``[B, 8, 16, F]`` -> pixels ``[B, 2, 128, 8 * F]``: a linear map, and a hidden layer beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(CONTEXT * LATENTS, PIXELS)
        self.widen = nn.Linear(CONTEXT * LATENTS, HIDDEN)
        self.narrow = nn.Linear(HIDDEN, PIXELS, bias=False)

    def forward(self, latents: Tensor) -> Tensor:
        seen = with_neighbours(latents.flatten(1, 2).transpose(1, 2))
        return pixels_of(self.linear(seen) + self.narrow(F.gelu(self.widen(seen))))


def with_neighbours(frames: Tensor) -> Tensor:
    """``[B, F, C]`` -> ``[B, F, 3 * C]``: before, itself, after. The first and the last are their own neighbours."""
    padded = F.pad(frames.transpose(1, 2), (1, 1), mode="replicate").transpose(1, 2)
    return padded.unfold(1, CONTEXT, 1).transpose(-1, -2).flatten(2)


def columns_of(pixels: Tensor) -> Tensor:
    """``[B, 2, 128, 8 * F]`` -> what one latent frame stands for, ``[B, F, 2048]``."""
    return pixels.unflatten(-1, (-1, COLUMNS)).permute(0, 3, 1, 2, 4).flatten(2)


def pixels_of(columns: Tensor) -> Tensor:
    """The way back from ``columns_of``."""
    pixels: Tensor = columns.unflatten(-1, (CHANNELS, MELS, COLUMNS)).permute(0, 2, 3, 1, 4).flatten(3)
    return pixels
