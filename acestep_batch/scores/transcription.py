"""The lyric error rate: what Whisper hears of a song against what it should sing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import WhisperForConditionalGeneration, WhisperProcessor

from acestep_batch.measure.columns import Column
from acestep_batch.scores.base import Score, ScoredSong
from acestep_batch.scores.weights import load_model
from acestep_batch.scores.words import error_rate, words

COLUMN = Column(
    "lyric_error_rate",
    "0 and up",
    "Float64",
    "Words that Whisper hears wrong, over the words of the lyrics. Empty without lyrics. Whisper errs on singing too.",
    "word error rate; of characters in scripts without blanks",
    3,
)
_CUT = 1 / 6
"""A window ends at the quietest moment of its last sixth, 5 of 30 s, where fewest words are cut."""
_MOMENT_S = 0.05


class LyricScore:
    """A loaded Whisper model with its processor."""

    columns = (COLUMN,)

    def __init__(self, model: WhisperForConditionalGeneration, processor: WhisperProcessor) -> None:
        self._model, self._processor = model, processor

    def score(self, song: ScoredSong) -> Mapping[str, float | None]:
        """The error rate; None for lyrics without words."""
        return {COLUMN.name: error_rate(song.lyrics, self.heard(song)) if words(song.lyrics) else None}

    def heard(self, song: ScoredSong) -> str:
        """What the model hears, window by window; greedy, so that the same audio gives the same words."""
        extractor = self._processor.feature_extractor
        rate = extractor.sampling_rate
        options: dict[str, Any] = {"do_sample": False, "num_beams": 1}
        config = self._model.generation_config
        known = getattr(config, "lang_to_id", None) or {}
        if getattr(config, "is_multilingual", False) and f"<|{song.language}|>" in known:  # else it finds out itself
            options |= {"language": song.language, "task": "transcribe"}
        texts = []
        for window in windows(song.at(rate), extractor.n_samples, rate):
            features = extractor(window, sampling_rate=rate, return_tensors="pt", return_attention_mask=True)
            features = features.to(self._model.device, self._model.dtype)
            with torch.inference_mode():
                tokens = self._model.generate(**features, **options)
            texts.append(self._processor.tokenizer.batch_decode(tokens, skip_special_tokens=True)[0])
        return " ".join(texts)


def windows(channel: NDArray[np.float32], longest: int, rate: int) -> Iterator[NDArray[np.float32]]:
    """`[N]` in pieces of up to `longest` samples, each cut where it is quietest near its end."""
    moment = round(_MOMENT_S * rate)
    span = int(longest * _CUT) // moment * moment
    while len(channel) > longest:
        loudness = np.square(channel[longest - span : longest].reshape(-1, moment)).sum(axis=1)
        end = longest - span + int(loudness.argmin()) * moment + moment // 2
        yield channel[:end]
        channel = channel[end:]
    if len(channel):
        yield channel


def load(folder: Path, device: str) -> Score:
    """A `WhisperForConditionalGeneration` as transformers saves it.

    Raises OSError or ValueError when the folder does not hold one.
    """
    processor = WhisperProcessor.from_pretrained(folder, local_files_only=True)
    return LyricScore(load_model(WhisperForConditionalGeneration, folder, device), processor)
