"""The embedded model: the same bits everywhere, real audio for any setting, and texts that lose nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from acestep_batch.engine.base import SETTINGS, SongRequest
from acestep_batch.engine.embedded import LABEL, load_drawn_engine
from acestep_batch.engine.embedded_text import (
    END_ID,
    LYRIC_LINE_END,
    LYRIC_START,
    LYRIC_VOCAB_SIZE,
    STRUCTURE_TAGS,
    UNKNOWN_ID,
    build_text_tokenizer,
    embedded_lyric_ids,
    text_tokenizer_path,
)
from acestep_batch.engine.v1.pipeline import V1Engine
from acestep_batch.schema import SONG as PARAMETERS

WEIGHTS_SHA256 = "ef0b72bb1dd0ed1fa6056da9c35fc8a6580b876db59a305b7f7db329585ddf69"
DEFAULTS = {name: parameter.default for name, parameter in PARAMETERS.items() if name in SETTINGS}
OWN = {
    "prompt": "lo-fi, chill, piano, vinyl crackle, 80 bpm",
    "lyrics": "[verse]\nrain on the window\n\n[chorus]\nstay a while",
    "seed": 7,
    "audio_duration": 1.0,
    "infer_step": 6,
}
SONG = SongRequest(**DEFAULTS | OWN)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.fixture(scope="module")
def engine() -> V1Engine:
    return load_drawn_engine("cpu", torch.float32, compile_transformer=False)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(text_tokenizer_path()))


def audio_of(engine: V1Engine, **changes: Any) -> np.ndarray:
    (song,) = engine.render([replace(SONG, **changes)], 44100)
    return song.audio


def assert_is_sound(audio: np.ndarray) -> None:
    assert np.isfinite(audio).all()
    assert 0.1 <= np.abs(audio).max() <= 1.0
    assert (audio.std(axis=1) > 0.02).all(), "silent or constant"


def test_the_tokenizer_file_is_what_its_builder_builds() -> None:
    stored = json.loads(text_tokenizer_path().read_text(encoding="utf-8"))
    assert stored == json.loads(build_text_tokenizer().to_str())


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [
        ("", []),
        (" \n", []),
        ("Lo-Fi,chill ,  PIANO", ["▁lo-fi", ",", "▁chill", ",", "▁piano"]),
        ("90 bpm", ["▁", "9", "0", "▁bpm"]),
        ("é", ["▁", "<0xC3>", "<0xA9>"]),
    ],
)
def test_prompts_are_words_and_bytes_with_an_end(tokenizer: Tokenizer, prompt: str, tokens: list[str]) -> None:
    assert tokenizer.encode(prompt).tokens == [*tokens, "</s>"]


@given(prompt=TEXTS)
def test_no_prompt_has_unknown_tokens(prompt: str) -> None:
    ids = Tokenizer.from_file(str(text_tokenizer_path())).encode(prompt.replace("<unk>", "")).ids
    assert UNKNOWN_ID not in ids
    assert ids[-1] == END_ID


def test_lyrics_follow_the_rule_of_v1() -> None:
    byte = LYRIC_VOCAB_SIZE - 256
    tag = {name: index for index, name in enumerate(STRUCTURE_TAGS, start=3)}
    assert embedded_lyric_ids("[Verse] a\r\n\n[inst]\n") == [
        *(LYRIC_START, tag["[verse]"], byte + ord(" "), byte + ord("a"), LYRIC_LINE_END),
        LYRIC_LINE_END,
        *(tag["[inst]"], LYRIC_LINE_END),
        LYRIC_LINE_END,
    ]
    assert embedded_lyric_ids("[drop]") == [LYRIC_START, *(byte + ord(c) for c in "[drop]"), LYRIC_LINE_END]
    assert embedded_lyric_ids("愛") == [LYRIC_START, *(byte + value for value in "愛".encode()), LYRIC_LINE_END]


@given(lines=st.lists(st.one_of(TEXTS, st.sampled_from(STRUCTURE_TAGS)), min_size=1, max_size=6))
def test_lyrics_can_be_read_back_from_their_ids(lines: list[str]) -> None:
    lyrics = "\n".join(lines)
    start, *ids = embedded_lyric_ids(lyrics)
    first_byte = LYRIC_VOCAB_SIZE - 256
    pieces = [
        b"\n" if i == LYRIC_LINE_END else STRUCTURE_TAGS[i - 3].encode() if i < first_byte else bytes([i - first_byte])
        for i in ids
    ]
    assert start == LYRIC_START
    tags = re.compile("|".join(map(re.escape, STRUCTURE_TAGS)), re.IGNORECASE)
    expected = tags.sub(lambda match: match[0].lower(), "".join(f"{line.strip()}\n" for line in lyrics.split("\n")))
    assert b"".join(pieces).decode() == expected


def test_bytes_are_the_same_in_every_language() -> None:
    assert embedded_lyric_ids("[verse]\n愛 12", "ja") == embedded_lyric_ids("[verse]\n愛 12")


def test_half_a_character_is_kept_too() -> None:
    assert len(embedded_lyric_ids("\ud800")) == 5


def test_texts_need_no_torch() -> None:
    script = "import sys, acestep_batch.engine.embedded_text; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_weights_are_the_recorded_bits(engine: V1Engine) -> None:
    (described,) = engine.describe()["files"]
    assert described["sha256"] == WEIGHTS_SHA256
    assert described["path"] == engine.label == LABEL == "embedded, untrained"


def test_drawing_the_weights_leaves_global_random_states_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    load_drawn_engine("cpu", torch.float32, compile_transformer=False)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"prompt": "", "lyrics": ""},
        {"prompt": "夜" * 200, "lyrics": "x" * 500},
        {"lyrics": "[inst]"},
        {"seed": 0},
        {"seed": 2**32 - 1},
        {"scheduler_type": "heun"},
        {"scheduler_type": "pingpong"},
        {"cfg_type": "cfg", "guidance_scale": 25.0, "guidance_interval": 1.0},
        {"cfg_type": "cfg_star", "guidance_scale": 25.0, "guidance_interval": 1.0},
        {"cfg_type": "cfg", "guidance_scale": 100.0, "guidance_interval": 1.0},
        {"guidance_scale_text": 25.0, "guidance_scale_lyric": 5.0, "guidance_interval": 1.0},
        {"guidance_scale": 1.0},
        {"omega_scale": -1000.0},
        {"oss_steps": (1, 3, 9)},
        {"infer_step": 1},
        {"infer_step": 60},
        {"audio_duration": 0.1},
        {"audio_duration": 10.0},
    ],
    ids=str,
)
def test_every_setting_makes_sound(engine: V1Engine, changes: dict[str, Any]) -> None:
    assert_is_sound(audio_of(engine, **changes))


@pytest.mark.slow
@pytest.mark.parametrize("scheduler_type", ["euler", "heun", "pingpong"])
def test_a_minute_at_default_steps_is_sound(engine: V1Engine, scheduler_type: str) -> None:
    audio = audio_of(engine, audio_duration=60.0, infer_step=60, scheduler_type=scheduler_type)
    assert_is_sound(audio)
    assert audio.shape == (2, int(60.0 * 44100 / 512 / 8) * 4096)


@pytest.mark.parametrize(
    "changes",
    [{"seed": 8}, {"prompt": "heavy metal"}, {"lyrics": "[verse]\nsun on the water"}, {"use_erg_diffusion": False}],
    ids=str,
)
def test_every_input_is_heard(engine: V1Engine, changes: dict[str, Any]) -> None:
    assert np.std(audio_of(engine) - audio_of(engine, **changes)) > 0.003


def test_a_song_is_the_same_every_time(engine: V1Engine) -> None:
    again = load_drawn_engine("cpu", torch.float32, compile_transformer=False)
    first = audio_of(engine)
    np.testing.assert_array_equal(first, audio_of(engine))
    np.testing.assert_array_equal(first, audio_of(again))


def test_the_number_of_threads_neither_changes_a_song_nor_is_changed(engine: V1Engine) -> None:
    threads = torch.get_num_threads()
    first = audio_of(engine)
    torch.set_num_threads(threads + 1)
    try:
        np.testing.assert_array_equal(first, audio_of(engine))
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)


def test_songs_of_a_batch_sound_as_alone(engine: V1Engine) -> None:
    other = replace(SONG, seed=8, prompt="", lyrics="[inst]")
    together = engine.render([SONG, other], 44100)
    for song, request in zip(together, (SONG, other), strict=True):
        (alone,) = engine.render([request], 44100)
        assert np.sqrt(np.mean((song.audio - alone.audio) ** 2)) < 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_makes_sound(dtype: torch.dtype) -> None:
    assert_is_sound(audio_of(load_drawn_engine("cpu", dtype, compile_transformer=False)))
