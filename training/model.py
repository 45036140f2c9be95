"""The networks that stage 4 trains, how their weights begin, and how they see a batch; no loss, no optimizer.

Transformer and text encoder are v1's classes. Their first weights are chosen so that the untrained model already is the
best linear denoiser of white latents: the trunk learns what is not linear, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from diffusers.models.embeddings import get_timestep_embedding
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import UMT5Config, UMT5EncoderModel

from acestep_batch.engine.v1.transformer import (
    TIME_WIDTH,
    ACEStepTransformer2DModel,
    Conditioning,
    TransformerBlock,
)
from training.tokens import NUMBERS

_GATE_ROWS = (2, 5)
_FIRST_GATE = 0.5


class Model(nn.Module):
    """Transformer and text encoder, trained as one."""

    def __init__(self, transformer_config: Mapping[str, Any], text_config: Mapping[str, Any], words: int) -> None:
        super().__init__()
        self.transformer = ACEStepTransformer2DModel.from_config(dict(transformer_config))
        self.text = UMT5EncoderModel(UMT5Config(vocab_size=words, **text_config))
        self.text.set_input_embeddings(self.text.shared)  # one module under both of its names

    def conditioning(
        self, text_ids: Sequence[list[int]], lyric_ids: Sequence[list[int]], without_text: Sequence[bool]
    ) -> Conditioning:
        """What the blocks attend to, put together as ``v1.conditioning`` does for the branches of a song.

        ``without_text`` items have zeros for text vectors; lyrics of ids 0 are the encoding of no lyrics, an empty list
        stands for no lyrics at all.
        """
        transformer, device = self.transformer, self.transformer.device
        ids, text_lengths = _padded(text_ids, device)
        text = self.text(input_ids=ids, attention_mask=_inside(text_lengths, ids.shape[1])).last_hidden_state
        kept = torch.tensor([not without for without in without_text], device=device)
        text = text * kept[:, None, None]
        ids, lyric_lengths = _padded([each or [0] for each in lyric_ids], device)
        lyrics = transformer.encode_lyrics(ids, _inside(lyric_lengths, ids.shape[1]))
        speaker = text.new_zeros(len(text_ids), transformer.speaker_embedder.in_features)
        joined = transformer.join(speaker, text, lyrics)
        width = text.shape[1]
        states = [
            torch.cat((own[: 1 + n_text], own[1 + width : 1 + width + len(given)]))
            for own, n_text, given in zip(joined, text_lengths.tolist(), lyric_ids, strict=True)
        ]
        lengths = torch.tensor([len(state) for state in states], device=device)
        padded = pad_sequence(states, batch_first=True)
        unweakened = torch.ones(len(states), device=device)
        whole = transformer.condition(padded, _inside(lengths, padded.shape[1]), unweakened)
        return replace(whole, lengths=None)  # one masked product for all items; what it costs is the last bit

    def forward(self, latents: Tensor, sigmas: Tensor, conditioning: Conditioning) -> Tensor:
        """The velocity of latents ``[B, 8, 16, F]`` at the levels ``[B]``."""
        times = self.transformer.embed_times(sigmas * 1000, latents.shape[-1])
        predicted: Tensor = self.transformer(latents, times, conditioning)
        return predicted


def _padded(ids: Sequence[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(each) for each in ids], device=device)
    return pad_sequence([torch.tensor(each) for each in ids], batch_first=True).to(device), lengths


def _inside(lengths: Tensor, width: int) -> Tensor:
    return torch.arange(width, device=lengths.device) < lengths[:, None]


def begin(model: Model, tokenizer: Tokenizer, seed: int) -> None:
    """Give ``model`` its first weights, from ``seed``."""
    generator = torch.Generator().manual_seed(seed)
    _begin_numbers(model.text.get_input_embeddings().weight, tokenizer, generator)
    _begin_trunk(model.transformer, generator)


@torch.no_grad()
def _begin_numbers(embeddings: Tensor, tokenizer: Tokenizer, generator: torch.Generator) -> None:
    """Tempi that are near each other in ratio begin with like vectors (random Fourier features of the logarithm).

    The length scale is about 4 %: what is learnt of one tempo holds for its neighbours, and for no others.
    """
    embeddings.normal_(generator=generator)
    frequencies = torch.randn(embeddings.shape[1], generator=generator) * 25.0
    phases = torch.rand(embeddings.shape[1], generator=generator) * 2 * math.pi
    for number in NUMBERS:
        embeddings[tokenizer.token_to_id(str(number))] = math.sqrt(2) * (frequencies * math.log(number) + phases).cos()


@torch.no_grad()
def _begin_trunk(transformer: ACEStepTransformer2DModel, generator: torch.Generator) -> None:
    embed, height = transformer.proj_in.early_conv_layers, transformer.final_layer.height
    first, last = cast(nn.Conv2d, embed[0]), cast(nn.Conv2d, embed[2])
    numbers, width = first.weight[0].numel(), last.weight.shape[0]
    # Columns that are orthogonal to each other and to the vector of ones, along which the final layer's shift lies.
    start = torch.randn(width, numbers, generator=generator)
    lift = torch.linalg.qr(start - start.mean(0)).Q
    lift = lift - lift.mean(0)
    spread = torch.randn(first.weight.shape[0], numbers, generator=generator) / math.sqrt(numbers)
    first.weight.copy_(spread.view_as(first.weight))
    last.weight.copy_((lift @ torch.linalg.pinv(spread)).view_as(last.weight))
    final = transformer.final_layer.linear
    by_height = lift.T.unflatten(0, (-1, height)).transpose(0, 1).flatten(0, 1)  # rows as the final layer has them
    final.weight.copy_(by_height * math.sqrt(numbers / width))
    for layer in (first, last, final):
        cast(Tensor, layer.bias).zero_()
    _begin_time(transformer)
    for block in transformer.transformer_blocks:
        cast(TransformerBlock, block).scale_shift_table[_GATE_ROWS, :] = _FIRST_GATE


def _begin_time(transformer: ACEStepTransformer2DModel) -> None:
    """Let the time embedding scale the output as the best linear denoiser of white data does.

    With ``s`` the standard deviation of a song at level sigma, the velocity's best linear guess from the song divided
    by s is (2 sigma - 1) / s times it. The scale adds to 1.
    """
    embedder = transformer.timestep_embedder
    sigmas = torch.linspace(0, 1, 513)
    sinusoids = get_timestep_embedding(sigmas * 1000, TIME_WIDTH, flip_sin_to_cos=True, downscale_freq_shift=0)
    features = embedder.act(embedder.linear_1(sinusoids)).double()
    wanted = ((2 * sigmas - 1) / (sigmas**2 + (1 - sigmas) ** 2).sqrt() - 1).double()
    ridge = torch.eye(features.shape[1], dtype=torch.float64) * 1e-3
    row = torch.linalg.solve(features.T @ features + ridge, features.T @ wanted)
    embedder.linear_2.weight.mul_(0.3).add_(row.float())
    embedder.linear_2.bias.zero_()
