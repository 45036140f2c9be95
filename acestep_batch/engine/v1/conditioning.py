"""What a song's branches attend to: prompts and lyrics to conditioning; no latents, no steps.

Entropy-rectifying guidance (ERG) gives the unconditional branch the same song, seen through weakened attention, in
place of nothing at all. Which part is weakened where follows the reference implementation (ace-step/ACE-Step at
d612523).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.text import TextEncoder
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel, Conditioning

LyricTokenizer = Callable[[str], list[int]]
"""Lyrics that are not empty to token ids."""

ERG_TAU = 0.01
"""The factor on the queries that ERG weakens."""

CACHED_TEXTS = 64


class Branch(Enum):
    """One evaluation of the model for a song; guidance combines several."""

    COND = "cond"
    TEXT_ONLY = "text_only"
    UNCOND = "uncond"


class Conditioner:
    """Encodes songs for the transformer, each distinct text once.

    Songs are encoded one by one, so that no vector depends on the songs beside it. The encodings of recent texts are
    kept; they hold for the weights that the models had, so changed weights need a new ``Conditioner``.
    """

    def __init__(
        self, transformer: ACEStepTransformer2DModel, text_encoder: TextEncoder, lyric_tokenizer: LyricTokenizer
    ) -> None:
        self._transformer = transformer

        @lru_cache(CACHED_TEXTS)
        def encode_text(prompt: str, query_scale: float) -> Tensor:  # [1, T, C]
            return text_encoder.encode([prompt], query_scale)[0]

        @lru_cache(CACHED_TEXTS)
        def tokenize_lyrics(lyrics: str) -> Tensor:  # [1, L]
            return torch.tensor([lyric_tokenizer(lyrics)], device=transformer.device)

        @lru_cache(CACHED_TEXTS)
        def encode_lyrics(lyrics: str, query_scale: float) -> Tensor:  # [1, L, D]
            return transformer.encode_lyrics(tokenize_lyrics(lyrics), query_scale=query_scale)

        @lru_cache(CACHED_TEXTS)
        def encode_null_lyrics(length: int) -> Tensor:  # [1, L, D]
            return transformer.encode_lyrics(torch.zeros(1, length, dtype=torch.long, device=transformer.device))

        self._encode_text = encode_text
        self._tokenize_lyrics = tokenize_lyrics
        self._encode_lyrics = encode_lyrics
        self._encode_null_lyrics = encode_null_lyrics

    def conditioning(self, requests: Sequence[SongRequest], branches: Sequence[Branch]) -> Conditioning:
        """Keys and values of all songs of the first branch, then of the second, and so on."""
        items = [(request, branch) for branch in branches for request in requests]
        states = [self._states(request, branch)[0] for request, branch in items]
        lengths = torch.tensor([len(state) for state in states], device=states[0].device)
        padded = pad_sequence(states, batch_first=True)  # [B, S, D]
        inside = torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
        weakened = [branch is Branch.UNCOND and request.use_erg_diffusion for request, branch in items]
        query_scale = torch.tensor([ERG_TAU if weak else 1.0 for weak in weakened], device=padded.device)
        return self._transformer.condition(padded, None if inside.all() else inside, query_scale)

    def _states(self, request: SongRequest, branch: Branch) -> Tensor:
        """[1, S, D] of one branch; S is the same for all branches of a song."""
        text = self._text(request, branch)
        speaker = text.new_zeros(1, self._transformer.speaker_embedder.in_features)
        return self._transformer.join(speaker, text, self._lyrics(request, branch))

    def _text(self, request: SongRequest, branch: Branch) -> Tensor:
        text = self._encode_text(request.prompt, 1.0)
        if branch is not Branch.UNCOND:
            return text
        # The weakened prompt is used with weakened lyrics only; by itself, use_erg_tag has no effect.
        if request.use_erg_tag and request.use_erg_lyric:
            return self._encode_text(request.prompt, ERG_TAU)
        return torch.zeros_like(text)

    def _lyrics(self, request: SongRequest, branch: Branch) -> Tensor:
        if not request.lyrics:
            # The reference puts one masked token here, which weighs nothing: as good as none.
            model = self._transformer
            return torch.zeros(1, 0, model.lyric_proj.out_features, device=model.device, dtype=model.dtype)
        if branch is Branch.COND:
            return self._encode_lyrics(request.lyrics, 1.0)
        if request.use_erg_lyric:
            return self._encode_lyrics(request.lyrics, ERG_TAU)
        return self._encode_null_lyrics(self._tokenize_lyrics(request.lyrics).shape[1])
