"""The tier that two renderings of one song should agree in, from what each was made on; and what forbids comparing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acestep_batch.attempts import Rung
from acestep_batch.compare import Tier
from acestep_batch.engine.base import ENGINE_VERSION
from acestep_batch.engine.embedded_identity import TRAINED_LABEL, is_demo_file
from acestep_batch.outputs.formats import AudioFormat, is_lossy
from acestep_batch.problems import Problem
from acestep_batch.recorded import Recorded

_SAME_SOUND = frozenset({Rung.SMALLER_BATCH, Rung.OVERLAPPED})
"""Rungs that need no word of their own: one shows in the number of songs, the other in the song's own settings."""


@dataclass(frozen=True, slots=True)
class Making:
    """How a song was made, as far as that can move its bits."""

    engine: Mapping[str, Any]
    """As ``Engine.describe`` gave it."""
    songs: int
    """Songs that were denoised together."""
    rungs: frozenset[str]

    @property
    def device(self) -> str:
        """The kind of device: ``cpu``, ``cuda`` or ``mps``."""
        return str(self.engine.get("device")).partition(":")[0]

    @property
    def searches_phases(self) -> bool:
        """Whether the vocoder is the embedded demo model's, which turns rounding into other phases."""
        return any(is_demo_file(str(each.get("path"))) for each in self.engine.get("files") or ())


@dataclass(frozen=True, slots=True)
class Expected:
    """A tier, and why it is none better."""

    tier: Tier
    reasons: tuple[str, ...] = ()


def making_of(recorded: Recorded) -> Making:
    """How a recorded song was made."""
    return Making(recorded.engine, recorded.micro_batch, frozenset(recorded.rungs))


def expected_tier(one: Making, other: Making, is_strict: bool = False) -> Expected:
    """What two renderings of the same song owe each other.

    Bit-identical where nothing differs that could move a bit. In float32 on CPUs, what differs moves the last digits
    only, except where a vocoder searches phases: company that moved samples by 2.5e-6 at most elsewhere moved them by
    2e-2 there. Elsewhere rounding is coarser, and on GPUs kernels may be chosen anew at every start. With
    ``is_strict`` the tier stays at bit-identical, and the reasons say why that may be too much.
    """
    reasons = [*_differences(one, other)]
    if not all(each.device == "cpu" or (each.device == "cuda" and each.engine.get("strict")) for each in (one, other)):
        reasons.append("a GPU without strict=true may take other kernels each time")
    if is_strict or not reasons:
        return Expected(Tier.BIT_IDENTICAL, tuple(reasons))
    if searched := one.searches_phases or other.searches_phases:
        reasons.append(f"the vocoder of the {TRAINED_LABEL} makes small differences larger")
    in_float32 = all(each.device == "cpu" and each.engine.get("dtype") == "float32" for each in (one, other))
    return Expected(Tier.NUMERICAL if in_float32 and not searched else Tier.PERCEPTUAL, tuple(reasons))


def _differences(one: Making, other: Making) -> list[str]:
    found = []
    if one.device != other.device:
        found.append(f"device {one.device} and {other.device}")
    for name in ("dtype", "compiled", "strict"):
        found += _unequal(name, one.engine, other.engine)
    grounds = [dict(each.engine.get("made_on") or {}) for each in (one, other)]
    relevant = ("torch", "cpu", "gpu", *(("threads",) if one.device == other.device == "cpu" else ()))
    for name in relevant:
        found += _unequal(name, *grounds)
    if one.songs != other.songs:
        found.append(f"{one.songs} and {other.songs} {'songs' if other.songs > 1 else 'song'} in the micro-batch")
    found += [f"only one was made with: {rung}" for rung in sorted((one.rungs ^ other.rungs) - _SAME_SOUND)]
    return found


def _unequal(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [] if one.get(name) == other.get(name) else [f"{name} {one.get(name)} and {other.get(name)}"]


def expected_of_file(
    song: Expected, encoding: AudioFormat, encoders: tuple[str | None, str | None], is_strict: bool = False
) -> Expected:
    """What the song's expectation becomes for files of an encoding: lossy ones make small differences larger."""
    if not is_lossy(encoding.name) or song.tier is Tier.PERCEPTUAL:
        return song
    reasons = song.reasons
    if encoders[0] != encoders[1]:
        reasons = (*reasons, f"{encoding.name} by {encoders[0]} and {encoders[1]}")
    elif song.tier is not Tier.BIT_IDENTICAL:
        reasons = (*reasons, f"{encoding.name} makes small differences larger")
    return Expected(Tier.PERCEPTUAL if reasons and not is_strict else Tier.BIT_IDENTICAL, reasons)


def obstacles(recorded: Recorded, files: Mapping[str, str], lyric_libraries: Mapping[str, str]) -> list[Problem]:
    """Why this song cannot be made again here: other weights, another engine, other libraries; each by its name.

    ``files`` are the sha256 of the model's files that are here, by name.
    """
    problems = []
    for name in sorted(recorded.model_files.keys() | files.keys()):
        was, now = recorded.model_files.get(name), files.get(name)
        if was != now:
            message = f"is sha256 {_short(now)} here, and the songs were made with {_short(was)}"
            problems.append(Problem(name, message, "give the recorded weights with model.path="))
    version = recorded.engine.get("engine_version", ENGINE_VERSION)
    if version != ENGINE_VERSION:
        message = f"is {ENGINE_VERSION} here, and the songs were made by {version}"
        problems.append(Problem("engine_version", message, "install the acestep_batch of the record"))
    was_libraries = dict(recorded.engine.get("lyric_libraries") or {})
    for name, version in sorted(was_libraries.items()):
        if lyric_libraries.get(name) != version:
            message = f"is {lyric_libraries.get(name)} here, and the songs were made with {version}"
            problems.append(Problem(name, message, f"pip install {name}=={version}"))
    return problems


def _short(sha256: str | None) -> str:
    return "missing" if sha256 is None else f"{sha256[:12]}..."
