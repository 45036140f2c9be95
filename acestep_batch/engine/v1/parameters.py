"""How many parameters v1's four components have once they are loaded, from their sizes; no torch."""

from __future__ import annotations

from itertools import pairwise

from acestep_batch.engine.v1.sizes import (
    AutoencoderSizes,
    ModelSizes,
    TextEncoderSizes,
    TransformerSizes,
    VocoderSizes,
)

TIME_WIDTH = 256
PATCH_HIDDEN = 2048
"""Widths that no ``config.json`` names: of a timestep's sinusoids, and inside the patch embedding."""
RELATIVE_POSITIONS = 32
"""Buckets of distances between two words of a prompt."""


def model_parameters(sizes: ModelSizes) -> int:
    """Of all four components."""
    return (
        transformer_parameters(sizes.transformer)
        + text_encoder_parameters(sizes.text_encoder)
        + autoencoder_parameters(sizes.autoencoder)
        + vocoder_parameters(sizes.vocoder)
    )


def transformer_parameters(sizes: TransformerSizes) -> int:
    """What inference reads: 78 % of the published file."""
    width, hidden, height = sizes.inner_dim, sizes.hidden, sizes.patch_size[0]
    conditioning = _linear(sizes.speaker_embedding_dim, width) + _linear(sizes.text_embedding_dim, width)
    patches = _linear(height * sizes.in_channels, PATCH_HIDDEN) + 2 * PATCH_HIDDEN + _linear(PATCH_HIDDEN, width)
    time = _linear(TIME_WIDTH, width) + _linear(width, width) + _linear(width, 6 * width)
    attention = 4 * _linear(width, width)
    gated_conv = _linear(width, 2 * hidden) + _conv(2 * hidden, 2 * hidden, 3, groups=2 * hidden) + hidden * width
    blocks = sizes.num_layers * (2 * attention + gated_conv + 6 * width)
    end = _linear(width, height * sizes.out_channels) + 2 * width
    return conditioning + _lyric_parameters(sizes) + patches + time + blocks + end


def _lyric_parameters(sizes: TransformerSizes) -> int:
    """Of the lyric encoder, with the embedding before and the projection after it."""
    width, hidden = sizes.lyric_encoder_output_size, sizes.lyric_encoder_linear_units
    attention = 4 * _linear(width, width) + width * width + 2 * width
    layer = attention + _linear(width, hidden) + _linear(hidden, width) + 2 * _norm(width)
    start = sizes.lyric_encoder_vocab_size * sizes.lyric_hidden_size + _linear(sizes.lyric_hidden_size, width)
    end = _linear(width, sizes.inner_dim)
    return start + _norm(width) + sizes.lyric_encoder_num_blocks * layer + _norm(width) + end


def text_encoder_parameters(sizes: TextEncoderSizes) -> int:
    """With the gated feed-forward part; the embedding, which has two names, counts once."""
    width, inner = sizes.d_model, sizes.num_heads * sizes.d_kv
    attention = 4 * width * inner + RELATIVE_POSITIONS * sizes.num_heads
    return sizes.vocab_size * width + sizes.num_layers * (attention + 3 * width * sizes.d_ff + 2 * width) + width


def autoencoder_parameters(sizes: AutoencoderSizes) -> int:
    """Of the decoder; the encoder is loaded for a source alone (``encoder_parameters``)."""
    widths = sizes.decoder_block_out_channels
    ends = (
        _conv(sizes.latent_channels, widths[-1], 3 * 3) + _norm(widths[0]) + _conv(widths[0], sizes.in_channels, 3 * 3)
    )
    kinds = zip(widths, sizes.decoder_block_types, sizes.decoder_qkv_multiscales, strict=True)
    blocks = [_autoencoder_block(*each, sizes.attention_head_dim) for each in kinds]
    ups = sum(_conv(deeper, width, 3 * 3) for width, deeper in pairwise(widths))
    return ends + ups + _stacked(sizes.decoder_layers_per_block, blocks)


def encoder_parameters(sizes: ModelSizes) -> int:
    """Of what encodes a source: the autoencoder's encoder, and the window and filters of the log-mel analysis."""
    model = sizes.autoencoder
    widths = model.encoder_block_out_channels
    ends = _conv(model.in_channels, widths[0], 3 * 3) + _conv(widths[-1], model.latent_channels, 3 * 3)
    kinds = zip(widths, model.encoder_block_types, model.encoder_qkv_multiscales, strict=True)
    blocks = [_autoencoder_block(*each, model.attention_head_dim) for each in kinds]
    downs = sum(_conv(width, deeper, 3 * 3) for width, deeper in pairwise(widths))
    return ends + downs + _stacked(model.encoder_layers_per_block, blocks) + _analysis(sizes.vocoder)


def _stacked(layers: tuple[int, ...], blocks: list[int]) -> int:
    return sum(count * block for count, block in zip(layers, blocks, strict=True))


def _autoencoder_block(width: int, kind: str, kernels: tuple[int, ...], head_dim: int) -> int:
    if kind == "EfficientViTBlock":
        return _efficient_vit_block(width, head_dim, kernels)
    return _conv(width, width, 3 * 3) + width * width * 3 * 3 + _norm(width)


def _efficient_vit_block(width: int, head_dim: int, kernels: tuple[int, ...]) -> int:
    inner, hidden = width // head_dim * head_dim, 2 * 4 * width
    scales = sum(3 * inner * (kernel**2 + head_dim) for kernel in kernels)
    attention = 3 * width * inner + scales + inner * (1 + len(kernels)) * width
    gated_conv = _linear(width, hidden) + _conv(hidden, hidden, 3 * 3, groups=hidden) + 4 * width * width
    return attention + _norm(width) + gated_conv + _norm(width)


def vocoder_parameters(sizes: VocoderSizes) -> int:
    """With the weight norm folded; the window and filters of the log-mel analysis, which lie beside them, count too."""
    (kernel,), dims, widths = sizes.kernel_sizes, sizes.dims, sizes.head_widths
    stem = _conv(sizes.input_channels, dims[0], kernel) + _norm(dims[0])
    transitions = sum(_norm(narrow) + _linear(narrow, wide) for narrow, wide in pairwise(dims))
    blocks = sum(depth * _conv_next_block(dim, kernel) for depth, dim in zip(sizes.depths, dims, strict=True))
    ups = sum(
        wide * narrow * size + narrow
        for (wide, narrow), size in zip(pairwise(widths), sizes.upsample_kernel_sizes, strict=True)
    )
    shapes = list(zip(sizes.resblock_kernel_sizes, sizes.resblock_dilation_sizes, strict=True))
    residual = sum(2 * len(dilations) * _conv(width, width, size) for width in widths[1:] for size, dilations in shapes)
    start = _conv(sizes.num_mels, widths[0], sizes.pre_conv_kernel_size)
    end = _conv(widths[-1], 1, sizes.post_conv_kernel_size)
    return stem + transitions + blocks + _norm(dims[-1]) + start + ups + residual + end + _analysis(sizes)


def _analysis(sizes: VocoderSizes) -> int:
    return sizes.win_length + (sizes.n_fft // 2 + 1) * sizes.n_mels


def _conv_next_block(width: int, kernel: int) -> int:
    perceptron = _linear(width, 4 * width) + _linear(4 * width, width) + width
    return _conv(width, width, kernel, groups=width) + _norm(width) + perceptron


def _linear(n_in: int, n_out: int) -> int:
    return n_in * n_out + n_out


def _conv(n_in: int, n_out: int, taps: int, groups: int = 1) -> int:
    return n_in // groups * n_out * taps + n_out


def _norm(width: int) -> int:
    return 2 * width
