"""The accompaniment: each of six plays the chords in a pattern of its own, with an attack on every beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from training.draws import Draws
from training.events import Note, Section
from training.harmony import Chord
from training.prompts import Tags

LOWEST_CHORD, LOWEST_BASS = 52, 36
_STRING_DELAY_S = 0.012
"""Between two strings of a strummed chord."""

Bar = tuple[int, Chord, float]
"""Beats, chord, beats per second."""


def accompaniment(tags: Tags, sections: tuple[Section, ...], chords: list[Chord], draws: Draws) -> list[Note]:
    """Notes of all bars; a verse is a little softer than a chorus."""
    pattern = _PATTERNS[tags.accompaniment](tags, draws)
    notes: list[Note] = []
    for section in sections:
        level = 1.0 if section.tag in ("chorus", "inst") else 0.85
        for bar in range(section.first_bar, section.first_bar + section.bars):
            first = bar * tags.beats_per_bar
            notes += [
                replace(note, start_beats=first + note.start_beats, velocity=note.velocity * level)
                for note in pattern((tags.beats_per_bar, chords[bar], tags.tempo.bpm / 60))
            ]
    return notes


def _pad(tags: Tags, draws: Draws) -> Callable[[Bar], list[Note]]:
    def bar(given: Bar) -> list[Note]:
        beats, chord, _ = given
        pitches = [chord.bass(LOWEST_BASS + 7), *chord.voiced(LOWEST_CHORD)]
        return [Note(beat, 0.8, pitch, 0.8 if beat else 1.0) for beat in range(beats) for pitch in pitches]

    return bar


def _strumming(tags: Tags, draws: Draws) -> Callable[[Bar], list[Note]]:
    ups = draws.one_of(((), (1.5,), (1.5, 2.5), (0.5, 1.5, 2.5)))

    def bar(given: Bar) -> list[Note]:
        beats, chord, beats_per_s = given
        upper = chord.voiced(LOWEST_CHORD)
        strings = [chord.bass(LOWEST_BASS + 4), upper[0], *upper[1:], upper[0] + 12]
        delay = _STRING_DELAY_S * beats_per_s
        notes = [
            Note(beat + delay * index, 0.95, pitch, 1.0 if beat == 0 else 0.8)
            for beat in range(beats)
            for index, pitch in enumerate(strings)
        ]
        for up in ups:
            notes += [Note(up + delay * i, 0.45, pitch, 0.45) for i, pitch in enumerate(reversed(strings[1:]))]
        return notes

    return bar


def _arpeggio(tags: Tags, draws: Draws) -> Callable[[Bar], list[Note]]:
    order = draws.one_of(((0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 2, 1)))

    def bar(given: Bar) -> list[Note]:
        beats, chord, beats_per_s = given
        per_beat = 2 if beats_per_s > 1.7 else 4
        upper = chord.voiced(LOWEST_CHORD)
        tones = [chord.bass(LOWEST_BASS + 4), *upper[:3]]
        notes = []
        for step in range(beats * per_beat):
            strong = step % per_beat == 0
            pitch = tones[0] if strong else tones[order[step % 4]]
            notes.append(Note(step / per_beat, 0.8 / per_beat, pitch, 1.0 if strong else 0.5))
        return notes

    return bar


def _bass(tags: Tags, draws: Draws) -> Callable[[Bar], list[Note]]:
    walking = tags.genre == "jazz" or draws.chance(0.4)
    eighths = not walking and draws.chance(0.6)

    def bar(given: Bar) -> list[Note]:
        beats, chord, _ = given
        root = chord.bass(LOWEST_BASS)
        steps = (0, chord.intervals[1], chord.intervals[2], 12) if walking else (0, 0, 0, 0)
        notes = [Note(beat, 0.85 if not eighths else 0.42, root + steps[beat % 4], 1.0) for beat in range(beats)]
        if eighths:
            notes += [Note(beat + 0.5, 0.42, root, 0.6) for beat in range(beats)]
        return notes

    return bar


def _electric_piano(tags: Tags, draws: Draws) -> Callable[[Bar], list[Note]]:
    pushed = draws.chance(0.5)

    def bar(given: Bar) -> list[Note]:
        beats, chord, _ = given
        upper = chord.voiced(LOWEST_CHORD + 3)
        notes = [Note(0, beats * 0.95, chord.bass(LOWEST_BASS + 7), 0.9)]
        notes += [Note(beat, 0.9, pitch, 0.9 if beat else 1.0) for beat in range(beats) for pitch in upper]
        if pushed:
            notes += [Note(beats - 0.5, 0.45, pitch, 0.6) for pitch in upper]
        return notes

    return bar


def _brass(tags: Tags, draws: Draws) -> Callable[[Bar], list[Note]]:
    short = draws.one_of((0.3, 0.5, 0.75))

    def bar(given: Bar) -> list[Note]:
        beats, chord, _ = given
        upper = chord.voiced(LOWEST_CHORD + 2)
        notes = [Note(beat, 0.6, chord.bass(LOWEST_BASS + 7), 0.9) for beat in range(0, beats, 2)]
        notes += [Note(beat, short, pitch, 0.9 if beat else 1.0) for beat in range(beats) for pitch in upper]
        return notes

    return bar


_PATTERNS: dict[str, Callable[[Tags, Draws], Callable[[Bar], list[Note]]]] = {
    "pad": _pad,
    "strumming": _strumming,
    "arpeggio": _arpeggio,
    "bass": _bass,
    "electric piano": _electric_piano,
    "brass": _brass,
}
