"""Stage 1: fits the linear codec to log-mel frames (principal components, whitened) and measures it on held-out clips.

    python -m training.codec DATASET

Exact up to rounding: one pass over the training clips for mean and covariance, then one eigenvalue problem.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
from torch import Tensor

from acestep_batch.engine.linear_codec import LATENTS, PIXELS, LinearCodec, columns_of
from acestep_batch.engine.v1.autoencoder import LATENT_SCALE, LATENT_SHIFT, MEL_MAX, MEL_MIN
from training.clips import CLIPS_A_SHARD, Clips, is_held_out, read_clips
from training.progress import CHECKPOINTS, load, save

CODEC_FILE = "codec.pt"
GATE_NAT = 0.32
"""Most root-mean-square error of held-out log-mel values."""


def fit(clips: Clips) -> tuple[LinearCodec, Tensor]:
    """The codec, and how much of the log-mel variance (nat squared) each of its latents stands for, [128] falling."""
    total, square, count = torch.zeros(PIXELS, dtype=torch.float64), torch.zeros(PIXELS, PIXELS, dtype=torch.float64), 0
    for shard in range(clips.shards):
        columns = _columns(clips, shard, held_out=False).double()
        total += columns.sum(0)
        square += columns.T @ columns
        count += len(columns)
    mean = total / count
    variances, directions = torch.linalg.eigh(square / count - torch.outer(mean, mean))
    kept, axes = variances[-LATENTS:].flip(0).clamp(min=1e-8), directions[:, -LATENTS:].flip(1)
    axes = axes * axes.sum(0).sign().where(axes.sum(0) != 0, torch.ones(()))  # eigenvectors have no sign of their own
    return _codec(mean, axes, kept.sqrt()), kept.float()


def _codec(mean: Tensor, axes: Tensor, spread: Tensor) -> LinearCodec:
    """Mean [2048], axes [2048, 128] and standard deviations [128] of log-mel columns, as matrices between the pixels
    and the unscaled latents of the v1 autoencoder's interface."""
    codec = LinearCodec()
    half_range, centre = (MEL_MAX - MEL_MIN) / 2, (MEL_MAX + MEL_MIN) / 2
    to_latents, to_columns = axes.T / spread[:, None], axes * spread
    codec.encoder.load_state_dict(
        {
            "weight": (to_latents * half_range / LATENT_SCALE).float(),
            "bias": (to_latents @ (centre - mean) / LATENT_SCALE + LATENT_SHIFT).float(),
        }
    )
    codec.decoder.load_state_dict(
        {
            "weight": (to_columns * LATENT_SCALE / half_range).float(),
            "bias": ((mean - centre - to_columns.sum(1) * LATENT_SHIFT * LATENT_SCALE) / half_range).float(),
        }
    )
    return codec.requires_grad_(False).eval()


def encode(codec: LinearCodec, mel: Tensor) -> Tensor:
    """Log-mel ``[B, 2, 128, 8 * F]`` -> latents ``[B, 8, 16, F]``, as ``MusicEncoder`` does from audio."""
    z: Tensor = codec.encoder((mel - MEL_MIN) / (MEL_MAX - MEL_MIN) * 2 - 1)
    return (z - LATENT_SHIFT) * LATENT_SCALE


def decode(codec: LinearCodec, latents: Tensor) -> Tensor:
    """Latents ``[B, 8, 16, F]`` -> log-mel ``[B, 2, 128, 8 * F]``, as ``MusicDecoder`` does."""
    pixels: Tensor = codec.decoder(latents / LATENT_SCALE + LATENT_SHIFT)
    return (pixels * 0.5 + 0.5) * (MEL_MAX - MEL_MIN) + MEL_MIN


def held_out_error(codec: LinearCodec, clips: Clips) -> float:
    """Root-mean-square error, in nat, of held-out log-mel values."""
    error, count = 0.0, 0
    for shard in range(clips.shards):
        mel = _chosen(clips, shard, held_out=True)
        if len(mel):
            error += float((decode(codec, encode(codec, mel)) - mel).square().sum())
            count += mel.numel()
    if not count:
        raise ValueError(f"{clips.folder}: {len(clips)} clips are too few to leave one out; render 20 or more")
    return math.sqrt(error / count)


def load_codec(checkpoints: Path) -> tuple[LinearCodec, Tensor]:
    """The fitted codec and its variances."""
    content = load(checkpoints / CODEC_FILE)
    codec = LinearCodec()
    codec.load_state_dict(content["weights"])
    return codec.requires_grad_(False).eval(), content["variances"]


def _chosen(clips: Clips, shard: int, held_out: bool) -> Tensor:
    mel = clips.mel(shard)
    chosen = [i for i in range(len(mel)) if is_held_out(shard * CLIPS_A_SHARD + i) == held_out]
    return torch.from_numpy(mel[chosen]).float()


def _columns(clips: Clips, shard: int, held_out: bool) -> Tensor:
    return columns_of(_chosen(clips, shard, held_out)).flatten(0, 1)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.codec", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    given = parser.parse_args(arguments)
    begun = time.monotonic()
    clips = read_clips(given.dataset)
    codec, variances = fit(clips)
    error = held_out_error(codec, clips)
    content = {"weights": codec.state_dict(), "variances": variances, "held_out_nat": error, "clips": len(clips)}
    save(given.checkpoints / CODEC_FILE, content)
    passed = "passes" if error <= GATE_NAT else "FAILS"
    print(f"held-out mel error {error:.4f} nat: {passed} the gate of {GATE_NAT} ({time.monotonic() - begun:.0f} s)")


if __name__ == "__main__":
    main()
