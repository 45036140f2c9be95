"""Latents of 1.5 to audio and back, in windows that bound the memory and change nothing."""

from __future__ import annotations

from collections.abc import Mapping

from diffusers.models.autoencoders.autoencoder_oobleck import AutoencoderOobleck
from torch import Tensor

from acestep_batch.engine.base import Decoding

WINDOW_FRAMES: Mapping[Decoding, int] = {Decoding.PLAIN: 512, Decoding.SMALL_WINDOWS: 128, Decoding.OVERLAPPED: 32}
"""Latent frames that are computed at once, those around a window included."""
MOST_FRAMES: Mapping[str, int] = {"cpu": 128, "mps": 32}
"""By kind of device. On a CPU larger windows are no faster. Apple's GPUs fail for convolutions with more than 65,536
outputs; 32 frames are 61,440 samples."""
_KERNEL_REACH = 3
"""Of the convolutions with 7 taps at both ends, which are not dilated."""
_RESIDUAL_REACH = 3 * (1 + 3 + 9)
"""Of three residual units: 7 taps at dilations 1, 3 and 9."""


def decode(vae: AutoencoderOobleck, latents: Tensor, decoding: Decoding = Decoding.PLAIN) -> Tensor:
    """Latents [C, F] of one song to audio [2, 1920 F], float32 at 48,000 Hz, neither clipped nor normalised.

    Windows overlap by all that a sample depends on (``halo_frames``), so that every kind of decoding gives the same
    samples but for the rounding of sums. diffusers' pipeline scales its audio to a peak of -1 dBFS; here loudness is
    left to what comes after.
    """
    _set_windows(vae, decoding)
    return vae.decode(latents[None].to(vae.device, vae.dtype)).sample[0].float()


def encode(vae: AutoencoderOobleck, audio: Tensor) -> Tensor:
    """Audio [2, 1920 F] at 48,000 Hz to latents [1, F, C], in windows as above.

    They are the mean of the autoencoder's distribution: the reference implementation (ace-step/ACE-Step-1.5 at f30aee4)
    draws from it, from a random state that all songs share.
    """
    _set_windows(vae, Decoding.PLAIN)
    return vae.encode(audio[None].to(vae.device, vae.dtype)).latent_dist.mode().transpose(1, 2)


def _set_windows(vae: AutoencoderOobleck, decoding: Decoding) -> None:
    halo = halo_frames(vae)
    frames = min(WINDOW_FRAMES[decoding], MOST_FRAMES.get(vae.device.type, WINDOW_FRAMES[decoding]))
    frames = max(frames, 2 * halo + 1)
    vae.enable_tiling()
    vae.tile_latent_min_length, vae.tile_latent_overlap = frames, halo
    vae.tile_sample_min_length, vae.tile_sample_overlap = frames * vae.hop_length, halo * vae.hop_length


def halo_frames(vae: AutoencoderOobleck) -> int:
    """How many latent frames on either side a sample depends on: 9 with the published sizes; a frame on fewer."""
    reach, rate = float(_KERNEL_REACH), 1
    for ratio in vae.upsampling_ratios:
        reach += 1 / rate  # a stride of n with 2 n taps: one frame of the level below on either side
        rate *= ratio
        reach += _RESIDUAL_REACH / rate
    return int(-(-(reach + _KERNEL_REACH / rate) // 1))
