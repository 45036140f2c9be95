"""The lead: a melody of repeated motifs over chords, and the words that a voice sings to it."""

from __future__ import annotations

from dataclasses import replace

from training import lyrics
from training.draws import Draws
from training.events import Note, Section
from training.harmony import Chord, nearest_pitch, scale_classes, tonic_class
from training.prompts import Tags

LOW, HIGH = 67, 86
"""Above the accompaniment."""
CHORUS_RISE = 4
_DENSITIES = {
    "happy": (0.95, 0.4),
    "energetic": (0.97, 0.55),
    "dreamy": (0.85, 0.2),
    "dark": (0.85, 0.2),
    "calm": (0.75, 0.1),
    "sad": (0.75, 0.1),
}
"""By mood: the chances that a note begins on a beat, and between two."""
_FAST_BPM = 140
"""From here on, notes between beats are half as frequent: nobody sings eight syllables a second."""
_STEPS = (-3, -2, -2, -1, -1, -1, 0, 1, 1, 1, 2, 2, 3)
"""Semitones that a melody aims for from a note to the next, before it takes the nearest that fits."""
_LINE_BARS = 2


Motif = list[tuple[float, int]]
"""Starts in beats of the bar and steps in semitones."""


def melody(tags: Tags, sections: tuple[Section, ...], chords: list[Chord], draws: Draws) -> list[Note]:
    """Notes of all sections but intros, which have none. Motifs come back: A A B A, bar by bar."""
    motifs = [_motif(tags, draws) for _ in range(2)]
    length = 0.65 if tags.mood == "happy" else 0.95
    scale, tonic = scale_classes(tags.tonic, tags.mode), frozenset({tonic_class(tags.tonic)})
    notes: list[Note] = []
    for section in sections:
        if section.tag == "intro":
            continue
        rise = CHORUS_RISE if section.tag == "chorus" else 0
        pitch = (LOW + HIGH) / 2 - 2 + rise
        for index in range(section.bars):
            bar = section.first_bar + index
            chord = chords[bar]
            if section.tag == "outro":
                end = nearest_pitch(pitch, tonic, LOW, HIGH)
                notes.append(Note(bar * tags.beats_per_bar, tags.beats_per_bar, end, 0.8))
                continue
            motif = motifs[1 if index % 4 == 2 else 0]
            for start, step in motif:
                allowed = chord.classes if start in (0, 2) else (scale - _clashes(chord))
                centre = (LOW + HIGH) / 2 + rise
                pitch = nearest_pitch(pitch + step + 0.15 * (centre - pitch), allowed, LOW, HIGH)
                velocity = (0.95 if start == 0 else 0.8 if start % 1 == 0 else 0.65) * (1.0 if rise else 0.9)
                notes.append(Note(bar * tags.beats_per_bar + start, 1, int(pitch), velocity))
    ends = [note.start_beats for note in notes[1:]] + [notes[-1].start_beats + 2] if notes else []
    return [
        replace(note, length_beats=min(end - note.start_beats, 2 if note.length_beats == 1 else 4) * length)
        for note, end in zip(notes, ends, strict=True)
    ]


def sung(
    notes: list[Note], sections: tuple[Section, ...], beats_per_bar: int, draws: Draws
) -> tuple[list[Note], list[str]]:
    """A syllable for every note, and the lyrics' lines: a tag for every section, a line for every two bars."""
    with_words, lines = [], []
    for section in sections:
        lines.append(f"[{section.tag}]")
        for first in range(section.first_bar, section.first_bar + section.bars, _LINE_BARS):
            last = min(first + _LINE_BARS, section.first_bar + section.bars)
            phrase = [note for note in notes if first <= note.start_beats / beats_per_bar < last]
            if phrase:
                written, syllables = lyrics.line(len(phrase), draws)
                lines.append(written)
                with_words += [replace(note, syllable=each) for note, each in zip(phrase, syllables, strict=True)]
    return with_words, lines


def _motif(tags: Tags, draws: Draws) -> Motif:
    on, between = _DENSITIES[tags.mood]
    if tags.tempo.bpm >= _FAST_BPM:
        between /= 2
    starts = [
        slot / 2
        for slot in range(2 * tags.beats_per_bar)
        if slot == 0 or draws.chance(on if slot % 2 == 0 else between)
    ]
    return [(start, draws.one_of(_STEPS)) for start in starts]


def _clashes(chord: Chord) -> frozenset[int]:
    """The pitch class below a raised third, which would sound against it."""
    return frozenset({(chord.root + 3) % 12}) if 4 in chord.intervals else frozenset()
