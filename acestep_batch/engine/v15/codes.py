"""Audio codes of 1.5: 5 numbers a second that stand for what is heard, to hints for the transformer and back.

A code is the index of a point of a finite grid (finite scalar quantisation, arXiv:2309.15505) of 8 x 8 x 8 x 5 x 5 x 5
values from -1 to 1. diffusers' quantizer, tokenizer and detokenizer compute everything.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.pipelines.ace_step.modeling_ace_step import AceStepAudioTokenDetokenizer, AceStepAudioTokenizer
from torch import Tensor


def hints_of_codes(
    codes: Sequence[int], tokenizer: AceStepAudioTokenizer, detokenizer: AceStepAudioTokenDetokenizer
) -> Tensor:
    """Hints [1, 5 n, C], one for each latent frame, of ``n`` codes from 0 to 63,999.

    Raises ValueError for a code that is none: the grid would take it for another.
    """
    size = tokenizer.quantizer.codebook_size
    if wrong := [code for code in codes if not 0 <= code < size]:
        raise ValueError(f"audio code {wrong[0]} is not in 0 to {size - 1}")
    indices = torch.tensor(codes, dtype=torch.long, device=tokenizer.device).reshape(1, -1, 1)
    return detokenizer(tokenizer.quantizer.get_output_from_indices(indices).to(detokenizer.dtype))


def codes_of_latents(latents: Tensor, silence: Tensor, tokenizer: AceStepAudioTokenizer) -> tuple[Tensor, list[int]]:
    """Latents [1, F, C] to their quantized vectors [1, n, D] and codes, n = F / 5 rounded up.

    ``silence`` [1, S, C] fills the last window.
    """
    quantized, indices = tokenizer.tokenize(latents, silence)
    return quantized, indices.flatten().tolist()


def hints_of_latents(
    latents: Tensor, silence: Tensor, tokenizer: AceStepAudioTokenizer, detokenizer: AceStepAudioTokenDetokenizer
) -> Tensor:
    """What codes keep of latents [1, F, C], as hints of the same length."""
    quantized, _ = codes_of_latents(latents, silence, tokenizer)
    return detokenizer(quantized)[:, : latents.shape[1]]
