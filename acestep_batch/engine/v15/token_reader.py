"""A Qwen3 model that reads rows of tokens, with a cache of all it has read; knows no song and chooses nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, Qwen3ForCausalLM


class TokenReader:
    """Reads one batch of rows; rows of different lengths are padded at their start, which changes none of them."""

    def __init__(self, model: Qwen3ForCausalLM, rows: Sequence[Sequence[int]]) -> None:
        """Read the beginnings of all rows, of which none is empty."""
        self._model = model
        self._cache = DynamicCache(config=model.config)
        longest = max(map(len, rows))
        self._padding = torch.tensor([longest - len(row) for row in rows], device=model.device)
        self._places_read = 0
        self.logits: Tensor
        """[B, V] of what follows what was read."""
        self.read([[0] * (longest - len(row)) + list(row) for row in rows])

    def read(self, tokens: Sequence[Sequence[int]]) -> None:
        """Read more tokens [B, T]."""
        ids = torch.tensor(tokens, device=self._model.device)
        places = torch.arange(self._places_read + ids.shape[1], device=ids.device)
        positions = (places[self._places_read :] - self._padding[:, None]).clamp(min=0)
        self._places_read += ids.shape[1]
        result = self._model(
            input_ids=ids,
            attention_mask=places >= self._padding[:, None],
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.logits = result.logits[:, -1]
