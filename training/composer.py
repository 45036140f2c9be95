"""A seed to a composition; pure, and the same on every machine."""

from __future__ import annotations

import math
from dataclasses import replace

from training import words
from training.accompaniment import accompaniment
from training.draws import Draws
from training.events import Composition, Section
from training.harmony import progression
from training.melody import melody, sung
from training.prompts import Tags, prompt
from training.rhythm import drums, swung
from training.tempo import CLIP_SAMPLES, GRIDS, Tempo

FORMS = (
    *(("verse",), ("chorus",), ("intro", "verse"), ("intro", "chorus")),
    *(("verse", "chorus"), ("chorus", "verse"), ("verse", "outro"), ("chorus", "outro")),
)
INSTRUMENTAL_FORM = ("inst",)
WALTZ_GENRES = ("folk", "classical", "jazz")


def compose(seed: int, grid: str = "few", full_prompt: bool = False) -> Composition:
    """Everything about a clip. `grid` is a key of `training.tempo.GRIDS`; `full_prompt` as in `training.prompts`.

    The prompt's wording draws from a stream of its own: the music is the same whatever it says.
    """
    return compose_tags(draw_tags(Draws(seed, "tags"), grid), seed, grid, full_prompt)


def draw_tags(draws: Draws, grid: str) -> Tags:
    """Any lead with any accompaniment, drums, genre, tempo and key: what one tag says cannot be told from another.

    Only the mode follows from the mood, and waltzes are of some genres.
    """
    genre, mood = draws.one_of(list(words.GENRES)), draws.one_of(list(words.MOODS))
    return Tags(
        lead=draws.one_of(list(words.LEADS)),
        accompaniment=draws.one_of(list(words.ACCOMPANIMENTS)),
        drums=draws.chance(0.5),
        genre=genre,
        mood=mood,
        tempo=Tempo(draws.one_of(GRIDS[grid])),
        tonic=draws.one_of(list(words.TONICS)),
        mode=draws.one_of(words.MOOD_MODES[mood]),
        beats_per_bar=3 if genre in WALTZ_GENRES and draws.chance(0.3) else 4,
    )


def compose_tags(tags: Tags, seed: int, grid: str = "few", full_prompt: bool = False) -> Composition:
    """A composition that has these tags; everything else follows from the seed."""
    form_draws = Draws(seed, "form")
    form = form_draws.one_of(FORMS)
    if tags.lead != "vocals" and form_draws.chance(0.25):
        form = INSTRUMENTAL_FORM
    sections = lay_out(form, bars_of(tags))
    chords = progression(tags.tonic, tags.mode, bars_of(tags), tags.genre == "jazz", Draws(seed, "harmony"))
    lead = melody(tags, sections, chords, Draws(seed, "melody"))
    if tags.lead == "vocals":
        lead, lines = sung(lead, sections, tags.beats_per_bar, Draws(seed, "lyrics"))
    else:
        lines = [f"[{section.tag}]" for section in sections]
        if len(sections) == 1 and form_draws.chance(0.5):
            lines = []
    return Composition(
        seed=seed,
        tags=tags,
        prompt=prompt(tags, Draws(seed, "prompt"), grid, full_prompt),
        lyrics="\n".join(lines),
        sections=sections,
        lead=tuple(replace(note, start_beats=swung(note.start_beats, tags.genre)) for note in lead),
        accompaniment=tuple(
            replace(note, start_beats=swung(note.start_beats, tags.genre))
            for note in accompaniment(tags, sections, chords, Draws(seed, "accompaniment"))
        ),
        drums=tuple(
            replace(hit, start_beats=swung(hit.start_beats, tags.genre))
            for hit in drums(tags, sections, Draws(seed, "drums"))
        ),
    )


def bars_of(tags: Tags) -> int:
    """Bars that begin within a clip."""
    return math.ceil(CLIP_SAMPLES / (tags.tempo.beat_samples * tags.beats_per_bar))


def lay_out(form: tuple[str, ...], bars: int) -> tuple[Section, ...]:
    """Sections one after the other: an intro or an outro is a bar, or two of eight and more; others share the rest."""
    short = 2 if bars >= 8 else 1
    free = [tag for tag in form if tag not in ("intro", "outro")]
    left = bars - short * (len(form) - len(free))
    sections, first = [], 0
    for tag in form:
        length = short if tag not in free else left // len(free) + (left % len(free) if tag == free[-1] else 0)
        sections.append(Section(tag, first, length))
        first += length
    return tuple(sections)
