"""The audio formats that can be asked for, and how each one is encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acestep_batch.problems import Problem

_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One way to encode stereo audio with libsndfile.

    `bits` is the integer sample size, None where the encoder takes floats. `compression_level` is libsndfile's
    0 (best) to 1 (smallest), None where nothing is lost. `sample_rates` in Hz, empty where any rate will do.
    """

    name: str
    container: str
    subtype: str
    bits: int | None = None
    compression_level: float | None = None
    sample_rates: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """How a person tells this encoding from the others: `flac`, `wav pcm16`."""
        return f"wav {self.subtype.lower().replace('_', '')}" if self.name == "wav" else self.name


_WAV = {
    "pcm16": AudioFormat("wav", "WAV", "PCM_16", bits=16),
    "pcm24": AudioFormat("wav", "WAV", "PCM_24", bits=24),
    "float32": AudioFormat("wav", "WAV", "FLOAT"),
}
# FLAC has 24 bits because it is the copy to keep: float32's own precision, where 16 bits add noise at -98 dBFS.
# The lossy ones spend more than libsndfile's defaults (about 130 kb/s): LAME's V1, Vorbis' q6, Opus near 160 kb/s.
_OTHERS = {
    "flac": AudioFormat("flac", "FLAC", "PCM_24", bits=24),
    "mp3": AudioFormat("mp3", "MP3", "MPEG_LAYER_III", compression_level=0.1, sample_rates=_MP3_RATES),
    "ogg": AudioFormat("ogg", "OGG", "VORBIS", compression_level=0.4),
    "opus": AudioFormat("opus", "OGG", "OPUS", compression_level=0.7, sample_rates=_OPUS_RATES),
}

FORMAT_NAMES = ("wav", *_OTHERS)
"""What `output.formats` may list."""
WAV_SUBTYPES = tuple(_WAV)
"""What `output.wav_subtype` may be."""
ALL_FORMATS = (*_WAV.values(), *_OTHERS.values())


def is_lossy(name: str) -> bool:
    """Whether a format's decoded samples are not those that went in. Raises KeyError for unknown names."""
    return name != "wav" and _OTHERS[name].compression_level is not None


def audio_format(name: str, wav_subtype: str) -> AudioFormat:
    """The encoding of a format's name; `wav_subtype` matters to wav alone. Raises KeyError for unknown names."""
    return _WAV[wav_subtype] if name == "wav" else _OTHERS[name]


def format_problems(names: Sequence[str], wav_subtype: str, sample_rate: int) -> list[Problem]:
    """The formats that cannot be written at this `sample_rate`, in Hz. Raises KeyError for unknown names."""
    problems = []
    for name in names:
        rates = audio_format(name, wav_subtype).sample_rates
        if rates and sample_rate not in rates:
            message = f"{sample_rate} Hz is not supported by {name}"
            remedy = f"use {', '.join(map(str, rates))}, or leave {name} out of output.formats"
            problems.append(Problem("output.sample_rate", message, remedy))
    return problems
