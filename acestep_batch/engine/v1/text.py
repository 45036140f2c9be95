"""Prompts to text vectors: UMT5 and its tokenizer; nothing of the song but its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Self

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import UMT5EncoderModel

from acestep_batch.engine.v1.erg_layers import at_depth
from acestep_batch.engine.v1.limits import PROMPT_TOKENS

PAD_ID = 0

ERG_BLOCKS = range(8, 10)
"""Blocks whose query entropy-rectifying guidance weakens, of 12 (reference implementation, ace-step/ACE-Step at
d612523); with another number of blocks those in their place."""


class TextEncoder:
    """A loaded UMT5 encoder with its tokenizer, whose truncation and padding it sets."""

    def __init__(self, model: UMT5EncoderModel, tokenizer: Tokenizer) -> None:
        self.model = model
        self._tokenizer = tokenizer
        tokenizer.enable_truncation(PROMPT_TOKENS)
        tokenizer.enable_padding(pad_id=PAD_ID)

    def to(self, target: str | torch.device | torch.dtype) -> Self:
        """Move the model to a device, or cast it."""
        self.model.to(target)  # type: ignore[arg-type]  # the type checker misreads its decorator
        return self

    def tokenize(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids [B, T] and their mask [B, T], which is False for padding at the end; both on the CPU."""
        encodings = self._tokenizer.encode_batch(list(prompts))
        ids = torch.tensor([encoding.ids for encoding in encodings])
        return ids, torch.tensor([encoding.attention_mask for encoding in encodings], dtype=torch.bool)

    def encode(self, prompts: Sequence[str], query_scale: float = 1.0) -> tuple[Tensor, Tensor]:
        """Text vectors [B, T, C] and their mask [B, T]; an empty prompt is one end token.

        ``query_scale`` multiplies the query projections of ``ERG_BLOCKS``; 1 leaves them as they are.
        """
        ids, mask = (tensor.to(self.model.device) for tensor in self.tokenize(prompts))
        with ExitStack() as hooks:
            if query_scale != 1.0:
                blocks: Any = self.model.encoder.block
                for index in at_depth(ERG_BLOCKS, 12, len(blocks)):
                    query = blocks[index].layer[0].SelfAttention.q
                    hooks.enter_context(query.register_forward_hook(lambda _module, _args, out: out * query_scale))
            return self.model(input_ids=ids, attention_mask=mask).last_hidden_state, mask
