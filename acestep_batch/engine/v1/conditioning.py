"""What a song's branches attend to: prompts and lyrics to conditioning; no latents, no steps.

Entropy-rectifying guidance (ERG) gives the unconditional branch the same song, seen through weakened attention, in
place of nothing at all. Which part is weakened where follows the reference implementation (ace-step/ACE-Step at
d612523).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.batching import Branch, edited
from acestep_batch.engine.v1.encodings import Encodings
from acestep_batch.engine.v1.text import TextEncoder
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel, Conditioning

LyricTokenizer = Callable[[str, str | None], list[int]]
"""Lyrics that are not empty, and their language (None: detected line by line), to token ids."""

ERG_TAU = 0.01
"""The factor on the queries that ERG weakens."""


class Conditioner:
    """Encodes songs for the transformer, each distinct text once.

    Songs are encoded one by one, so that no vector depends on the songs beside it.
    """

    def __init__(
        self, transformer: ACEStepTransformer2DModel, text_encoder: TextEncoder, lyric_tokenizer: LyricTokenizer
    ) -> None:
        self._transformer = transformer
        self._text_encoder = text_encoder
        self._lyric_tokenizer = lyric_tokenizer
        self._encodings = Encodings()

    def encode_prompts(self, requests: Sequence[SongRequest], branches: Sequence[Branch]) -> None:
        """Encode the prompts ahead, so that ``conditioning`` needs the transformer alone."""
        for request, branch in _items(requests, branches):
            self._text(request, branch)

    def forget(self) -> None:
        """Drop all encodings; after the weights have changed."""
        self._encodings.clear()

    def conditioning(self, requests: Sequence[SongRequest], branches: Sequence[Branch]) -> Conditioning:
        """Keys and values of all songs of the first branch, then of the second, and so on."""
        items = _items(requests, branches)
        states = [self._states(request, branch)[0] for request, branch in items]
        lengths = torch.tensor([len(state) for state in states], device=states[0].device)
        padded = pad_sequence(states, batch_first=True)  # [B, S, D]
        inside = torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
        weakened = [branch is Branch.UNCOND and request.use_erg_diffusion for request, branch in items]
        query_scale = torch.tensor([ERG_TAU if weak else 1.0 for weak in weakened], device=padded.device)
        return self._transformer.condition(padded, None if inside.all() else inside, query_scale)

    def _states(self, request: SongRequest, branch: Branch) -> Tensor:
        """[1, S, D] of one branch; S is the same for all branches of a song, but for the lyrics of an empty one."""
        device = self._transformer.device
        text, lyrics = self._text(request, branch).to(device), self._lyrics(request, branch).to(device)
        speaker = text.new_zeros(1, self._transformer.speaker_embedder.in_features)
        return self._transformer.join(speaker, text, lyrics)

    def _text(self, request: SongRequest, branch: Branch) -> Tensor:  # [1, T, C]
        text = self._encoded_text(request, 1.0)
        if branch is Branch.EMPTY:
            return torch.zeros_like(text)
        if branch is not Branch.UNCOND:
            return text
        # The weakened prompt is used with weakened lyrics only; by itself, use_erg_tag has no effect.
        if request.use_erg_tag and request.use_erg_lyric:
            return self._encoded_text(request, ERG_TAU)
        return torch.zeros_like(text)

    def _encoded_text(self, request: SongRequest, query_scale: float) -> Tensor:
        key = ("text", request.prompt, query_scale)
        return self._encodings.get(key, lambda: self._text_encoder.encode([request.prompt], query_scale)[0])

    def _lyrics(self, request: SongRequest, branch: Branch) -> Tensor:  # [1, L, D]
        model = self._transformer
        if not request.lyrics or branch is Branch.EMPTY:
            # The reference puts masked tokens here, which weigh nothing: as good as none.
            return torch.zeros(1, 0, model.lyric_proj.out_features, device=model.device, dtype=model.dtype)
        if branch is Branch.COND or request.use_erg_lyric:
            scale = 1.0 if branch is Branch.COND else ERG_TAU
            key = ("lyrics", request.lyrics, request.lyrics_language, scale)
            return self._encodings.get(key, lambda: self._encode_lyrics(self._lyric_ids(request), scale))
        length = self._lyric_ids(request).shape[1]
        return self._encodings.get(
            ("no lyrics", length), lambda: self._encode_lyrics(torch.zeros(1, length, dtype=torch.long), 1.0)
        )

    def _lyric_ids(self, request: SongRequest) -> Tensor:  # [1, L]
        key = ("lyric ids", request.lyrics, request.lyrics_language)
        return self._encodings.get(
            key, lambda: torch.tensor([self._lyric_tokenizer(request.lyrics, request.lyrics_language)])
        )

    def _encode_lyrics(self, ids: Tensor, query_scale: float) -> Tensor:
        return self._transformer.encode_lyrics(ids.to(self._transformer.device), query_scale=query_scale)


def _items(requests: Sequence[SongRequest], branches: Sequence[Branch]) -> list[tuple[SongRequest, Branch]]:
    """Every song for each branch; an edit's target is a song of its own."""
    of_target = {Branch.TARGET: Branch.COND, Branch.TARGET_EMPTY: Branch.EMPTY}
    return [
        (edited(request), of_target[branch]) if branch in of_target else (request, branch)
        for branch in branches
        for request in requests
    ]
