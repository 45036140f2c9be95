"""The lyric error rate, with a tiny Whisper that hears `la` whatever is sung."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthesised import RATE, noise
from transformers import (
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from acestep_batch.scores import transcription
from acestep_batch.scores.base import ScoredSong
from acestep_batch.scores.transcription import LyricScore, windows

VOCABULARY = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>", "l", "a", "Ġ", "la", "Ġla"]
SIZES = {
    "vocab_size": 8, "num_mel_bins": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16,
    "max_source_positions": 100, "max_target_positions": 24, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0,
    "decoder_start_token_id": 1, "suppress_tokens": None, "begin_suppress_tokens": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def score(tmp_path_factory: pytest.TempPathFactory) -> LyricScore:
    folder = tmp_path_factory.mktemp("whisper")
    model = WhisperForConditionalGeneration(WhisperConfig(**SIZES))
    model.generation_config.is_multilingual = False
    with torch.no_grad():
        norm, words = model.model.decoder.layer_norm, model.model.decoder.embed_tokens.weight
        words.copy_(torch.eye(8, 16))
        norm.weight.zero_()
        norm.bias.copy_(words[VOCABULARY.index("Ġla")])
    model.save_pretrained(folder)
    tokenizer = WhisperTokenizer({token: index for index, token in enumerate(VOCABULARY)}, [("l", "a"), ("Ġ", "la")])
    WhisperProcessor(WhisperFeatureExtractor(feature_size=8, chunk_length=2), tokenizer).save_pretrained(folder)
    return transcription.load(folder, "cpu")


def sung(lyrics: str, seconds: float = 1, language: str | None = None) -> ScoredSong:
    return ScoredSong(noise(seconds), RATE, "", lyrics, language)


def rate(score: LyricScore, song: ScoredSong) -> float | None:
    return score.score(song)["lyric_error_rate"]


def test_lyrics_that_are_heard_have_no_errors(score: LyricScore) -> None:
    heard = score.heard(sung("la")).split()
    assert set(heard) == {"la"}
    assert rate(score, sung("[chorus]\nLa, " + " ".join(heard[1:]) + "!")) == 0
    assert rate(score, sung("no " * len(heard))) == 1
    assert rate(score, sung("la " * (len(heard) * 2))) == 0.5
    assert rate(score, sung("la", language="en")) == len(heard) - 1  # a model of one language is not told it


def test_songs_longer_than_a_window_are_heard_to_their_end(score: LyricScore) -> None:
    once = len(score.heard(sung("la")).split())
    assert len(score.heard(sung("la", seconds=1.9)).split()) == once
    assert len(score.heard(sung("la", seconds=3)).split()) == 2 * once


def test_songs_without_words_have_no_rate(score: LyricScore) -> None:
    assert rate(score, sung("[inst]")) is None


def test_windows_are_cut_where_it_is_quiet() -> None:
    channel = noise(40, 1, rate=1000)[:, 0]
    channel[27_000:27_200] = 0
    first, second = windows(channel, 30_000, 1000)
    assert 27_000 <= len(first) <= 27_200
    assert len(first) + len(second) == len(channel)


@settings(max_examples=30, deadline=None)
@given(length=st.integers(0, 5_000), longest=st.integers(400, 1_000))
def test_windows_are_the_whole_in_pieces(length: int, longest: int) -> None:
    channel = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    pieces = list(windows(channel, longest, 1000))
    assert np.array_equal(np.concatenate([*pieces, np.zeros(0, np.float32)]), channel)
    assert all(0 < len(piece) <= longest for piece in pieces)
