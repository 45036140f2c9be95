"""Audio to latents: log-mel frames, then the autoencoder's encoder. Only tasks with a source need it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

from acestep_batch.engine.v1.autoencoder import (
    LATENT_SCALE,
    LATENT_SHIFT,
    MEL_FRAMES_PER_LATENT,
    MEL_MAX,
    MEL_MIN,
    WEIGHTS_FILE,
    empty_autoencoder,
    read_config,
)
from acestep_batch.engine.v1.magnitude_vocoder import CLASS_NAME as MAGNITUDE_VOCODER
from acestep_batch.engine.v1.mel import LogMelSpectrogram
from acestep_batch.engine.v1.resample import resample
from acestep_batch.engine.v1.vocoder import VocoderConfig


class MusicEncoder:
    """The other direction of ``MusicDecoder``, of the same checkpoint."""

    def __init__(
        self,
        encoder: nn.Module,
        mel_transform: LogMelSpectrogram,
        sizes: VocoderConfig,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        """``encoder`` is an autoencoder's; log-mel values are computed in float32 whatever its ``dtype``."""
        self.encoder = encoder.to(device, dtype)
        self.mel_transform = mel_transform.to(device, torch.float32)
        self.native_rate = sizes.sampling_rate
        self.samples_per_latent = sizes.hop_length * MEL_FRAMES_PER_LATENT

    def to(self, target: str | torch.device | torch.dtype) -> Self:
        """Move both parts to a device, or cast the encoder."""
        self.encoder.to(target)
        if not isinstance(target, torch.dtype):
            self.mel_transform.to(target)
        return self

    @torch.inference_mode()
    def encode(self, audio: Tensor, sample_rate: int) -> Tensor:
        """Audio ``[B, 1 or 2, N]`` at ``sample_rate`` Hz -> latents ``[B, 8, 16, F]`` float32.

        The audio is resampled to 44100 Hz in float32 on the CPU and padded with silence to whole latent frames; one
        channel counts as both.
        """
        parameter = next(self.encoder.parameters())
        native = resample(audio.float().cpu(), sample_rate, self.native_rate).expand(-1, 2, -1)
        padded = F.pad(native, (0, -native.shape[-1] % self.samples_per_latent)).to(parameter.device)
        mel = self.mel_transform(padded.flatten(0, 1)).unflatten(0, padded.shape[:2])  # [B, 2, 128, 8 * F]
        pixels = ((mel - MEL_MIN) / (MEL_MAX - MEL_MIN) - 0.5) / 0.5
        z: Tensor = self.encoder(pixels.to(parameter.dtype)).float()
        return (z - LATENT_SHIFT) * LATENT_SCALE


def load_encoder(dcae_folder: Path, vocoder_folder: Path, dtype: torch.dtype, device: str) -> MusicEncoder:
    """Read the encoder of ``music_dcae_f8c8`` and the log-mel transform of ``music_vocoder``; nothing else of them.

    Raises RuntimeError where names or shapes do not match.
    """
    with torch.device("meta"):
        encoder = empty_autoencoder(read_config(dcae_folder)).encoder
    encoder.load_state_dict(_read_part(dcae_folder, "encoder."), assign=True)
    config = read_config(vocoder_folder)
    sizes = VocoderConfig.from_dict(config)
    mel_transform = sizes.mel_transform()
    if config.get("_class_name") != MAGNITUDE_VOCODER:  # which needs none of its own
        mel_transform.load_state_dict(_read_part(vocoder_folder, "mel_transform."), assign=True)
    return MusicEncoder(encoder.eval().requires_grad_(False), mel_transform, sizes, dtype, device)


def _read_part(folder: Path, prefix: str) -> dict[str, Any]:
    """The tensors of a component whose names start with ``prefix``, without it."""
    with safe_open(folder / WEIGHTS_FILE, framework="pt") as tensors:
        names = [name for name in tensors.keys() if name.startswith(prefix)]  # noqa: SIM118
        return {name.removeprefix(prefix): tensors.get_tensor(name) for name in names}
