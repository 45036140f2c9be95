"""Compositions: pure, on the beat, with the words that their prompts and lyrics say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acestep_batch.engine.embedded_text import STRUCTURE_TAGS
from training import words
from training.composer import bars_of, compose
from training.draws import Draws
from training.harmony import scale_classes
from training.prompts import prompt, understood
from training.tempo import CLIP_MEL_FRAMES, GRIDS, HOP, Tempo, nearest

SEEDS = range(60)
ASPECTS = ("lead", "accompaniment", "drums", "genre", "mood", "key", "beats_per_bar")


@pytest.mark.parametrize("grid", GRIDS)
def test_a_seed_is_one_composition(grid: str) -> None:
    assert [compose(seed, grid) for seed in SEEDS] == [compose(seed, grid) for seed in SEEDS]
    assert len({compose(seed, grid).lead for seed in SEEDS}) > len(SEEDS) / 2


def test_the_wording_of_a_prompt_does_not_change_the_music() -> None:
    for seed in SEEDS:
        plain, full = compose(seed), compose(seed, full_prompt=True)
        assert replace(plain, prompt=full.prompt) == full


@pytest.mark.parametrize("grid", GRIDS)
def test_a_prompt_says_what_is_in_the_clip(grid: str) -> None:
    for seed in SEEDS:
        composition = compose(seed, grid)
        said = understood(composition.prompt)
        assert said
        for aspect in said.keys() & set(ASPECTS):
            assert said[aspect] == getattr(composition.tags, aspect)
        if "bpm" in said:
            assert nearest(float(said["bpm"]), grid) == composition.tags.tempo
        assert said.get("tempo", composition.tags.tempo.word) == composition.tags.tempo.word


def test_every_phrase_of_a_prompt_is_understood() -> None:
    for seed in SEEDS:
        text = compose(seed, full_prompt=True).prompt
        assert {"lead", "accompaniment", "drums", "genre", "mood", "key", "bpm"} <= understood(text).keys()
        assert len(understood(text)) == text.count(",") + 1


def test_no_phrase_means_two_things() -> None:
    listed = (words.LEADS, words.ACCOMPANIMENTS, words.DRUMS, words.GENRES, words.MOODS, words.TEMPOS, words.METRES)
    phrases = [phrase.lower() for synonyms in listed for each in synonyms.values() for phrase in each]
    assert len(set(phrases)) == len(phrases)


def test_prompts_are_partial_and_full_and_vary_in_their_words() -> None:
    tags = compose(1).tags
    texts = [prompt(tags, Draws(seed, "again"), "few") for seed in range(200)]
    lengths = {len(understood(text)) for text in texts}
    assert min(lengths) < 5
    assert max(lengths) >= 7
    assert {understood(text).get("lead", tags.lead) for text in texts} == {tags.lead}
    assert len({phrase for text in texts for phrase in text.split(", ") if understood(phrase).get("lead")}) > 1


@pytest.mark.parametrize("grid", GRIDS)
def test_beats_are_whole_half_latent_frames_and_sixteenths_whole_mel_frames(grid: str) -> None:
    for frames in GRIDS[grid]:
        assert Tempo(frames).beat_samples == frames * 8 * HOP
        assert Tempo(frames).beat_samples % (4 * HOP) == 0


def test_every_number_from_62_to_170_is_within_6_percent_of_a_tempo() -> None:
    for bpm in range(words.LEAST_BPM, words.MOST_BPM + 1):
        assert abs(nearest(bpm, "many").bpm / bpm - 1) < 0.062


def test_the_accompaniment_plays_on_every_beat_from_the_first_sample() -> None:
    for seed in SEEDS:
        composition = compose(seed)
        starts = {note.start_beats for note in composition.accompaniment}
        assert set(range(bars_of(composition.tags) * composition.tags.beats_per_bar)) <= starts
        end = CLIP_MEL_FRAMES * HOP / composition.tags.tempo.beat_samples
        assert bars_of(composition.tags) * composition.tags.beats_per_bar >= end


def test_drums_play_where_the_tags_say_so() -> None:
    for composition in map(compose, SEEDS):
        assert bool(composition.drums) == composition.tags.drums


def test_the_lead_stays_in_the_key() -> None:
    for composition in map(compose, SEEDS):
        scale = scale_classes(composition.tags.tonic, composition.tags.mode)
        outside = [note for note in composition.lead if note.pitch % 12 not in scale]
        assert len(outside) <= len(composition.lead) * 0.3  # the dominant of minor has its raised third


def test_the_lead_sings_every_syllable_of_the_lyrics_once() -> None:
    sung = [composition for composition in map(compose, range(200)) if composition.tags.lead == "vocals"]
    assert sung
    for composition in sung:
        lines = [line for line in composition.lyrics.split("\n") if not line.startswith("[")]
        assert "".join(note.syllable for note in composition.lead) == "".join(lines).replace(" ", "")
        assert all(note.syllable for note in composition.lead)


def test_lyrics_name_the_sections_in_order_with_tags_that_the_model_knows() -> None:
    for composition in map(compose, SEEDS):
        named = [line for line in composition.lyrics.split("\n") if line.startswith("[")]
        assert named in ([], [f"[{section.tag}]" for section in composition.sections])
        assert set(named) <= set(STRUCTURE_TAGS)
        ends = [section.first_bar + section.bars for section in composition.sections]
        assert [0, *ends[:-1]] == [section.first_bar for section in composition.sections]
        assert ends[-1] == bars_of(composition.tags)


def test_an_intro_has_no_lead() -> None:
    for composition in map(compose, SEEDS):
        first = composition.sections[0]
        if first.tag == "intro":
            assert min(note.start_beats for note in composition.lead) >= first.bars * composition.tags.beats_per_bar
