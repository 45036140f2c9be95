"""Band-limited resampling of audio with a Hann-windowed sinc."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

ZERO_CROSSINGS = 6
ROLLOFF = 0.99


def resample(audio: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """Audio ``[..., N]`` at ``source_rate`` Hz -> ``[..., ceil(N * target_rate / source_rate)]`` at ``target_rate`` Hz.

    Each output sample is a sum over the source under ``sinc(t) * cos(pi * t / 12)**2`` with t in periods of 0.99 of
    the lower of both rates, cut at 6 zero crossings (J. O. Smith, Digital Audio Resampling; the defaults of
    torchaudio's ``Resample``, which the reference implementation uses). Only the taps inside the window are kept, so
    that the filters stay small for rates without a common factor. Values and sums are in the dtype of ``audio``.
    """
    if source_rate <= 0 or target_rate <= 0:
        raise ValueError(f"sample rates must be positive, not {source_rate} and {target_rate} Hz")
    if source_rate == target_rate:
        return audio
    divisor = math.gcd(source_rate, target_rate)
    down, up = source_rate // divisor, target_rate // divisor
    cutoff = ROLLOFF * min(1.0, up / down)  # of the source's Nyquist frequency
    reach = math.ceil(ZERO_CROSSINGS / cutoff)  # source samples on either side of an output sample

    offsets = (torch.arange(up) * down % up).double() / up  # output sample minus the source sample at or before it
    taps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    t = ((taps[:, None] - offsets) * cutoff).clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS)
    filters = torch.sinc(t) * torch.cos(t * (math.pi / (2 * ZERO_CROSSINGS))).square() * cutoff
    filters = filters.to(audio)  # [taps, up]

    n_source = audio.shape[-1]
    n_target = -(-n_source * up // down)
    n_blocks = -(-n_target // up)
    starts = torch.arange(n_blocks * up, device=audio.device) * down // up
    padded = F.pad(audio, (reach, n_blocks * down - n_source + reach + 1))
    output = audio.new_zeros(*audio.shape[:-1], n_blocks, up)
    for tap, weights in enumerate(filters):
        output += padded[..., starts + tap].unflatten(-1, (n_blocks, up)) * weights
    return output.flatten(-2)[..., :n_target]
