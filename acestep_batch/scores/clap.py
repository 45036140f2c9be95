"""The CLAP score: how well a song fits its prompt, to a model that has learned from captions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import ClapModel, ClapProcessor

from acestep_batch.measure.columns import Column
from acestep_batch.scores.base import Score, ScoredSong
from acestep_batch.scores.weights import load_model

COLUMN = Column(
    "clap_score",
    "-1 to 1",
    "Float64",
    "How well the audio fits the prompt; compare only songs scored with the same weights.",
    "cosine of CLAP's audio and text embeddings (Wu et al. 2023), mean embedding of windows of 10 s",
    4,
)
_BATCH = 8
"""Windows that go through the model at once."""


class ClapScore:
    """A loaded CLAP model with its processor."""

    columns = (COLUMN,)

    def __init__(self, model: ClapModel, processor: ClapProcessor) -> None:
        self._model, self._processor = model, processor

    def score(self, song: ScoredSong) -> Mapping[str, float | None]:
        """Cosine of prompt and audio. None for an empty prompt."""
        if not song.prompt.strip():
            return {COLUMN.name: None}
        with torch.inference_mode():
            return {COLUMN.name: float(torch.dot(self._text(song.prompt), self._audio(song)))}

    def _text(self, prompt: str) -> torch.Tensor:
        """Embedding `[D]` of length 1."""
        tokens = self._processor.tokenizer([prompt], truncation=True, return_tensors="pt").to(self._model.device)
        return torch.as_tensor(self._model.get_text_features(**tokens).pooler_output[0]).float()

    def _audio(self, song: ScoredSong) -> torch.Tensor:
        """Mean embedding `[D]` of length 1. Windows have the model's own length, so that it draws no random crop."""
        extractor = self._processor.feature_extractor
        channel, length = song.at(extractor.sampling_rate), extractor.nb_max_samples
        starts = range(0, max(len(channel) - length // 2, 1), length)  # a last window of less than half is left out
        windows = [channel[start : start + length] for start in starts]
        found = []
        for first in range(0, len(windows), _BATCH):
            features = extractor(
                windows[first : first + _BATCH], sampling_rate=extractor.sampling_rate, return_tensors="pt"
            ).to(self._model.device)
            found.append(self._model.get_audio_features(**features).pooler_output.float())
        return torch.nn.functional.normalize(torch.cat(found).mean(dim=0), dim=0)


def load(folder: Path, device: str) -> Score:
    """A `ClapModel` as transformers saves it; `laion/larger_clap_music` is one for music.

    Raises OSError or ValueError when the folder does not hold one.
    """
    processor = ClapProcessor.from_pretrained(folder, local_files_only=True)
    return ClapScore(load_model(ClapModel, folder, device), processor)
