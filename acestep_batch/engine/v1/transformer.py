"""The diffusion transformer of ACE-Step v1: noisy latents, time and conditioning to velocity.

Modules carry the names of the published checkpoint, so that its weights and adapters load unchanged. The class knows
neither prompts nor guidance: a guided branch is one more item of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders.peft import PeftAdapterMixin
from diffusers.models.embeddings import TimestepEmbedding, get_timestep_embedding
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from acestep_batch.engine.v1.erg_layers import at_depth
from acestep_batch.engine.v1.lyric_encoder import LyricEncoder

UNUSED_PARAMETERS = r"projectors\..+|transformer_blocks\.\d+\.cross_attn\.(add_[qkv]_proj|to_add_out)\..+"
"""Names of the published parameters that inference never reads (22 % of the file); they are not created here."""

ERG_BLOCKS = range(15, 20)
"""Blocks whose query entropy-rectifying guidance weakens, of 24 (reference implementation, ace-step/ACE-Step at
d612523); with another number of blocks those in their place."""

TIME_WIDTH = 256
NORM_EPS = 1e-6
FP16_MAX = 65504.0


@dataclass(frozen=True, slots=True)
class Times:
    """What time and positions give to N model calls on F frames; fixed before the first of them, so computed once."""

    timesteps: Tensor
    """[N], 0..1000."""
    embedding: Tensor
    """[N, D], for the final layer."""
    modulation: Tensor
    """[N, 6, D], to which every block adds its own table."""
    rotary: tuple[Tensor, Tensor]
    """Cosine and sine of the frames' positions, float32 [F, d] each; the same for all calls."""

    def at(self, call: int) -> Times:
        """One call alone, as views."""
        here = slice(call, call + 1)
        return Times(self.timesteps[here], self.embedding[here], self.modulation[here], self.rotary)


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the blocks attend to, for B items; fixed over all denoising steps, so computed once."""

    keys: tuple[Tensor, ...]
    """One [B, H, S, d] for each block, already rotated; in ``ERG_BLOCKS`` multiplied by ``query_scale``."""
    values: tuple[Tensor, ...]
    """One [B, H, S, d] for each block."""
    mask: Tensor | None
    """[B, 1, 1, S], False for padding; None where no item is padded, which allows faster attention kernels."""
    lengths: tuple[int, ...] | None
    """How many of its S vectors are an item's own, the others being padding; None where no item is padded."""
    query_scale: Tensor
    """[B], the factor on the cross-attention query of ``ERG_BLOCKS``; 1 leaves an item as it is. It stands in the keys,
    where a product of query and key has it as well, and costs nothing in every call."""

    def first(self, count: int) -> Conditioning:
        """The first ``count`` items, as views."""
        return Conditioning(
            keys=tuple(key[:count] for key in self.keys),
            values=tuple(value[:count] for value in self.values),
            mask=None if self.mask is None else self.mask[:count],
            lengths=None if self.lengths is None else self.lengths[:count],
            query_scale=self.query_scale[:count],
        )


Attended = tuple[Tensor, Tensor, Tensor | None, tuple[int, ...] | None]
"""One block's share of a ``Conditioning``: key, value, mask and lengths."""


class ACEStepTransformer2DModel(ModelMixin, ConfigMixin, PeftAdapterMixin):  # type: ignore[misc]
    """The published architecture, less the parameters that inference never reads.

    The defaults are the published sizes (3.3 billion parameters). ``ssl_*`` describe the training-only projectors,
    ``max_*`` the longest input in training; they are kept for the config file and change nothing here.
    """

    _repeated_blocks = ["TransformerBlock"]  # noqa: RUF012 - the name and type that diffusers looks for

    @register_to_config
    def __init__(
        self,
        in_channels: int = 8,
        num_layers: int = 24,
        inner_dim: int = 2560,
        attention_head_dim: int = 128,
        num_attention_heads: int = 20,
        mlp_ratio: float = 2.5,
        out_channels: int = 8,
        max_position: int = 32768,
        rope_theta: float = 1000000.0,
        speaker_embedding_dim: int = 512,
        text_embedding_dim: int = 768,
        ssl_encoder_depths: Sequence[int] = (8, 8),
        ssl_names: Sequence[str] = ("mert", "m-hubert"),
        ssl_latent_dims: Sequence[int] = (1024, 768),
        patch_size: Sequence[int] = (16, 1),
        max_height: int = 16,
        max_width: int = 32768,
        lyric_encoder_vocab_size: int = 6693,
        lyric_hidden_size: int = 1024,
        lyric_encoder_output_size: int = 1024,
        lyric_encoder_attention_heads: int = 16,
        lyric_encoder_linear_units: int = 4096,
        lyric_encoder_num_blocks: int = 6,
    ) -> None:
        super().__init__()
        if inner_dim != num_attention_heads * attention_head_dim:
            raise ValueError(
                f"transformer: inner_dim {inner_dim} is not num_attention_heads {num_attention_heads}"
                f" times attention_head_dim {attention_head_dim}"
            )
        if patch_size[1] != 1:
            raise ValueError(f"transformer: patch_size {tuple(patch_size)} is not one frame wide")
        self.head_dim = attention_head_dim
        self.rope_theta = rope_theta

        self.speaker_embedder = nn.Linear(speaker_embedding_dim, inner_dim)
        self.genre_embedder = nn.Linear(text_embedding_dim, inner_dim)
        self.lyric_embs = nn.Embedding(lyric_encoder_vocab_size, lyric_hidden_size)
        self.lyric_encoder = LyricEncoder(
            width_in=lyric_hidden_size,
            width=lyric_encoder_output_size,
            heads=lyric_encoder_attention_heads,
            hidden=lyric_encoder_linear_units,
            layers=lyric_encoder_num_blocks,
        )
        self.lyric_proj = nn.Linear(lyric_encoder_output_size, inner_dim)

        self.proj_in = PatchEmbed(patch_size[0], in_channels, inner_dim)
        self.timestep_embedder = TimestepEmbedding(TIME_WIDTH, inner_dim)
        self.t_block = nn.Sequential(nn.SiLU(), nn.Linear(inner_dim, 6 * inner_dim))
        self.transformer_blocks = nn.ModuleList(
            [TransformerBlock(inner_dim, num_attention_heads, mlp_ratio) for _ in range(num_layers)]
        )
        self.final_layer = FinalLayer(inner_dim, patch_size[0], out_channels)

    def encode_lyrics(self, ids: Tensor, mask: Tensor | None = None, query_scale: float = 1.0) -> Tensor:
        """Lyric token ids [B, L] to conditioning vectors [B, L, D].

        ``mask`` [B, L] is False for padding. ``query_scale`` weakens the lyric encoder's attention (entropy-rectifying
        guidance); 1 leaves it as it is.
        """
        return self.lyric_proj(self.lyric_encoder(self.lyric_embs(ids), mask, query_scale))

    def join(self, speaker: Tensor, text: Tensor, lyrics: Tensor) -> Tensor:
        """Put a speaker vector [B, speaker_embedding_dim], text vectors [B, T, text_embedding_dim] and encoded lyrics
        [B, L, D] into one sequence [B, 1 + T + L, D]."""
        return torch.cat((self.speaker_embedder(speaker)[:, None], self.genre_embedder(text), lyrics), dim=1)

    def condition(self, states: Tensor, mask: Tensor | None, query_scale: Tensor) -> Conditioning:
        """Compute every block's keys and values of joined sequences [B, S, D].

        ``mask`` [B, S] is False for padding, None where there is none; ``query_scale`` [B] as in ``Conditioning``.
        """
        rotary = rotary_table(states.shape[1], self.head_dim, self.rope_theta, states.device)
        lengths = None
        if mask is not None:
            # Padding goes to the end, should it stand elsewhere; what is left keeps its position.
            order = mask.int().argsort(dim=1, descending=True, stable=True)
            states, mask = states.take_along_dim(order[..., None], dim=1), mask.take_along_dim(order, dim=1)
            rotary = (rotary[0][order][:, None], rotary[1][order][:, None])
            lengths = tuple(mask.sum(dim=1).tolist())
        cos, sin = (table * query_scale[:, None, None, None] for table in rotary)  # turns and scales: [B, 1, S, d]
        weakened = at_depth(ERG_BLOCKS, 24, len(self.transformer_blocks))
        pairs = [
            cast(TransformerBlock, block).cross_attn.project(states, (cos, sin) if index in weakened else rotary)
            for index, block in enumerate(self.transformer_blocks)
        ]
        return Conditioning(
            keys=tuple(key for key, _ in pairs),
            values=tuple(value for _, value in pairs),
            mask=None if mask is None else mask[:, None, None, :],
            lengths=lengths,
            query_scale=query_scale,
        )

    def embed_times(self, timesteps: Tensor, frames: int) -> Times:
        """Compute what calls at ``timesteps`` [N], each 0..1000, on latents of ``frames`` frames need of time."""
        sinusoids = get_timestep_embedding(timesteps, TIME_WIDTH, flip_sin_to_cos=True, downscale_freq_shift=0)
        embedding = self.timestep_embedder(sinusoids.to(self.dtype))  # [N, D]
        modulation = self.t_block(embedding).unflatten(-1, (6, -1))  # [N, 6, D]
        return Times(
            timesteps, embedding, modulation, rotary_table(frames, self.head_dim, self.rope_theta, timesteps.device)
        )

    def forward(
        self, latents: Tensor, times: Times, conditioning: Conditioning, frame_mask: Tensor | None = None
    ) -> Tensor:
        """Predict the velocity (noise minus data) of ``latents`` [B, 8, 16, F], in the same shape.

        ``times`` holds one call for all items (``Times.at``) or one for each. ``frame_mask`` [B, F] is False for padded
        frames, which no other frame attends to; the input's group normalisation still sees them, so equal lengths are
        the exact way to batch.
        """
        x = self.proj_in(latents)  # [B, F, D]
        for index, block in enumerate(self.transformer_blocks):
            attended = (conditioning.keys[index], conditioning.values[index], conditioning.mask, conditioning.lengths)
            x = block(x, times.modulation, times.rotary, attended, frame_mask)
        return self.final_layer(x, times.embedding)


class PatchEmbed(nn.Module):
    """One token for each frame: all its channels and bins, normalised over the whole song."""

    def __init__(self, height: int, channels: int, width: int, hidden: int = 2048, groups: int = 32) -> None:
        super().__init__()
        self.early_conv_layers = nn.Sequential(
            nn.Conv2d(channels, hidden, kernel_size=(height, 1), stride=(height, 1)),
            nn.GroupNorm(groups, hidden, eps=NORM_EPS),
            nn.Conv2d(hidden, width, kernel_size=1),
        )

    def forward(self, latents: Tensor) -> Tensor:
        hidden = self.early_conv_layers[:2](latents).flatten(2).transpose(1, 2)  # [B, F, hidden]
        narrow = cast(nn.Conv2d, self.early_conv_layers[2])
        return F.linear(hidden, narrow.weight.flatten(1), narrow.bias)


class TransformerBlock(nn.Module):
    """Linear self-attention, cross-attention and a gated convolution; time modulates the first and the last."""

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.attn = LinearSelfAttention(width, heads)
        self.cross_attn = CrossAttention(width, heads)
        self.ff = GatedConv(width, int(width * mlp_ratio))
        self.scale_shift_table = nn.Parameter(torch.zeros(6, width))

    def forward(
        self,
        x: Tensor,
        modulation: Tensor,
        rotary: tuple[Tensor, Tensor],
        attended: Attended,
        frame_mask: Tensor | None,
    ) -> Tensor:
        mix = (self.scale_shift_table + modulation).chunk(6, dim=1)  # six of [B, 1, D]
        shift_attn, scale_attn, gate_attn, shift_ff, scale_ff, gate_ff = mix
        x = x + gate_attn * self.attn(modulated_norm(x, scale_attn, shift_attn), rotary, frame_mask)
        x = x + self.cross_attn(x, rotary, attended, frame_mask)
        return x + gate_ff * self.ff(modulated_norm(x, scale_ff, shift_ff))


class LinearSelfAttention(nn.Module):
    """Attention with ReLU in place of the softmax: linear in the number of frames (SANA, arXiv:2410.10629).

    Entropy-rectifying guidance scales this query too in the reference implementation. That changes nothing: the query
    stands in numerator and denominator alike, so the factor cancels; it is left out here.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width)
        self.to_k = nn.Linear(width, width)
        self.to_v = nn.Linear(width, width)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], frame_mask: Tensor | None) -> Tensor:
        # Sums over thousands of frames need float32.
        query = F.relu(rotate(split_heads(self.to_q(x), self.heads), rotary))  # [B, H, F, d]
        key = F.relu(rotate(split_heads(self.to_k(x), self.heads), rotary))
        value = split_heads(self.to_v(x), self.heads).float()
        if frame_mask is not None:
            query, key = query * frame_mask[:, None, :, None], key * frame_mask[:, None, :, None]
        state = key.transpose(-1, -2) @ value  # [B, H, d, d]
        weight = query @ key.sum(dim=-2)[..., None]  # [B, H, F, 1]
        mixed = (query @ state) / (weight + 1e-15)
        return self.to_out[0](join_heads(mixed).to(x.dtype)).clamp(-FP16_MAX, FP16_MAX)


class CrossAttention(nn.Module):
    """Softmax attention from frames to the conditioning sequence."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width)
        self.to_k = nn.Linear(width, width)
        self.to_v = nn.Linear(width, width)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def project(self, states: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Key and value, [B, H, S, d] each, of conditioning states [B, S, D]."""
        key = rotate(split_heads(self.to_k(states), self.heads), rotary).to(states.dtype)
        return key, split_heads(self.to_v(states), self.heads)

    def forward(
        self, x: Tensor, rotary: tuple[Tensor, Tensor], attended: Attended, frame_mask: Tensor | None
    ) -> Tensor:
        key, value, mask, lengths = attended
        query = rotate(split_heads(self.to_q(x), self.heads), rotary).to(key.dtype)
        mixed = join_heads(attend(query, key, value, mask, lengths))
        if frame_mask is not None:
            mixed = mixed * frame_mask[:, :, None].to(mixed.dtype)
        return self.to_out[0](mixed)


class PointwiseConv(nn.Conv1d):
    """A convolution of kernel size 1 over [B, F, C], as the matrix product that it is (several times faster)."""

    def __init__(self, channels_in: int, channels_out: int, bias: bool) -> None:
        super().__init__(channels_in, channels_out, kernel_size=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.squeeze(-1), self.bias)


class DepthwiseConv(nn.Conv1d):
    """A convolution of every channel by itself over neighbouring frames of [B, F, C].

    The frames of ``Conv1d`` must be next to each other in memory; of two-dimensional images the channels may be, which
    saves two reorderings (on a CPU half of the time).
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        image, kernel = x.transpose(1, 2)[:, :, None], self.weight[:, :, None]  # [B, C, 1, F], [C, 1, 1, kernel_size]
        padding = (0, self.kernel_size[0] // 2)
        return F.conv2d(image, kernel, self.bias, padding=padding, groups=self.groups)[:, :, 0].transpose(1, 2)


class GatedConv(nn.Module):
    """Feed-forward part: widen, mix neighbouring frames, gate, narrow (GLUMBConv of SANA, arXiv:2410.10629)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inverted_conv = nn.ModuleDict({"conv": PointwiseConv(width, 2 * hidden, bias=True)})
        self.depth_conv = nn.ModuleDict({"conv": DepthwiseConv(2 * hidden, kernel_size=3)})
        self.point_conv = nn.ModuleDict({"conv": PointwiseConv(hidden, width, bias=False)})

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.depth_conv["conv"](F.silu(self.inverted_conv["conv"](x))).chunk(2, dim=-1)
        return self.point_conv["conv"](x * F.silu(gate))


class FinalLayer(nn.Module):
    """Tokens [B, F, D] back to latents [B, channels, height, F]."""

    def __init__(self, width: int, height: int, channels: int) -> None:
        super().__init__()
        self.height = height
        self.linear = nn.Linear(width, height * channels)
        self.scale_shift_table = nn.Parameter(torch.zeros(2, width))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        shift, scale = (self.scale_shift_table + time[:, None]).chunk(2, dim=1)
        x = self.linear(modulated_norm(x, scale, shift))
        return x.unflatten(-1, (self.height, -1)).permute(0, 3, 2, 1)  # [B, F, height, C] -> [B, C, height, F]


def modulated_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Root-mean-square norm over the last dimension, without weights, then ``scale`` (around 1) and ``shift``."""
    return F.rms_norm(x, x.shape[-1:], eps=NORM_EPS) * (1 + scale) + shift


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, lengths: tuple[int, ...] | None) -> Tensor:
    """Softmax attention of [B, H, F, d] to [B, H, S, d], of which padding is hidden by ``mask`` or cut to ``lengths``.

    Item by item where lengths differ: kernels sum a longer row in another order, and guidance makes a difference in
    the last bit visible; so a song is the same in any batch, and padding costs nothing. A compiled block takes the mask
    instead, to be one graph for all lengths.
    """
    if torch.compiler.is_compiling() or lengths is None:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    items = zip(query.split(1), key.split(1), value.split(1), lengths, strict=True)
    return torch.cat([F.scaled_dot_product_attention(q, k[:, :, :own], v[:, :, :own]) for q, k, v, own in items])


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, L, H * d] to [B, H, L, d]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """[B, H, L, d] to [B, L, H * d]."""
    return x.transpose(1, 2).flatten(2)


def rotary_table(length: int, width: int, theta: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine, float32 [length, width] each, of positions 0..length-1; the second half repeats the first."""
    frequency = 1.0 / theta ** (torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    angle = torch.outer(torch.arange(length, device=device, dtype=torch.float32), frequency).repeat(1, 2)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions as the model was trained: float32 in the shape of ``x`` [B, H, L, d].

    The published model pairs neighbouring channels (2i, 2i + 1) although its table is laid out for the pairs
    (i, i + d/2). The two channels of a pair thus turn by different angles: not a rotation, but what the weights know.
    """
    cos, sin = rotary
    x = x.float()
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((-odd, even), dim=-1).flatten(-2)
    return x * cos + turned * sin
