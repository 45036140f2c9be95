"""Stage 2: trains the magnitude network of the vocoder on log-mel frames and the audio that they are of.

    python -m training.vocoder DATASET --minutes 10

Half of the inputs have been through the codec of stage 1, since that is what the network will hear.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acestep_batch.engine.v1.column_codec import ColumnCodec
from acestep_batch.engine.v1.magnitude_vocoder import (
    LOG_CEILING,
    LOG_FLOOR,
    MagnitudeVocoder,
    MagnitudeVocoderConfig,
)
from training.clips import Clips, is_held_out, read_clips
from training.codec import decode, encode, load_codec
from training.progress import CHECKPOINTS, Chunk, default_device, load, save
from training.tempo import HOP

VOCODER_FILE = "vocoder.pt"
FRAMES, BATCH = 64, 16
LEARNING_RATE, WARM_UP = 2e-3, 50
STEPS = 6000


def batch_of(clips: Clips, codec: ColumnCodec, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Log-mel ``[16, 128, 64]`` and the magnitudes of its audio ``[16, 64, 1025]``; a function of ``seed`` and step.

    All of one shard, so that a step reads one file. Cuts of one channel each.
    """
    draw = np.random.default_rng([seed, step])
    shard = int(draw.integers(clips.shards))
    mel, audio = clips.mel(shard), clips.audio(shard)
    trained = [i for i in range(len(mel)) if not is_held_out(shard * clips.manifest.shard_clips + i)]
    mels, cuts = [], []
    for number in range(BATCH):
        clip, channel = int(draw.choice(trained)), int(draw.integers(2))
        start = int(draw.integers(1, (mel.shape[-1] - FRAMES) // 8 - 1)) * 8
        both = torch.from_numpy(np.array(mel[clip, :, :, start : start + FRAMES], dtype=np.float32))
        if number % 2:
            both = decode(codec, encode(codec, both[None]))[0]
        mels.append(both[channel])
        cuts.append(samples_of(audio[clip, channel], start, FRAMES))
    return torch.stack(mels), magnitudes_of(torch.stack(cuts))


def samples_of(audio: np.ndarray, start: int, frames: int, n_fft: int = 2048) -> Tensor:
    """The samples that ``frames`` frames from ``start`` on are made of, where the audio does not end before them."""
    margin = (n_fft - HOP) // 2
    cut = audio[start * HOP - margin : (start + frames) * HOP + margin]
    return torch.from_numpy(cut.astype(np.float32) / 32767)


def magnitudes_of(samples: Tensor, n_fft: int = 2048) -> Tensor:
    """``[B, N]`` -> magnitudes ``[B, T, 1025]`` of every whole frame."""
    window = torch.hann_window(n_fft)
    return torch.fft.rfft(samples.unfold(-1, n_fft, HOP) * window).abs()


def loss_of(vocoder: MagnitudeVocoder, mel: Tensor, magnitudes: Tensor) -> Tensor:
    """Mean error of the logarithm, in nat, and the spectral convergence: quiet parts count, and so do loud ones."""
    said = vocoder.log_magnitudes(mel).float().clamp(LOG_FLOOR - 2, LOG_CEILING)
    wanted = magnitudes.log().clamp(LOG_FLOOR, LOG_CEILING)
    convergence = (said.exp() - magnitudes).norm(dim=(1, 2)) / magnitudes.norm(dim=(1, 2)).clamp(min=1.0)
    return (said - wanted).abs().mean() + convergence.mean()


def train(
    clips: Clips, codec: ColumnCodec, file: Path, seed: int, steps: int, minutes: float, device: str
) -> MagnitudeVocoder:
    """Train from the checkpoint ``file``, where there is one, until ``steps`` in all or for ``minutes``."""
    torch.manual_seed(seed)
    vocoder = MagnitudeVocoder(MagnitudeVocoderConfig())
    vocoder.start_from_filters()
    vocoder.to(device)
    optimizer = torch.optim.AdamW(vocoder.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    first = 0
    if file.is_file():
        saved = load(file, device)
        vocoder.load_state_dict(saved["weights"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]
    chunk = Chunk(first, steps, minutes, file.with_suffix(".jsonl"))
    step = first
    while not chunk.is_over:
        mel, magnitudes = (each.to(device) for each in batch_of(clips, codec, seed, step))
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min((step + 1) / WARM_UP, 1.0) * (1 - 0.95 * step / steps)
        loss = loss_of(vocoder, mel, magnitudes)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vocoder.parameters(), 1.0)
        optimizer.step()
        step += 1
        if chunk.done(step, loss.item()):
            save(file, content_of(vocoder, optimizer, step))
    return vocoder


def content_of(vocoder: MagnitudeVocoder, optimizer: torch.optim.Optimizer, step: int) -> dict[str, Any]:
    """What a checkpoint of this stage holds."""
    return {
        "weights": vocoder.state_dict(),
        "config": dataclasses.asdict(vocoder.config),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }


@torch.inference_mode()
def held_out_errors(vocoder: MagnitudeVocoder, codec: ColumnCodec, clips: Clips, most: int = 4) -> tuple[float, float]:
    """Root-mean-square log-mel errors, in nat, of what the vocoder makes of held-out clips: of their log-mel as it is,
    and after the codec."""
    transform = _mel_transform()
    held_out = [clip for clip in range(len(clips)) if is_held_out(clip)][:most]
    errors: list[list[float]] = [[], []]
    for clip in held_out:
        mel = torch.from_numpy(
            np.array(clips.mel(clip // clips.manifest.shard_clips)[clip % clips.manifest.shard_clips], dtype=np.float32)
        )
        for found, given in zip(errors, (mel, decode(codec, encode(codec, mel[None]))[0]), strict=True):
            again = transform(vocoder(given))
            found.append(float((again - mel).square().mean()))
    plain, coded = (float(np.sqrt(np.mean(found))) for found in errors)
    return plain, coded


def _mel_transform() -> torch.nn.Module:
    from acestep_batch.engine.v1.vocoder import VocoderConfig

    return VocoderConfig().mel_transform()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.vocoder", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    given = parser.parse_args(arguments)
    clips, (codec, _) = read_clips(given.dataset), load_codec(given.checkpoints)
    file = given.checkpoints / VOCODER_FILE
    vocoder = train(clips, codec, file, given.seed, given.steps, given.minutes, given.device)
    plain, coded = held_out_errors(vocoder.cpu().eval(), codec, clips)
    print(f"held-out log-mel of the vocoder's audio: error {plain:.3f} nat, after the codec {coded:.3f} nat")


if __name__ == "__main__":
    main()
