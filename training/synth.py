"""A composition to a clip of audio: every event to its sound, genre and mood to the way it is mixed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.backings import BACKINGS
from training.events import Composition, Hit, Note
from training.kit import drum
from training.leads import LEADS, Voice
from training.mixing import finished, in_room, placed
from training.oscillators import Signal, low_passed
from training.tempo import CLIP_SAMPLES, SAMPLE_RATE

LEAD_PAN, BACKING_PAN = 0.2, -0.45
LEAD_RMS, BACKING_RMS, DRUM_GAIN = 0.12, 0.075, 0.33
"""Tracks are levelled before they are mixed: no instrument drowns another."""
_PANS = {"hat": 0.3, "open": 0.3, "ride": 0.35, "shaker": 0.4, "triangle": 0.4, "rim": -0.2, "crash": -0.25}


@dataclass(frozen=True, slots=True)
class Sound:
    """How a genre is mixed."""

    wet: float = 0.12
    decay_s: float = 0.6
    drive: float = 0.0
    """How hard the accompaniment is driven into distortion; 0 is clean."""
    lowpass_hz: float = 0.0
    """Of the whole mix; 0 leaves it open."""
    pump: float = 0.0
    """By how much everything but the drums ducks on each beat."""
    drums: float = 1.0


SOUNDS: Mapping[str, Sound] = {
    "pop": Sound(),
    "rock": Sound(drive=6.0, wet=0.08, drums=1.15),
    "electronic": Sound(pump=0.65, wet=0.1, drums=1.15),
    "jazz": Sound(wet=0.06, decay_s=0.35, drums=0.8),
    "folk": Sound(wet=0.05, decay_s=0.3, drums=0.8),
    "classical": Sound(wet=0.4, decay_s=1.6, drums=0.8),
    "hip hop": Sound(lowpass_hz=4200.0, wet=0.06, decay_s=0.35, drums=1.2),
    "ambient": Sound(wet=0.6, decay_s=2.2, drums=0.85),
}
_MOOD_CUTOFFS_HZ = {"dark": 2600.0, "sad": 5000.0, "calm": 6500.0}
"""Moods that take the treble from the instruments."""


def render(composition: Composition) -> NDArray[np.int16]:
    """11.89 s at 44.1 kHz, `[2, 524288]`. Depends on the composition alone."""
    tags, beat = composition.tags, composition.tags.tempo.beat_samples
    sound = SOUNDS[tags.genre]
    lead = _levelled(_track(composition.lead, LEADS[tags.lead], beat), LEAD_RMS)
    backing = _track(composition.accompaniment, BACKINGS[tags.accompaniment], beat)
    if sound.drive:
        backing = _driven(_levelled(backing, BACKING_RMS), sound.drive)
    backing = _levelled(backing, BACKING_RMS)
    played = placed(lead, LEAD_PAN) + placed(backing, BACKING_PAN)
    if tags.mood in _MOOD_CUTOFFS_HZ:
        played = low_passed(played, _MOOD_CUTOFFS_HZ[tags.mood])
    if sound.pump:
        played *= _ducking(beat, sound.pump)
    mix = played + DRUM_GAIN * sound.drums * _drum_track(composition.drums, beat)
    if sound.lowpass_hz:
        mix = low_passed(mix, sound.lowpass_hz)
    wet = sound.wet + (0.25 if tags.mood == "dreamy" else 0.0)
    return finished(in_room(mix, wet, max(sound.decay_s, 1.2) if tags.mood == "dreamy" else sound.decay_s))


def _track(notes: Iterable[Note], voice: Voice, beat_samples: int) -> Signal:
    """All notes of an instrument, `[N]`. A note that comes back is played from the first one's samples."""
    track = np.zeros(CLIP_SAMPLES)
    played: dict[tuple[int, int, str], Signal] = {}
    for note in notes:
        start = round(note.start_beats * beat_samples)
        if start >= CLIP_SAMPLES:
            continue
        key = (note.pitch, round(note.length_beats * beat_samples), note.syllable)
        if key not in played:
            played[key] = voice(*key)
        sample = played[key][: CLIP_SAMPLES - start]
        track[start : start + len(sample)] += note.velocity * sample
    return track


def _drum_track(hits: Iterable[Hit], beat_samples: int) -> Signal:
    track = np.zeros((2, CLIP_SAMPLES))
    for hit in hits:
        start = round(hit.start_beats * beat_samples)
        if start < CLIP_SAMPLES:
            sample = drum(hit.drum)[: CLIP_SAMPLES - start]
            track[:, start : start + len(sample)] += hit.velocity * placed(sample, _PANS.get(hit.drum, 0.0))
    return track


def _levelled(track: Signal, rms: float) -> Signal:
    """At this RMS over what sounds, a tenth of a second each; silence stays so."""
    frame = SAMPLE_RATE // 10
    powers = np.square(track[: len(track) // frame * frame]).reshape(-1, frame).mean(axis=1)
    sounding = powers[powers > powers.max() * 1e-4]
    return track * (rms / np.sqrt(sounding.mean())) if sounding.size else track


def _driven(track: Signal, drive: float) -> Signal:
    """Into a soft clipper whose treble is cut, like an amplifier's loudspeaker."""
    return low_passed(np.tanh(drive * track / 0.2), 5500)


def _ducking(beat_samples: int, depth: float) -> Signal:
    """Gain `[N]` that falls by `depth` on every beat and is back at its half."""
    since = np.arange(CLIP_SAMPLES) % beat_samples / beat_samples
    return 1 - depth * np.clip(1 - 2 * since, 0, 1) ** 2
