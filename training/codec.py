"""Stage 1: fits the codec to log-mel frames, and measures it on held-out clips.

    python -m training.codec DATASET --minutes 8

Begins with principal components (exact: one pass, one eigenvalue problem), then learns from the neighbours of a frame what
they leave. In the end the latents are made white: mean 0, variance 1, independent of each other.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acestep_batch.engine.v1.autoencoder import LATENT_SCALE, LATENT_SHIFT, MEL_MAX, MEL_MIN
from acestep_batch.engine.v1.column_codec import LATENTS, PIXELS, ColumnCodec, columns_of
from training.clips import CLIPS_A_SHARD, Clips, is_held_out, read_clips
from training.progress import CHECKPOINTS, Chunk, default_device, load, save

CODEC_FILE, FIT_FILE = "codec.pt", "codec_fit.pt"
GATE_NAT = 0.32
"""Most root-mean-square error of held-out log-mel values."""
STEPS, BATCH, LEARNING_RATE = 3000, 8, 5e-4
HALF_RANGE, CENTRE = (MEL_MAX - MEL_MIN) / 2, (MEL_MAX + MEL_MIN) / 2


def encode(codec: ColumnCodec, mel: Tensor) -> Tensor:
    """Log-mel ``[B, 2, 128, 8 * F]`` -> latents ``[B, 8, 16, F]``, as ``MusicEncoder`` does from audio."""
    z: Tensor = codec.encoder((mel - CENTRE) / HALF_RANGE)
    return (z - LATENT_SHIFT) * LATENT_SCALE


def decode(codec: ColumnCodec, latents: Tensor) -> Tensor:
    """Latents ``[B, 8, 16, F]`` -> log-mel ``[B, 2, 128, 8 * F]``, as ``MusicDecoder`` does."""
    pixels: Tensor = codec.decoder(latents / LATENT_SCALE + LATENT_SHIFT)
    return pixels * HALF_RANGE + CENTRE


def principal_components(clips: Clips) -> ColumnCodec:
    """The best codec that is linear and looks at a frame alone."""
    total, square, count = torch.zeros(PIXELS, dtype=torch.float64), torch.zeros(PIXELS, PIXELS, dtype=torch.float64), 0
    for shard in range(clips.shards):
        columns = columns_of(_chosen(clips, shard, held_out=False)).flatten(0, 1)
        total += columns.double().sum(0)
        square += (columns.T @ columns).double()
        count += len(columns)
    mean = total / count
    variances, directions = torch.linalg.eigh(square / count - torch.outer(mean, mean))
    axes, spread = directions[:, -LATENTS:].flip(1), variances[-LATENTS:].flip(0).clamp(min=1e-6).sqrt()
    codec = ColumnCodec()
    to_latents, to_columns = (axes / spread).T, axes * spread
    own_pixels, own_latents = slice(PIXELS, 2 * PIXELS), slice(LATENTS, 2 * LATENTS)
    with torch.no_grad():
        for layer in (codec.encoder.linear, codec.decoder.linear):
            layer.weight.zero_()
        codec.decoder.narrow.weight.zero_()
        codec.encoder.linear.weight[:, own_pixels] = (to_latents * HALF_RANGE / LATENT_SCALE).float()
        codec.encoder.linear.bias.copy_(to_latents @ (CENTRE - mean) / LATENT_SCALE + LATENT_SHIFT)
        codec.decoder.linear.weight[:, own_latents] = (to_columns * LATENT_SCALE / HALF_RANGE).float()
        offset = to_columns.sum(1) * LATENT_SHIFT * LATENT_SCALE
        codec.decoder.linear.bias.copy_((mean - CENTRE - offset) / HALF_RANGE)
    return codec


def learn(clips: Clips, file: Path, seed: int, steps: int, minutes: float, device: str) -> ColumnCodec:
    """From principal components or from the checkpoint ``file`` on, until ``steps`` in all or for ``minutes``."""
    torch.manual_seed(seed)
    saved = load(file, device) if file.is_file() else None
    codec = ColumnCodec() if saved else principal_components(clips)
    codec.to(device)
    # One step size suits neither matrix: pixels and latents differ in scale, so each layer has its own.
    groups = [
        {"params": [codec.encoder.linear.weight], "scale": 0.05},
        {"params": [codec.decoder.linear.weight, codec.encoder.linear.bias, codec.decoder.linear.bias], "scale": 0.2},
        {"params": [*codec.decoder.widen.parameters(), codec.decoder.narrow.weight], "scale": 1.0},
    ]
    optimizer = torch.optim.Adam(groups, lr=LEARNING_RATE, betas=(0.9, 0.99))
    first = 0
    if saved:
        codec.load_state_dict(saved["weights"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]
    trained = [clip for clip in range(len(clips)) if not is_held_out(clip)]
    chunk = Chunk(first, steps, minutes, file.with_suffix(".jsonl"))
    step = first
    while not chunk.is_over(step):
        chosen = np.random.default_rng([seed, step]).choice(trained, BATCH)
        mel = torch.stack([_mel(clips, int(clip)) for clip in chosen]).to(device)
        loss = (decode(codec, encode(codec, mel)) - mel).square().mean()
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * group["scale"] * min((step + 1) / 50, 1.0) * (1 - 0.95 * step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        chunk.note(step, math.sqrt(loss.item()))
        step += 1
        if chunk.wants_checkpoint(step - 1):
            save(file, {"weights": codec.state_dict(), "optimizer": optimizer.state_dict(), "step": step})
    return codec.cpu().requires_grad_(False).eval()


@torch.no_grad()
def whitened(codec: ColumnCodec, clips: Clips) -> tuple[ColumnCodec, Tensor]:
    """The same codec with white latents, the weightiest first, and how much log-mel variance (nat squared in all of a
    frame's values) each of them stands for, [128]."""
    total, square, count = torch.zeros(LATENTS, dtype=torch.float64), torch.zeros(LATENTS, LATENTS, dtype=torch.float64), 0
    for shard in range(clips.shards):
        z = codec.encoder((_chosen(clips, shard, held_out=False) - CENTRE) / HALF_RANGE)
        frames = z.flatten(1, 2).transpose(1, 2).flatten(0, 1).double()
        total += frames.sum(0)
        square += frames.T @ frames
        count += len(frames)
    mean = total / count
    variances, axes = torch.linalg.eigh(square / count - torch.outer(mean, mean))
    unwhiten = axes * variances.clamp(min=1e-8).sqrt()  # from white latents to the codec's own, less their mean
    response = [each.double() @ unwhiten for each in codec.decoder.linear.weight.split(LATENTS, dim=1)]
    weight, turn = torch.linalg.eigh(sum(each.T @ each for each in response) * HALF_RANGE**2)  # type: ignore[union-attr]
    unwhiten = unwhiten @ turn.flip(1)
    whiten = torch.linalg.inv(unwhiten)
    white = ColumnCodec()
    white.encoder.linear.weight.copy_(whiten @ codec.encoder.linear.weight.double() / LATENT_SCALE)
    bias = whiten @ (codec.encoder.linear.bias.double() - mean)
    white.encoder.linear.bias.copy_(bias / LATENT_SCALE + LATENT_SHIFT)
    # Own latents are ``unwhiten @ ((z - shift) * scale) + mean``; the decoder's first layers take that in.
    for old, new in ((codec.decoder.linear, white.decoder.linear), (codec.decoder.widen, white.decoder.widen)):
        parts = [each.double() for each in old.weight.split(LATENTS, dim=1)]
        folded = [each @ unwhiten * LATENT_SCALE for each in parts]
        new.weight.copy_(torch.cat(folded, dim=1))
        constant = sum((part @ mean - fold.sum(1) * LATENT_SHIFT) for part, fold in zip(parts, folded, strict=True))
        new.bias.copy_(old.bias.double() + constant)
    white.decoder.narrow.weight.copy_(codec.decoder.narrow.weight)
    return white.requires_grad_(False).eval(), weight.flip(0).clamp(min=0).float()


def held_out_error(codec: ColumnCodec, clips: Clips) -> float:
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


def load_codec(checkpoints: Path) -> tuple[ColumnCodec, Tensor]:
    """The fitted codec and the variance that each latent stands for."""
    content = load(checkpoints / CODEC_FILE)
    codec = ColumnCodec()
    codec.load_state_dict(content["weights"])
    return codec.requires_grad_(False).eval(), content["variances"]


def _chosen(clips: Clips, shard: int, held_out: bool) -> Tensor:
    mel = clips.mel(shard)
    chosen = [i for i in range(len(mel)) if is_held_out(shard * CLIPS_A_SHARD + i) == held_out]
    return torch.from_numpy(mel[chosen].astype(np.float32))


def _mel(clips: Clips, clip: int) -> Tensor:
    return torch.from_numpy(clips.mel(clip // CLIPS_A_SHARD)[clip % CLIPS_A_SHARD].astype(np.float32))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.codec", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    given = parser.parse_args(arguments)
    clips = read_clips(given.dataset)
    fitted = learn(clips, given.checkpoints / FIT_FILE, given.seed, given.steps, given.minutes, given.device)
    codec, variances = whitened(fitted, clips)
    error = held_out_error(codec, clips)
    content: dict[str, Any] = {"weights": codec.state_dict(), "variances": variances}
    save(given.checkpoints / CODEC_FILE, {**content, "held_out_nat": error, "clips": len(clips)})
    print(f"held-out mel error {error:.4f} nat: {'passes' if error <= GATE_NAT else 'FAILS'} the gate of {GATE_NAT}")


if __name__ == "__main__":
    main()
