"""Latents to stereo audio: the decoder of the autoencoder gives log-mel frames, the vocoder samples.

Which classes they are says ``_class_name`` in their ``config.json``: the published ones, or the small ones
in their place.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from safetensors.torch import load_file
from torch import Tensor, nn

from acestep_batch.engine.v1.at_once import SMALL, AtOnce, suited_to
from acestep_batch.engine.v1.column_codec import CLASS_NAME as COLUMN_CODEC
from acestep_batch.engine.v1.column_codec import ColumnCodec
from acestep_batch.engine.v1.limits import latent_frames
from acestep_batch.engine.v1.magnitude_vocoder import CLASS_NAME as MAGNITUDE_VOCODER
from acestep_batch.engine.v1.magnitude_vocoder import MagnitudeVocoder, MagnitudeVocoderConfig
from acestep_batch.engine.v1.resample import resample
from acestep_batch.engine.v1.vocoder import ADaMoSHiFiGANV1, VocoderConfig, fold_weight_norm

LATENT_SCALE, LATENT_SHIFT = 0.1786, -1.9091
"""Normalised latents are ``(z - LATENT_SHIFT) * LATENT_SCALE``; AutoencoderDC's own scaling factor is not used."""
MEL_MIN, MEL_MAX = -11.0, 3.0
"""Range of the log-mel values that the autoencoder sees as -1 to 1."""
MEL_FRAMES_PER_LATENT = 8
WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
"""Beside the ``config.json`` of a component."""

OVERLAPPED_FRAMES = latent_frames(48.0)
"""Songs up to this length are decoded plainly when windows are asked for, as in the reference implementation."""
LATENT_WINDOW, LATENT_HOP = 512, 256
LATENT_WINDOW_TRIM = (LATENT_WINDOW - LATENT_HOP) * MEL_FRAMES_PER_LATENT // 2
MEL_WINDOW, MEL_HOP = 512, 508
CROSSFADE_START, CROSSFADE_LENGTH = 896, 128
"""Overlapped decoding, as in the reference implementation (ace-step/ACE-Step at d612523): latent windows keep their
middle; the waveforms of mel windows overlap by 2048 samples, of which these are blended."""


class MusicDecoder:
    """Latents to audio."""

    def __init__(
        self,
        dcae: AutoencoderDC | ColumnCodec,
        vocoder: ADaMoSHiFiGANV1 | MagnitudeVocoder,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        self.decoder = dcae.decoder.to(device, dtype)
        self.vocoder = vocoder.to(device, dtype)

    def to(self, target: str | torch.device | torch.dtype) -> Self:
        """Move both networks to a device, or cast them."""
        self.decoder.to(target)
        self.vocoder.to(target)
        return self

    @property
    def at_once(self) -> AtOnce:
        """What suits the device that the networks are on."""
        return suited_to(_first_parameter(self.decoder).device.type)

    def decode(self, latents: Tensor, sample_rate: int, small_windows: bool = False) -> list[np.ndarray]:
        """Latents ``[B, 8, 16, F]`` -> B arrays ``[2, N]`` float32 at ``sample_rate`` Hz, in about (-1, 1).

        N is ``F * 4096`` at 44100 Hz, the native rate, and ``ceil(F * 4096 * sample_rate / 44100)`` otherwise, when
        the audio is resampled in float32 on the CPU. ``small_windows`` takes the least memory, on a CPU as always.
        """
        return self.decode_in_groups(latents, sample_rate, SMALL if small_windows else self.at_once)

    @torch.inference_mode()
    def decode_in_groups(self, latents: Tensor, sample_rate: int, at_once: AtOnce) -> list[np.ndarray]:
        """Like ``decode``, with as many songs in a pass as ``at_once`` allows."""
        groups = latents.split(at_once.songs(latents.shape[-1]))
        waveforms = (self._waveform(self.decode_mel(group), at_once.mel_frames) for group in groups)
        return [self._at_rate(song, sample_rate) for group in waveforms for song in group]

    def decode_overlapped(self, latents: Tensor, sample_rate: int) -> list[np.ndarray]:
        """Like ``decode``, but songs over 48 s (``OVERLAPPED_FRAMES``) by ``decode_windows``."""
        if latents.shape[-1] <= OVERLAPPED_FRAMES:
            return self.decode(latents, sample_rate)
        return self.decode_windows(latents, sample_rate)

    @torch.inference_mode()
    def decode_windows(self, latents: Tensor, sample_rate: int) -> list[np.ndarray]:
        """Like ``decode``, in overlapping windows, song by song, which bounds the memory of both networks.

        The result differs slightly from the plain decode, and N is rounded down.
        """
        n_samples = latents.shape[-1] * MEL_FRAMES_PER_LATENT * self.vocoder.config.hop_length
        n_resampled = n_samples * sample_rate // self.vocoder.config.sampling_rate
        return [
            self._at_rate(self._windowed_waveform(self._windowed_mel(song)), sample_rate)[:, :n_resampled]
            for song in latents.split(1)
        ]

    @torch.inference_mode()
    def decode_mel(self, latents: Tensor) -> Tensor:
        """Latents ``[B, 8, 16, F]`` -> log-mel of both channels ``[B, 2, 128, 8 * F]``, float32."""
        z = latents.float() / LATENT_SCALE + LATENT_SHIFT
        pixels = self.decoder(z.to(_first_parameter(self.decoder))).float()
        return (pixels * 0.5 + 0.5) * (MEL_MAX - MEL_MIN) + MEL_MIN

    def _waveform(self, mel: Tensor, window: int) -> Tensor:
        """Log-mel ``[B, 2, 128, T]`` -> samples ``[B, 2, T * 512]``, float32, ``window`` mel frames at a time."""
        waveforms: Tensor = self.vocoder(mel.flatten(0, 1).to(_first_parameter(self.vocoder)), window)
        return waveforms.unflatten(0, mel.shape[:2]).float()

    def _windowed_mel(self, latents: Tensor) -> Tensor:
        """One song's latents ``[1, 8, 16, F]`` -> log-mel ``[1, 2, 128, 8 * F]``."""
        n_frames = latents.shape[-1]
        pieces = []
        for start in range(0, max(n_frames - LATENT_WINDOW, 0) + LATENT_HOP, LATENT_HOP):
            mel = self.decode_mel(latents[..., start : start + LATENT_WINDOW])
            head = LATENT_WINDOW_TRIM if start > 0 else 0
            tail = LATENT_WINDOW_TRIM if start + LATENT_WINDOW < n_frames else 0
            pieces.append(mel[..., head : mel.shape[-1] - tail])
        return torch.cat(pieces, dim=-1)

    def _windowed_waveform(self, mel: Tensor) -> Tensor:
        """Log-mel ``[1, 2, 128, T]`` -> samples ``[2, T * 512]``."""
        n_mel = mel.shape[-1]
        hop_length = self.vocoder.config.hop_length
        block_length = MEL_WINDOW * hop_length
        ramp = torch.arange(block_length, device=mel.device) - CROSSFADE_START
        fade_in = (ramp / (CROSSFADE_LENGTH - 1)).clamp(0, 1)
        audio = mel.new_zeros(2, (n_mel + MEL_WINDOW) * hop_length)
        for start in range(0, max(n_mel - MEL_WINDOW, 0) + MEL_HOP, MEL_HOP):
            window = mel[..., start : start + MEL_WINDOW]
            block = self._waveform(F.pad(window, (0, MEL_WINDOW - window.shape[-1])), self.at_once.mel_frames)[0]
            here = audio[:, start * hop_length :][:, :block_length]
            here.lerp_(block, fade_in if start > 0 else torch.ones_like(fade_in))
        return audio[:, : n_mel * hop_length]

    def _at_rate(self, audio: Tensor, sample_rate: int) -> np.ndarray:
        resampled: np.ndarray = resample(audio.cpu(), self.vocoder.config.sampling_rate, sample_rate).numpy()
        return resampled


def load_decoder(dcae_folder: Path, vocoder_folder: Path, dtype: torch.dtype, device: str) -> MusicDecoder:
    """Read ``music_dcae_f8c8`` and ``music_vocoder`` of the published layout (``config.json`` and safetensors)."""
    dcae = build_autoencoder(*_read_component(dcae_folder))
    return MusicDecoder(dcae, build_vocoder(*_read_component(vocoder_folder)), dtype, device)


def build_autoencoder(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> AutoencoderDC | ColumnCodec:
    """The autoencoder of a ``config.json`` with these weights, as they are.

    Raises RuntimeError where names or shapes do not match.
    """
    with torch.device("meta"):
        model = empty_autoencoder(config)
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(False)


def empty_autoencoder(config: Mapping[str, Any]) -> AutoencoderDC | ColumnCodec:
    """The autoencoder of a ``config.json``, its weights still to be filled in."""
    if config.get("_class_name") == COLUMN_CODEC:
        return ColumnCodec()
    model: AutoencoderDC = AutoencoderDC.from_config(known_keys(AutoencoderDC, config))
    return model


def known_keys(component: type[Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What a component of diffusers asks for, and diffusers' own; it prints a line about every other key."""
    asked = {*inspect.signature(component.__init__).parameters, "_class_name", "_diffusers_version"}
    return {name: value for name, value in config.items() if name in asked}


def build_vocoder(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> ADaMoSHiFiGANV1 | MagnitudeVocoder:
    """The vocoder of a ``config.json`` with these weights, folded in float32.

    Raises RuntimeError where names or shapes do not match.
    """
    in_float32 = {key: value.float() for key, value in weights.items()}
    if config.get("_class_name") == MAGNITUDE_VOCODER:
        with torch.device("meta"):
            magnitudes = MagnitudeVocoder(MagnitudeVocoderConfig.from_dict(config))
        magnitudes.load_state_dict(in_float32, assign=True)
        return magnitudes.eval().requires_grad_(False)
    with torch.device("meta"):
        model = ADaMoSHiFiGANV1(VocoderConfig.from_dict(config))
    model.load_state_dict(in_float32, assign=True)
    fold_weight_norm(model)
    return model.eval().requires_grad_(False)


def _read_component(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    return read_config(folder), load_file(folder / WEIGHTS_FILE)


def read_config(folder: Path) -> dict[str, Any]:
    """The ``config.json`` of a component's folder."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def _first_parameter(module: nn.Module) -> Tensor:
    return next(module.parameters())
