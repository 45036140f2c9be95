"""What the engine saves, each saving beside a naive way that computes the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.at_once import LARGE, AtOnce
from acestep_batch.engine.v1.batching import branches
from acestep_batch.engine.v1.conditioning import ERG_TAU
from acestep_batch.engine.v1.limits import NATIVE_SAMPLE_RATE
from acestep_batch.engine.v1.transformer import (
    ERG_BLOCKS,
    ACEStepTransformer2DModel,
    Conditioning,
    GatedConv,
    TransformerBlock,
)
from acestep_batch.engine.v1.vocoder import ADaMoSHiFiGANV1
from benchmarks.engine_model import Model

Network = Callable[..., Tensor]

SHORT_SONGS = 4
MEL_LOW, MEL_SPAN = -9.0, 6.0
"""Log-mel values as songs have them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One saving: ``on`` is the engine's way, ``off`` the naive one; both return the same tensor up to rounding."""

    entry: str
    """The number of the redundancy in the list that the table follows; empty for one beyond it."""
    title: str
    part: str
    """What both sides do once."""
    on: Callable[[], Tensor]
    off: Callable[[], Tensor]


def comparisons(model: Model, requests: Sequence[SongRequest], frames: int, tokens: int) -> list[Comparison]:
    """All that can be measured, on random inputs: latents of ``frames``, ``tokens`` to attend to, one guided call."""
    transformer, vocoder = model.transformer, cast(ADaMoSHiFiGANV1, model.decoder.vocoder)
    velocity, samples = cast(Network, transformer), cast(Network, vocoder)
    device, dtype = transformer.device, transformer.dtype
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(2, 8, 16, frames, generator=draws).to(device, dtype)
    states = torch.randn(2, tokens, transformer.lyric_proj.out_features, generator=draws).to(device, dtype)
    timestep = torch.tensor([500.0], device=device)
    times = transformer.embed_times(timestep, frames)
    weakened = torch.tensor([1.0, ERG_TAU], device=device, dtype=dtype)
    attended = transformer.condition(states, None, weakened)
    unscaled = transformer.condition(states[1:], None, torch.ones_like(weakened[1:]))
    mel_dtype = next(vocoder.parameters()).dtype
    mel = (torch.rand(2, 128, frames * 8, generator=draws) * MEL_SPAN + MEL_LOW).to(device, mel_dtype)
    window = model.decoder.at_once.mel_frames
    short_songs = torch.randn(SHORT_SONGS, 8, 16, frames // SHORT_SONGS, generator=draws).to(device)
    convolutions = [layer for layer in vocoder.head.modules() if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d)]
    weight_norms = [(layer, vector_lengths(layer.weight), layer.weight.clone()) for layer in convolutions]

    def call() -> Tensor:
        return velocity(x, times, attended)

    def with_keys_every_call() -> Tensor:
        return velocity(x, times, transformer.condition(states, None, weakened))

    def with_zero_masks() -> Tensor:
        for _ in transformer.transformer_blocks:
            mask = zero_mask(2, attended.keys[0].shape[1], frames, tokens, x)
        return velocity(x, times, replace(attended, mask=mask))

    def with_convolutions() -> Tensor:
        with convolutions_of_width_one(transformer):
            return call()

    def weakened_call() -> Tensor:
        return velocity(x[1:], times, item(attended, 1))

    def with_hooks() -> Tensor:
        with query_hooks(transformer):
            return velocity(x[1:], times, unscaled)

    def texts_once() -> Tensor:
        return model.conditioner().conditioning(requests, branches(requests[0])).keys[0]

    def texts_for_every_song() -> Tensor:
        songs = [model.conditioner().conditioning([request], branches(request)).keys[0] for request in requests]
        return torch.stack(songs, dim=1).flatten(0, 1)

    def branch_by_branch() -> Tensor:
        return torch.cat([velocity(x[index : index + 1], times, item(attended, index)) for index in range(len(x))])

    def with_time_in_every_call() -> Tensor:
        return velocity(x, transformer.embed_times(timestep.repeat(len(x)), frames), attended)

    def waveform() -> Tensor:
        return samples(mel, window)

    def with_weight_norm() -> Tensor:
        for layer, length, direction in weight_norms:
            layer.weight.copy_(direction * (length / vector_lengths(direction)))
        return waveform()

    def channel_by_channel() -> Tensor:
        return torch.cat([samples(channel[None], window) for channel in mel])

    def in_one_piece() -> Tensor:
        return samples(mel)

    def songs_together() -> Tensor:
        songs = model.decoder.decode_in_groups(short_songs, NATIVE_SAMPLE_RATE, AtOnce(LARGE.latent_frames, window))
        return torch.stack([torch.from_numpy(song) for song in songs])

    def song_by_song() -> Tensor:
        songs = model.decoder.decode_in_groups(short_songs, NATIVE_SAMPLE_RATE, AtOnce(1, window))
        return torch.stack([torch.from_numpy(song) for song in songs])

    texts = f"text, {len(requests)} songs"
    return [
        Comparison("1", "cross-attention keys and values once", "guided call", call, with_keys_every_call),
        Comparison("2", "no all-zero masks", "guided call", call, with_zero_masks),
        Comparison("3", "convolutions on [frames, channels]", "guided call", call, with_convolutions),
        Comparison("4", "weakened query in the keys, no hooks", "weakened call", weakened_call, with_hooks),
        Comparison("5", "each distinct text encoded once", texts, texts_once, texts_for_every_song),
        Comparison("6", "branches in one pass", "guided call", call, branch_by_branch),
        Comparison("7", "time embedding once per schedule", "guided call", call, with_time_in_every_call),
        Comparison("8", "weight norm folded", "vocoder", waveform, with_weight_norm),
        Comparison("8", "both channels together", "vocoder", waveform, channel_by_channel),
        Comparison("8", "several songs together (not on CPUs)", "4 short songs", songs_together, song_by_song),
        Comparison("", "vocoder in windows", "vocoder", waveform, in_one_piece),
    ]


def item(conditioning: Conditioning, index: int) -> Conditioning:
    """One item of a conditioning without padding."""
    here = slice(index, index + 1)
    return Conditioning(
        keys=tuple(key[here] for key in conditioning.keys),
        values=tuple(value[here] for value in conditioning.values),
        mask=None,
        lengths=None,
        query_scale=conditioning.query_scale[here],
    )


def zero_mask(batch: int, heads: int, frames: int, tokens: int, like: Tensor) -> Tensor:
    """An additive attention mask [B, H, F, S] built from two masks that hide nothing."""
    inside = like.new_ones(batch, frames, 1) * like.new_ones(batch, 1, tokens)
    additive = torch.zeros_like(inside).masked_fill(inside == 0, -torch.inf)
    return additive[:, None].expand(-1, heads, -1, -1).contiguous()


class ConvolutionalFeedForward(nn.Module):
    """The feed-forward part with every layer as a Conv1d over [B, C, F]."""

    def __init__(self, ours: GatedConv) -> None:
        super().__init__()
        self.ours = ours

    def forward(self, x: Tensor) -> Tensor:
        parts = (self.ours.inverted_conv, self.ours.depth_conv, self.ours.point_conv)
        inverted, depth, point = (cast(nn.Conv1d, part["conv"]) for part in parts)
        x = F.silu(F.conv1d(x.transpose(1, 2), inverted.weight, inverted.bias))
        x = F.conv1d(x, depth.weight, depth.bias, padding=1, groups=depth.groups)
        x, gate = x.chunk(2, dim=1)
        return F.conv1d(x * F.silu(gate), point.weight).transpose(1, 2)


@contextmanager
def convolutions_of_width_one(transformer: ACEStepTransformer2DModel) -> Iterator[None]:
    """Within, all blocks have ``ConvolutionalFeedForward``."""
    blocks = [block for block in transformer.transformer_blocks if isinstance(block, TransformerBlock)]
    ours = [block.ff for block in blocks]
    for block in blocks:
        block.ff = ConvolutionalFeedForward(block.ff)  # type: ignore[assignment]
    try:
        yield
    finally:
        for block, feed_forward in zip(blocks, ours, strict=True):
            block.ff = feed_forward


@contextmanager
def query_hooks(transformer: ACEStepTransformer2DModel) -> Iterator[None]:
    """Within, hooks weaken the query of both attentions of the blocks that guidance weakens."""
    with ExitStack() as hooks:
        for index in ERG_BLOCKS:
            block = cast(TransformerBlock, transformer.transformer_blocks[index])
            for attention in (block.attn, block.cross_attn):
                hooks.enter_context(attention.to_q.register_forward_hook(lambda _module, _args, out: out * ERG_TAU))
        yield


def vector_lengths(weight: Tensor) -> Tensor:
    """The length of each filter, as weight norm takes it."""
    lengths: Tensor = torch.linalg.vector_norm(weight, dim=(1, 2), keepdim=True)
    return lengths
