"""Band-limited resampling of audio with a Hann-windowed sinc."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

ZERO_CROSSINGS = 6
ROLLOFF = 0.99
PHASES_AT_ONCE = 256
"""Output samples of a period whose filters form one matrix: all for common rates, and bounded for rates without a
common factor."""


def resample(audio: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """Audio ``[..., N]`` at ``source_rate`` Hz -> ``[..., ceil(N * target_rate / source_rate)]`` at ``target_rate`` Hz.

    Each output sample is a sum over the source under ``sinc(t) * cos(pi * t / 12)**2`` with t in periods of 0.99 of
    the lower of both rates, cut at 6 zero crossings (J. O. Smith, Digital Audio Resampling; the defaults of
    torchaudio's ``Resample``, which the reference implementation uses). The filters repeat after ``up`` output samples,
    which is ``down`` source samples later: one matrix product for all periods. Values and sums are in the dtype of
    ``audio``. Raises ValueError for rates that are not positive.
    """
    if source_rate <= 0 or target_rate <= 0:
        raise ValueError(f"sample rates must be positive, not {source_rate} and {target_rate} Hz")
    if source_rate == target_rate:
        return audio
    divisor = math.gcd(source_rate, target_rate)
    down, up = source_rate // divisor, target_rate // divisor
    cutoff = ROLLOFF * min(1.0, up / down)  # of the source's Nyquist frequency
    reach = math.ceil(ZERO_CROSSINGS / cutoff)  # source samples on either side of an output sample

    n_source = audio.shape[-1]
    n_target = -(-n_source * up // down)
    n_periods = -(-n_target // up)
    padded = F.pad(audio, (reach, n_periods * down - n_source + reach + 1))
    output = audio.new_empty(*audio.shape[:-1], n_periods, up)
    for first in range(0, up, PHASES_AT_ONCE):
        phases = torch.arange(first, min(first + PHASES_AT_ONCE, up)) * down  # in 1 / up of a source sample
        start, end = int(phases[0]) // up, int(phases[-1]) // up + 2 * reach + 1
        taps = torch.arange(start, end) - reach
        t = (taps[:, None] * up - phases).double() * (cutoff / up)
        t = t.clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS)
        filters = torch.sinc(t) * torch.cos(t * (math.pi / (2 * ZERO_CROSSINGS))).square() * cutoff  # [taps, phases]
        windows = padded[..., start:].unfold(-1, end - start, down)[..., :n_periods, :]  # [..., n_periods, taps]
        output[..., first : first + len(phases)] = windows @ filters.to(audio)
    return output.flatten(-2)[..., :n_target]
