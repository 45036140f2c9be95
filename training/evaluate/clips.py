"""A folder of clips, real or generated, to what scores need of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acestep_batch.measure.frames import mono
from acestep_batch.measure.rhythm import tempo
from acestep_batch.measure.tonality import MODES, PROFILES, TONICS, chroma
from acestep_batch.problems import refuse
from training.evaluate.features import Features, features
from training.shards import Clip, read_clips, whole_shards
from training.tempo import HOP, SAMPLE_RATE

KEYS = tuple(f"{tonic} {mode}" for mode in MODES for tonic in TONICS)
_FULL_SCALE = 32768


@dataclass(frozen=True, slots=True)
class Heard:
    """What is measured of one clip, without a look at its tags."""

    features: Features
    bpm: float | None
    """None where nothing begins."""
    key_fits: NDArray[np.float64]
    """`[24]`, in the order of `KEYS`; all equal where no pitch sounds."""


@dataclass(frozen=True, slots=True)
class HeardClips:
    clips: list[Clip]
    heard: list[Heard]

    @property
    def features(self) -> Features:
        """`[N, F]`."""
        return np.stack([each.features for each in self.heard])


def hear(folder: Path) -> HeardClips:
    """Every clip of the folder's whole shards. Raises `Refused` where there is none."""
    clips, heard = [], []
    for clip, mel, audio in each_clip(folder):
        clips.append(clip)
        heard.append(Heard(features(mel), heard_bpm(mel), key_fits(audio)))
    return HeardClips(clips, heard)


def firsts(found: HeardClips) -> HeardClips:
    """Each pair of prompt and lyrics once: its first clip."""
    seen: dict[tuple[str, str], int] = {}
    for index, clip in enumerate(found.clips):
        seen.setdefault((clip.prompt, clip.lyrics), index)
    return HeardClips([found.clips[index] for index in seen.values()], [found.heard[index] for index in seen.values()])


def each_clip(folder: Path) -> Iterator[tuple[Clip, NDArray[np.float16], NDArray[np.int16]]]:
    """Clip, mel `[2, 128, T]` and audio `[2, N]`, in order. Raises `Refused` where no shard is whole."""
    found = False
    for clips, mels, audios in whole_shards(folder, read_clips(folder)):
        found = True
        yield from zip(clips, mels, audios, strict=True)
    if not found:
        raise refuse(str(folder), "has no whole shard", "render or generate its clips first")


def heard_bpm(mel: NDArray[np.float16]) -> float | None:
    """The product's tempo estimate, from the powers of the mel bands."""
    powers = np.exp(2 * mel.astype(np.float32)).mean(axis=0).T
    return tempo(powers, SAMPLE_RATE / HOP).bpm


def key_fits(audio: NDArray[np.int16]) -> NDArray[np.float64]:
    """Correlation of the product's chroma with its profile of each of `KEYS`: `[24]`."""
    found = chroma(mono((audio.T / _FULL_SCALE).astype(np.float32)), SAMPLE_RATE)
    if found is None or found.std() == 0:
        return np.zeros(len(KEYS))
    profiles = np.stack([np.roll(profile, tonic) for profile in PROFILES for tonic in range(len(TONICS))])
    return np.asarray(np.corrcoef(profiles, found)[-1, :-1])
