"""The lyric encoder: a pre-norm Transformer with relative positions (Transformer-XL, as in ESPnet).

Modules carry the names of the published checkpoint. The encoder knows token vectors, not lyrics.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acestep_batch.engine.v1.erg_layers import at_depth

ERG_LAYERS = range(4, 6)
"""Layers whose query entropy-rectifying guidance weakens, of 6 (reference implementation, ace-step/ACE-Step at
d612523); with another number of layers those in their place."""


class LyricEncoder(nn.Module):
    """Token vectors [B, L, width_in] to contextual vectors [B, L, width]."""

    def __init__(self, width_in: int, width: int, heads: int, hidden: int, layers: int) -> None:
        """``hidden`` is the width inside the feed-forward part; ``width`` must be a multiple of ``heads``."""
        super().__init__()
        self.embed = nn.ModuleDict({"out": nn.Sequential(nn.Linear(width_in, width), nn.LayerNorm(width))})
        self.encoders = nn.ModuleList([EncoderLayer(width, heads, hidden) for _ in range(layers)])
        self.after_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None, query_scale: float = 1.0) -> Tensor:
        """Encode ``tokens``.

        ``mask`` [B, L] is True where a token may be attended to, None where all may. ``query_scale`` multiplies the
        query projections of ``ERG_LAYERS``.
        """
        x = self.embed["out"](tokens)
        width = x.shape[-1]
        positions = relative_positions(x.shape[1], width, x.device).to(x.dtype)
        x = x * math.sqrt(width)
        weakened = at_depth(ERG_LAYERS, 6, len(self.encoders))
        for index, layer in enumerate(self.encoders):
            x = layer(x, positions, mask, query_scale if index in weakened else 1.0)
        return self.after_norm(x)


class EncoderLayer(nn.Module):
    """Relative self-attention, then a feed-forward part with SiLU; both with a norm before and a residual around."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = RelativeSelfAttention(width, heads)
        self.feed_forward = nn.ModuleDict({"w_1": nn.Linear(width, hidden), "w_2": nn.Linear(hidden, width)})
        self.norm_mha = nn.LayerNorm(width)
        self.norm_ff = nn.LayerNorm(width)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None, query_scale: float) -> Tensor:
        x = x + self.self_attn(self.norm_mha(x), positions, mask, query_scale)
        hidden = F.silu(self.feed_forward["w_1"](self.norm_ff(x)))
        return x + self.feed_forward["w_2"](hidden)


class RelativeSelfAttention(nn.Module):
    """Self-attention whose scores add a term for the distance between two tokens (arXiv:1901.02860, section 3.3)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"lyric encoder: width {width} is not a multiple of its {heads} attention heads")
        self.heads = heads
        self.linear_q = nn.Linear(width, width)
        self.linear_k = nn.Linear(width, width)
        self.linear_v = nn.Linear(width, width)
        self.linear_out = nn.Linear(width, width)
        self.linear_pos = nn.Linear(width, width, bias=False)
        self.pos_bias_u = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, width // heads)))
        self.pos_bias_v = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, width // heads)))

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None, query_scale: float) -> Tensor:
        query = self._split(self.linear_q(x) * query_scale)  # [B, H, L, d]
        key, value = self._split(self.linear_k(x)), self._split(self.linear_v(x))
        distance = self._split(self.linear_pos(positions)[None])  # [1, H, 2L-1, d]
        bias = (query + self.pos_bias_v[:, None]) @ distance.transpose(-1, -2)  # [B, H, L, 2L-1]
        bias = by_distance(bias) / math.sqrt(query.shape[-1])
        if mask is not None:
            bias = bias.masked_fill(~mask[:, None, None, :], -torch.inf)
        attended = F.scaled_dot_product_attention(query + self.pos_bias_u[:, None], key, value, attn_mask=bias)
        return self.linear_out(attended.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, L, H * d] -> [B, H, L, d]


def relative_positions(length: int, width: int, device: torch.device) -> Tensor:
    """Sinusoids of the distances ``length - 1`` down to ``1 - length``: [2 * length - 1, width], float32."""
    distance = torch.arange(length - 1, -length, -1, device=device, dtype=torch.float32)
    frequency = torch.exp(torch.arange(0, width, 2, device=device, dtype=torch.float32) * (-math.log(10000.0) / width))
    angle = distance[:, None] * frequency
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


def by_distance(scores: Tensor) -> Tensor:
    """Pick for each query i and key j the score of their distance i - j: [..., L, 2L-1] to [..., L, L]."""
    length = scores.shape[-2]
    step = torch.arange(length, device=scores.device)
    index = step[None, :] - step[:, None] + length - 1
    return scores.gather(-1, index.expand(*scores.shape[:-1], length))
