"""Stage 1: fits the codec to log-mel frames, and measures it on held-out clips.

    python -m training.codec DATASET --minutes 8

Begins with principal components (exact: one pass, one eigenvalue problem), then learns from the neighbours of a frame
what they leave. In the end the latents are made white: mean 0, variance 1, independent of each other.
"""

from __future__ import annotations

import argparse
import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acestep_batch.engine.v1.autoencoder import LATENT_SCALE, LATENT_SHIFT, MEL_MAX, MEL_MIN
from acestep_batch.engine.v1.column_codec import (
    CONTEXT,
    HIDDEN,
    LATENTS,
    PIXELS,
    ColumnCodec,
    columns_of,
    with_neighbours,
)
from training.clips import Clips, is_held_out, read_clips
from training.progress import CHECKPOINTS, Chunk, default_device, load, save

CODEC_FILE, FIT_FILE = "codec.pt", "codec_fit.pt"
GATE_NAT = 0.30
"""Most root-mean-square error of held-out log-mel values."""
COMPONENTS = 512
STEPS, BATCH, LEARNING_RATE, WARM_UP = 2000, 16, 1e-3, 50
HALF_RANGE, CENTRE = (MEL_MAX - MEL_MIN) / 2, (MEL_MAX + MEL_MIN) / 2


def encode(codec: ColumnCodec, mel: Tensor) -> Tensor:
    """Log-mel ``[B, 2, 128, 8 * F]`` -> latents ``[B, 8, 16, F]``, as ``MusicEncoder`` does from audio."""
    z: Tensor = codec.encoder((mel - CENTRE) / HALF_RANGE)
    return (z - LATENT_SHIFT) * LATENT_SCALE


def decode(codec: ColumnCodec, latents: Tensor) -> Tensor:
    """Latents ``[B, 8, 16, F]`` -> log-mel ``[B, 2, 128, 8 * F]``, as ``MusicDecoder`` does."""
    pixels: Tensor = codec.decoder(latents / LATENT_SCALE + LATENT_SHIFT)
    return pixels * HALF_RANGE + CENTRE


@dataclass(frozen=True, slots=True)
class Components:
    """The principal components of log-mel columns: what the codec is fitted to, in place of 2048 values a frame."""

    mean: Tensor
    """[2048]"""
    axes: Tensor
    """[2048, 512], the weightiest first."""
    spreads: Tensor
    """[512], the standard deviations along them."""
    rest: float
    """The variance, nat squared of a whole frame, that lies along no axis."""

    def of(self, mel: Tensor) -> Tensor:
        """Log-mel ``[B, 2, 128, 8 * F]`` -> components with variance 1, ``[B, F, 512]``."""
        components: Tensor = (columns_of(mel) - self.mean) @ (self.axes / self.spreads)
        return components


def principal_components(clips: Clips) -> Components:
    """Of the training clips; exact up to rounding."""
    total, square, count = torch.zeros(PIXELS, dtype=torch.float64), torch.zeros(PIXELS, PIXELS, dtype=torch.float64), 0
    for shard in range(clips.shards):
        columns = columns_of(_chosen(clips, shard, held_out=False)).flatten(0, 1)
        total += columns.double().sum(0)
        square += (columns.T @ columns).double()
        count += len(columns)
    mean = total / count
    variances, directions = torch.linalg.eigh(square / count - torch.outer(mean, mean))
    kept, rest = variances[-COMPONENTS:].flip(0).clamp(min=1e-6), variances[:-COMPONENTS].clamp(min=0).sum()
    return Components(mean.float(), directions[:, -COMPONENTS:].flip(1).float(), kept.sqrt().float(), float(rest))


class Fit(nn.Module):
    """The codec between components instead of pixels; its latents have no scale of their own yet."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(CONTEXT * COMPONENTS, LATENTS)
        self.decode = nn.Linear(CONTEXT * LATENTS, COMPONENTS)
        self.widen = nn.Linear(CONTEXT * LATENTS, HIDDEN)
        self.narrow = nn.Linear(HIDDEN, COMPONENTS, bias=False)
        with torch.no_grad():  # to begin with, the first 128 components of the frame itself
            for layer in (self.encode, self.decode):
                layer.weight.zero_()
                layer.bias.zero_()
            self.narrow.weight.zero_()
            own = torch.arange(LATENTS)
            self.encode.weight[own, COMPONENTS + own] = 1.0
            self.decode.weight[own, LATENTS + own] = 1.0

    def forward(self, components: Tensor) -> Tensor:
        seen = with_neighbours(self.encode(with_neighbours(components)))
        decoded: Tensor = self.decode(seen) + self.narrow(F.gelu(self.widen(seen)))
        return decoded


def learn(clips: Clips, file: Path, seed: int, steps: int, minutes: float, device: str) -> tuple[Fit, Components]:
    """From principal components or from the checkpoint ``file`` on, until ``steps`` in all or for ``minutes``."""
    saved = load(file) if file.is_file() else None
    components = Components(**saved["components"]) if saved else principal_components(clips)
    torch.manual_seed(seed)
    fit = Fit().to(device)
    optimizer = torch.optim.Adam(fit.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99))
    step = first = 0
    if saved:
        fit.load_state_dict(saved["weights"])
        optimizer.load_state_dict(saved["optimizer"])
        step = first = saved["step"]
    data = torch.cat([components.of(_chosen(clips, i, held_out=False)).half() for i in range(clips.shards)])
    weights = components.spreads.square().to(device)
    chunk = Chunk(first, steps, minutes, file.with_suffix(".jsonl"))
    while not chunk.is_over:
        chosen = np.random.default_rng([seed, step]).choice(len(data), BATCH)
        batch = data[chosen].float().to(device)
        loss = ((fit(batch) - batch).square() * weights).sum(-1).mean()
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min((step + 1) / WARM_UP, 1.0) * (1 - 0.98 * step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if chunk.done(step, math.sqrt((loss.item() + components.rest) / PIXELS)):
            state = {"weights": fit.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
            save(file, {**state, "components": asdict(components)})
    return fit.cpu().requires_grad_(False).eval(), components


@torch.no_grad()
def white_codec(fit: Fit, components: Components, clips: Clips) -> tuple[ColumnCodec, Tensor]:
    """The codec between pixels that ``fit`` is, with white latents, the weightiest first; and how much log-mel variance
    (nat squared of a whole frame) each of them stands for, [128]."""
    latents = torch.cat(
        [fit.encode(with_neighbours(components.of(_chosen(clips, i, held_out=False)))) for i in range(clips.shards)]
    )
    latents = latents.flatten(0, 1).double()
    mean, covariance = latents.mean(0), torch.cov(latents.T)
    variances, axes = torch.linalg.eigh(covariance)
    unwhiten = axes * variances.clamp(min=1e-8).sqrt()  # from white latents to the fit's own, less their mean
    to_columns = (components.axes * components.spreads).double()  # [2048, 512]
    from_columns = (components.axes / components.spreads).T.double()  # [512, 2048]
    response = [each.double() @ unwhiten for each in fit.decode.weight.split(LATENTS, dim=1)]
    strength = torch.stack([each.T @ components.spreads.double().square().diag() @ each for each in response]).sum(0)
    weights, turn = torch.linalg.eigh(strength)
    unwhiten = unwhiten @ turn.flip(1)
    whiten = torch.linalg.inv(unwhiten)
    codec = ColumnCodec()
    encode_parts = [each.double() @ from_columns for each in fit.encode.weight.split(COMPONENTS, dim=1)]
    weight = whiten @ torch.cat(encode_parts, dim=1)  # of log-mel values
    offset = whiten @ (fit.encode.bias.double() - mean) - weight @ components.mean.double().repeat(CONTEXT)
    codec.encoder.linear.weight.copy_(weight * HALF_RANGE / LATENT_SCALE)
    codec.encoder.linear.bias.copy_((offset + weight.sum(1) * CENTRE) / LATENT_SCALE + LATENT_SHIFT)
    # The fit's latents are ``unwhiten @ ((z - shift) * scale) + mean``: the decoder's first layers take that in.
    for own, layer in ((fit.decode, codec.decoder.linear), (fit.widen, codec.decoder.widen)):
        parts = [each.double() for each in own.weight.split(LATENTS, dim=1)]
        folded = torch.cat([each @ unwhiten for each in parts], dim=1) * LATENT_SCALE
        constant = own.bias.double() + own.weight.double() @ mean.repeat(CONTEXT) - folded.sum(1) * LATENT_SHIFT
        if layer is codec.decoder.linear:
            folded = to_columns @ folded / HALF_RANGE
            constant = (to_columns @ constant + components.mean.double() - CENTRE) / HALF_RANGE
        layer.weight.copy_(folded)
        layer.bias.copy_(constant)
    codec.decoder.narrow.weight.copy_(to_columns @ fit.narrow.weight.double() / HALF_RANGE)
    return codec.requires_grad_(False).eval(), weights.flip(0).clamp(min=0).float()


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


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """A sha256 of a codec's weights: latents are of one codec alone."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(weights[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def load_codec(checkpoints: Path) -> tuple[ColumnCodec, Tensor]:
    """The fitted codec and the variance that each latent stands for."""
    content = load(checkpoints / CODEC_FILE)
    codec = ColumnCodec()
    codec.load_state_dict(content["weights"])
    return codec.requires_grad_(False).eval(), content["variances"]


def _chosen(clips: Clips, shard: int, held_out: bool) -> Tensor:
    mel = clips.mel(shard)
    chosen = [i for i in range(len(mel)) if is_held_out(shard * clips.manifest.shard_clips + i) == held_out]
    return torch.from_numpy(mel[chosen].astype(np.float32))


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
    fit, components = learn(clips, given.checkpoints / FIT_FILE, given.seed, given.steps, given.minutes, given.device)
    codec, variances = white_codec(fit, components, clips)
    error = held_out_error(codec, clips)
    content: dict[str, Any] = {"weights": codec.state_dict(), "variances": variances}
    save(given.checkpoints / CODEC_FILE, {**content, "held_out_nat": error, "clips": len(clips)})
    print(f"held-out mel error {error:.4f} nat: {'passes' if error <= GATE_NAT else 'FAILS'} the gate of {GATE_NAT}")


if __name__ == "__main__":
    main()
