"""Everything that is measured of one audio file, or of its samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acestep_batch.measure.columns import COLUMNS, Measurement
from acestep_batch.measure.frames import BANDS_PER_S, band_powers, mono
from acestep_batch.measure.loudness import loudness
from acestep_batch.measure.peaks import levels
from acestep_batch.measure.reading import read_frames
from acestep_batch.measure.rhythm import tempo
from acestep_batch.measure.silence import silence
from acestep_batch.measure.similarity import fingerprint
from acestep_batch.measure.spectrum import spectrum
from acestep_batch.measure.stereo import stereo
from acestep_batch.measure.tonality import key


@dataclass(frozen=True, slots=True)
class Heard:
    """A file's numbers, rounded as a table holds them, and its fingerprint, to be compared with other songs'."""

    measurement: Measurement
    fingerprint: bytes


def measure_file(path: Path, asked_duration_s: float | None = None) -> Heard:
    """Measure a file that libsndfile can read. Raises soundfile.LibsndfileError when it cannot."""
    return measure_samples(*read_frames(path), asked_duration_s)


def measure_samples(samples: NDArray[np.float32], sample_rate: int, asked_duration_s: float | None = None) -> Heard:
    """Measure samples `[N, C]` float32, full scale 1, at a rate in Hz."""
    duration_s = len(samples) / sample_rate
    known: dict[str, Any] = {
        "file_duration_s": duration_s,
        "duration_error_s": None if asked_duration_s is None else duration_s - asked_duration_s,
        "broken_samples": samples.size - int(np.count_nonzero(np.isfinite(samples))),
    }
    if samples.size == 0 or known["broken_samples"]:
        return Heard(_rounded(known), b"")
    return _heard(samples, sample_rate, known)


def _heard(samples: NDArray[np.float32], sample_rate: int, known: dict[str, Any]) -> Heard:
    level, loud, gaps, sides = (
        levels(samples),
        loudness(samples, sample_rate),
        silence(samples, sample_rate),
        stereo(samples),
    )
    channel = mono(samples)
    bands = band_powers(channel, sample_rate)
    frames_per_s = sample_rate / round(sample_rate / BANDS_PER_S)
    shape, beat, tonal = spectrum(channel, sample_rate), tempo(bands, frames_per_s), key(channel, sample_rate)
    numbers = _rounded(
        known
        | {
            "loudness_lufs": loud.integrated_lufs,
            "loudness_range_lu": loud.range_lu,
            "true_peak_dbtp": level.true_peak_dbtp,
            "sample_peak_dbfs": level.sample_peak_dbfs,
            "crest_factor_db": level.crest_factor_db,
            "clipped_runs": level.clipped_runs,
            "dc_offset": level.dc_offset,
            "silence_head_s": gaps.head_s,
            "silence_tail_s": gaps.tail_s,
            "longest_gap_s": gaps.longest_gap_s,
            "spectral_centroid_hz": shape.centroid_hz,
            "spectral_rolloff_hz": shape.rolloff_hz,
            "spectral_flatness": shape.flatness,
            "stereo_correlation": sides.correlation,
            "stereo_width": sides.width,
            "tempo_bpm": beat.bpm,
            "tempo_confidence": beat.confidence,
            "key": tonal.name,
            "key_confidence": tonal.confidence,
        }
    )
    return Heard(numbers, fingerprint(bands, frames_per_s))


def _rounded(values: dict[str, Any]) -> Measurement:
    return Measurement(**{each.name: each.rounded(values.get(each.name)) for each in COLUMNS})
