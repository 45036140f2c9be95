"""The README's examples ask for what is understood and was never trained on, and pictures show what they are given."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from training.composer import draw_tags
from training.dataset import clip_seed
from training.draws import Draws
from training.examples import GRID, HEARD, PICTURES, SONGS, label, picture, row_of, window_of
from training.lyrics import WORDS
from training.prompts import Tags, understood
from training.tempo import SAMPLE_RATE, nearest, numbers

MANIFEST: dict[str, dict[str, Any]] = yaml.safe_load(SONGS.read_text(encoding="utf-8"))["songs"]
PROMPTS = sorted({song["prompt"] for song in MANIFEST.values()})
TRAINED_ON = ((1, 1_500), (11, 6_016))
"""Seed and number of the clips that the recipe names."""


def noise(seed: int, duration_s: float = 4.0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.1, (2, int(duration_s * SAMPLE_RATE))).astype(np.float32)


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def says(tags: Tags) -> dict[str, str | bool | int]:
    return {
        **{name: getattr(tags, name) for name in ("lead", "accompaniment", "drums", "genre", "mood", "key")},
        "bpm": numbers(tags.tempo, GRID)[0],
    }


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_phrase_of_a_prompt_is_understood_and_says_something_of_its_own(prompt: str) -> None:
    asked = understood(prompt)
    assert len(asked) == prompt.count(",") + 1
    bpm = asked["bpm"]
    assert isinstance(bpm, int)
    assert bpm in numbers(nearest(bpm, GRID), GRID)


def test_no_prompt_says_what_a_training_clip_is() -> None:
    listed = [clip_seed(seed, clip) for seed, clips in TRAINED_ON for clip in range(clips)]
    heard = [says(draw_tags(Draws(seed, "tags"), GRID)) for seed in listed]
    for prompt in PROMPTS:
        assert not any(understood(prompt).items() <= tags.items() for tags in heard), prompt


def test_the_examples_differ_in_lead_genre_and_tempo() -> None:
    asked = [understood(MANIFEST[song]["prompt"]) for song in HEARD]
    for aspect in ("lead", "genre", "bpm"):
        assert len({each[aspect] for each in asked}) == len(HEARD), aspect


def test_lyrics_have_words_that_were_sung_in_training() -> None:
    known = {word.replace("-", "") for word in WORDS}
    lyrics = "\n".join(song.get("lyrics", "") for song in MANIFEST.values())
    words = [word for line in lyrics.splitlines() if not line.startswith("[") for word in line.split()]
    assert words
    assert set(words) <= known


def test_every_song_stands_in_a_picture_and_every_pictures_songs_are_there() -> None:
    assert {song for songs in PICTURES.values() for song in songs} == set(MANIFEST)


def test_a_label_names_what_was_asked() -> None:
    for song in MANIFEST.values():
        assert song["prompt"] in label(song)
        for name in ("seed", "guidance_scale"):
            assert (f"{name} {song.get(name)}" in label(song)) == (name in song)
        assert ("made anew" in label(song)) == (window_of(song) is not None)


def test_rows_lie_below_each_other_and_equal_sound_looks_the_same() -> None:
    one, other = (row_of(MANIFEST["seed_1"], noise(seed), None) for seed in (1, 2))
    twice, both = pixels(picture([one, one])), pixels(picture([one, other]))
    height = len(twice) - len(pixels(picture([one])))
    assert np.array_equal(twice[:height], twice[height : 2 * height])
    assert not np.array_equal(both[:height], both[height : 2 * height])
    assert picture([one, other]) == picture([one, other])


def test_a_window_is_marked_at_its_ends_alone() -> None:
    audio = noise(3)
    plain, marked = (pixels(picture([row_of(MANIFEST["before"], audio, window)])) for window in (None, (1.0, 3.0)))
    columns = np.flatnonzero((plain != marked).any(axis=(0, 2)))
    left, right = columns[columns < columns.mean()], columns[columns > columns.mean()]
    assert max(np.ptp(left), np.ptp(right)) < 5
    of_a_second = (right.mean() - left.mean()) / 2
    assert of_a_second == pytest.approx(1024 / 4, abs=2)
