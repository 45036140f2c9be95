"""Decides whether rendered audio is a song at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SILENCE_DBFS = -60.0
"""A peak below this is silence: 33 steps of 16-bit audio, under the noise of any room."""


def silent_or_broken(audio: NDArray[np.float32]) -> str | None:
    """Why `audio` `[2, N]` float32 counts as a failed song, or None.

    Failed: no samples, samples that are not finite, or a peak below -60 dBFS in both channels. The peak is half
    the distance between a channel's extremes, so that a constant offset counts as silence too.
    """
    if audio.size == 0:
        return "the audio is empty"
    broken = audio.size - int(np.count_nonzero(np.isfinite(audio)))
    if broken:
        return f"{broken} of {audio.size} samples are not finite (NaN or infinite)"
    peak = float(np.max(audio.max(axis=1) / 2 - audio.min(axis=1) / 2))
    if peak < 10 ** (SILENCE_DBFS / 20):
        level = f"{20 * np.log10(peak):.0f} dBFS" if peak > 0 else "digital silence"
        return f"the audio is silent: its peak is {level}, below {SILENCE_DBFS:.0f} dBFS"
    return None
