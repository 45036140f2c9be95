"""The gain that brings a song to a loudness without its peaks passing a ceiling."""

from __future__ import annotations


def gain_db(
    loudness_lufs: float | None, true_peak_dbtp: float | None, target_lufs: float, ceiling_dbtp: float
) -> float | None:
    """Gain in dB to `target_lufs`, less where the true peak would pass `ceiling_dbtp`; None where there is no loudness.

    No limiter: a song with high peaks stays quieter than asked. A lossy encoder adds up to about 1 dB to the peaks.
    """
    if loudness_lufs is None or true_peak_dbtp is None:
        return None
    return min(target_lufs - loudness_lufs, ceiling_dbtp - true_peak_dbtp)
