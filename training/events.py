"""What a composition consists of."""

from __future__ import annotations

from dataclasses import dataclass

from training.prompts import Tags


@dataclass(frozen=True, slots=True)
class Note:
    start_beats: float
    length_beats: float
    pitch: int
    """MIDI note number."""
    velocity: float
    """0 to 1."""
    syllable: str = ""
    """What a voice sings; empty for other instruments."""


@dataclass(frozen=True, slots=True)
class Hit:
    start_beats: float
    drum: str
    """A name of `training.drums`."""
    velocity: float


@dataclass(frozen=True, slots=True)
class Section:
    tag: str
    """As in lyrics, without brackets: `verse`."""
    first_bar: int
    bars: int


@dataclass(frozen=True, slots=True)
class Composition:
    """Beat 0 is the clip's first sample; what sounds past the clip's end is cut off there."""

    seed: int
    tags: Tags
    prompt: str
    lyrics: str
    sections: tuple[Section, ...]
    lead: tuple[Note, ...]
    accompaniment: tuple[Note, ...]
    drums: tuple[Hit, ...]
