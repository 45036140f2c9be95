"""Prompts and lyrics of 1.5 to vectors: Qwen3's embedding model and its tokenizer; knows nothing of the song beside."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import Qwen3Model

PROMPT_TOKENS = 256
LYRIC_TOKENS = 2048
"""Tokens that are read; the rest is cut off, which ``Conditioner.unread`` tells."""


class TextEncoder:
    """A loaded Qwen3 embedding model with its tokenizer, whose truncation and padding it sets.

    The tokenizer's own post-processor stays: it ends each text with a token that the model was trained with. Texts are
    encoded one by one, so that none depends on another.
    """

    def __init__(self, model: Qwen3Model, tokenizer: Tokenizer) -> None:
        self.model = model
        self._tokenizer = tokenizer
        tokenizer.no_padding()

    def encode_prompt(self, text: str) -> Tensor:
        """Vectors of a prompt [1, T, C], in context."""
        return self.model(input_ids=self.ids(text, PROMPT_TOKENS)).last_hidden_state

    def embed_lyrics(self, text: str) -> Tensor:
        """Vectors of lyrics [1, L, C], each token by itself: their context is the lyric encoder's work."""
        return self.model.get_input_embeddings()(self.ids(text, LYRIC_TOKENS))

    def tokens(self, text: str) -> int:
        """How many tokens a whole text has."""
        self._tokenizer.no_truncation()
        return len(self._tokenizer.encode(text).ids)

    def ids(self, text: str, at_most: int) -> Tensor:
        """Token ids [1, T] on the model's device, no more than ``at_most``."""
        self._tokenizer.enable_truncation(at_most)
        return torch.tensor([self._tokenizer.encode(text).ids], device=self.model.device)
