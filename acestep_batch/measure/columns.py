"""Everything that is measured of an audio file, declared once: name, unit, type, decimals, meaning and source."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

TYPES = {"float": "Float64", "int": "Int64", "str": "string"}
"""A column's type in the dataclass and in the summary; every column may be empty."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the summary: its name, with the unit where there is one, and what stands in it.

    `dtype` is pandas' name of it; `source` the standard or paper that defines the number, or how it is computed.
    """

    name: str
    unit: str
    dtype: str
    meaning: str
    source: str
    decimals: int | None = None
    """Numbers are rounded to so many, far below what can be heard, so that a table reads well; None: not rounded."""

    def rounded(self, value: Any) -> Any:
        """A value as the table holds it."""
        return value if value is None or self.decimals is None else round(float(value), self.decimals) + 0.0


def _number(unit: str, decimals: int, meaning: str, source: str) -> Any:
    return field(default=None, metadata={"unit": unit, "decimals": decimals, "meaning": meaning, "source": source})


def _plain(unit: str, meaning: str, source: str) -> Any:
    return field(default=None, metadata={"unit": unit, "decimals": None, "meaning": meaning, "source": source})


@dataclass(frozen=True, slots=True)
class Measurement:
    """The numbers of one audio file. None is what the audio does not define: the loudness of silence, the tempo of one
    second, the correlation of one channel."""

    file_duration_s: float | None = _number(
        "s", 3, "Length of the audio that the file really holds.", "frames / sample rate"
    )
    duration_error_s: float | None = _number(
        "s", 3, "What the file is longer (or, below 0, shorter) than asked.", "file_duration_s - asked duration"
    )
    broken_samples: int | None = _plain(
        "samples", "Samples that are NaN or infinite. If there are any, nothing else is measured.", "count"
    )
    loudness_lufs: float | None = _number(
        "LUFS", 2, "Integrated loudness; empty below 0.4 s and where all is under -70 LUFS.",
        "ITU-R BS.1770-4, weighting filters by pyloudnorm",
    )  # fmt: skip
    loudness_range_lu: float | None = _number(
        "LU", 2, "Loudness range: how far quiet and loud passages are apart; empty below 3 s.", "EBU Tech 3342"
    )
    true_peak_dbtp: float | None = _number(
        "dBTP", 2, "Highest level between the samples too.", "ITU-R BS.1770-4, annex 2, 4 times oversampled"
    )
    sample_peak_dbfs: float | None = _number("dBFS", 2, "Largest sample; 0 is full scale.", "20 log10 max |x|")
    crest_factor_db: float | None = _number(
        "dB", 2, "Peak over root mean square, all channels together: a sine has 3.", "sample peak - RMS"
    )
    clipped_runs: int | None = _plain(
        "runs", "Times that 3 or more samples in a row stand at full scale.", "|x| >= 1 - 2^-15, one sign"
    )
    dc_offset: float | None = _number(
        "of full scale", 5, "Mean of the samples, of the channel where it is furthest from 0.", "mean"
    )
    silence_head_s: float | None = _number(
        "s", 3, "Silence before the first sample above -60 dBFS.", "sample gate at -60 dBFS"
    )
    silence_tail_s: float | None = _number(
        "s", 3, "Silence after the last sample above -60 dBFS.", "sample gate at -60 dBFS"
    )
    longest_gap_s: float | None = _number(
        "s", 3, "Longest silence between sounds; empty if there is no sound.", "sample gate at -60 dBFS"
    )
    spectral_centroid_hz: float | None = _number(
        "Hz", 0, "Centre of the spectrum, how bright it sounds: mean over sounding frames.",
        "amplitude-weighted mean frequency of Hann frames of about 43 ms",
    )  # fmt: skip
    spectral_rolloff_hz: float | None = _number(
        "Hz", 0, "95 % of the power lie below. v1's mel spectrograms end at 16 kHz.", "mean power spectrum"
    )
    spectral_flatness: float | None = _number(
        "0 to 1", 4, "How noise-like: 0 for a tone, 0.56 for white noise; mean over sounding frames.",
        "geometric over arithmetic mean of the power, 50 Hz to 15 kHz",
    )  # fmt: skip
    stereo_correlation: float | None = _number(
        "-1 to 1", 3, "1: both channels alike, 0: unrelated, -1: inverted, gone in mono.", "Pearson, whole file"
    )
    stereo_width: float | None = _number(
        "0 to 1", 3, "Share of the side signal in the power: 0 is mono, 0.5 unrelated channels.", "S^2 / (M^2 + S^2)"
    )
    tempo_bpm: float | None = _number(
        "BPM", 1, "Estimated tempo; half or double of it may be meant. Empty below 3 s.",
        "onset strength: autocorrelation times Fourier tempogram (Peeters 2006), log-normal prior at 120 (Ellis 2007)",
    )  # fmt: skip
    tempo_confidence: float | None = _number(
        "0 to 1", 3, "How periodic the onsets are at that tempo.", "normalised autocorrelation of onset strength"
    )
    key: str | None = _plain(
        "",
        "Estimated key, `A minor`; names have sharps, never flats.",
        "pitch classes against Krumhansl-Kessler (1982)",
    )
    key_confidence: float | None = _number(
        "0 to 1", 3, "How well the pitch classes fit it; noise is near 0.", "correlation, damped for flat chroma"
    )


COLUMNS = tuple(
    Column(
        each.name,
        each.metadata["unit"],
        TYPES[str(each.type).removesuffix(" | None")],
        each.metadata["meaning"],
        each.metadata["source"],
        each.metadata["decimals"],
    )
    for each in dataclasses.fields(Measurement)
)
"""The columns of a measurement, in their order."""

NEAREST_COLUMNS = (
    Column("nearest_song", "", "string", "The song of the run that is most like it.", "fingerprints of all songs"),
    Column(
        "similarity",
        "-1 to 1",
        "Float64",
        "How much it is like that song: 1 is the same; another seed stays below 0.6.",
        "correlation of the levels of 10 bands, twice a second",
        3,
    ),
)
"""What a comparison with the run's other songs adds to the summary."""
