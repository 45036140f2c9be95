"""The sizes of v1's four components, as their ``config.json`` has them; no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from acestep_batch.problems import refuse


@dataclass(frozen=True, slots=True)
class TransformerSizes:
    """Sizes under the names of ``ace_step_transformer/config.json``; the defaults are the published values."""

    in_channels: int = 8
    num_layers: int = 24
    inner_dim: int = 2560
    attention_head_dim: int = 128
    mlp_ratio: float = 2.5
    out_channels: int = 8
    speaker_embedding_dim: int = 512
    text_embedding_dim: int = 768
    patch_size: tuple[int, int] = (16, 1)
    lyric_encoder_vocab_size: int = 6693
    lyric_hidden_size: int = 1024
    lyric_encoder_output_size: int = 1024
    lyric_encoder_attention_heads: int = 16
    lyric_encoder_linear_units: int = 4096
    lyric_encoder_num_blocks: int = 6

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """From a configuration; what it does not name has the published size."""
        return cls(**_known(cls, config))

    @property
    def hidden(self) -> int:
        """Width inside a block's gated convolution, of one of its two halves."""
        return int(self.inner_dim * self.mlp_ratio)


@dataclass(frozen=True, slots=True)
class TextEncoderSizes:
    """Sizes under the names of ``umt5-base/config.json``; the defaults are the published values."""

    vocab_size: int = 256384
    d_model: int = 768
    d_kv: int = 64
    d_ff: int = 2048
    num_layers: int = 12
    num_heads: int = 12


@dataclass(frozen=True, slots=True)
class AutoencoderSizes:
    """Sizes under the names of ``music_dcae_f8c8/config.json``; the defaults are the published values.

    The first entry of each list is the level of the spectrogram, the last that of the latents.
    """

    in_channels: int = 2
    latent_channels: int = 8
    attention_head_dim: int = 32
    decoder_block_types: tuple[str, ...] = ("ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock")
    decoder_block_out_channels: tuple[int, ...] = (128, 256, 512, 1024)
    decoder_layers_per_block: tuple[int, ...] = (3, 3, 3, 3)
    decoder_qkv_multiscales: tuple[tuple[int, ...], ...] = ((), (), (5,), (5,))
    encoder_block_types: tuple[str, ...] = ("ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock")
    encoder_block_out_channels: tuple[int, ...] = (128, 256, 512, 1024)
    encoder_layers_per_block: tuple[int, ...] = (2, 2, 3, 3)
    encoder_qkv_multiscales: tuple[tuple[int, ...], ...] = ((), (), (5,), (5,))


@dataclass(frozen=True, slots=True)
class VocoderSizes:
    """Sizes under the names of ``music_vocoder/config.json``; the defaults are the published values."""

    input_channels: int = 128
    depths: tuple[int, ...] = (3, 3, 9, 3)
    dims: tuple[int, ...] = (128, 256, 384, 512)
    kernel_sizes: tuple[int, ...] = (7,)
    upsample_rates: tuple[int, ...] = (4, 4, 2, 2, 2, 2, 2)
    upsample_kernel_sizes: tuple[int, ...] = (8, 8, 4, 4, 4, 4, 4)
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11, 13)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5), (1, 3, 5))
    num_mels: int = 512
    upsample_initial_channel: int = 1024
    pre_conv_kernel_size: int = 13
    post_conv_kernel_size: int = 13
    sampling_rate: int = 44100
    n_fft: int = 2048
    win_length: int = 2048
    hop_length: int = 512
    f_min: float = 40.0
    f_max: float = 16000.0
    n_mels: int = 128

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """Read a ``config.json``.

        Raises ValueError for variants of the architecture that no published checkpoint uses.
        """
        if config.get("use_template", False):
            raise ValueError("music_vocoder/config.json: use_template is true; only vocoders without one are supported")
        loaded = cls(**_known(cls, config))
        if len(loaded.kernel_sizes) != 1:
            raise ValueError(
                f"music_vocoder/config.json: kernel_sizes is {list(loaded.kernel_sizes)}; only one is supported"
            )
        return loaded

    @property
    def head_reach(self) -> int:
        """How many frames on either side of a frame the head's samples of that frame depend on (published: 34).

        Counted from the samples back to the frames, in steps of the level at hand: a convolution reaches
        ``dilation * (kernel_size - 1) / 2`` steps to either side, a residual block the sum of its convolutions, a level
        as far as its widest block. A transposed convolution of stride ``rate`` divides the way so far, and its own
        padding, by ``rate``, rounded up.
        """
        widest_block = max(
            sum((dilation + 1) * (kernel_size - 1) // 2 for dilation in dilations)
            for kernel_size, dilations in zip(self.resblock_kernel_sizes, self.resblock_dilation_sizes, strict=True)
        )
        reach = (self.post_conv_kernel_size - 1) // 2
        for rate, kernel_size in zip(reversed(self.upsample_rates), reversed(self.upsample_kernel_sizes), strict=True):
            reach = math.ceil((reach + widest_block + (kernel_size - rate) // 2) / rate)
        return reach + (self.pre_conv_kernel_size - 1) // 2

    @property
    def head_widths(self) -> tuple[int, ...]:
        """Channels before the head's first level and after each of its levels."""
        return tuple(self.upsample_initial_channel // 2**level for level in range(len(self.upsample_rates) + 1))


@dataclass(frozen=True, slots=True)
class ModelSizes:
    """The four components; the defaults are the published checkpoint."""

    transformer: TransformerSizes = TransformerSizes()
    text_encoder: TextEncoderSizes = TextEncoderSizes()
    autoencoder: AutoencoderSizes = AutoencoderSizes()
    vocoder: VocoderSizes = VocoderSizes()

    @classmethod
    def from_configs(
        cls,
        transformer: Mapping[str, Any],
        text_encoder: Mapping[str, Any],
        autoencoder: Mapping[str, Any],
        vocoder: Mapping[str, Any],
    ) -> Self:
        """From the four configurations; what one does not name has the published size."""
        return cls(
            TransformerSizes.from_dict(transformer),
            TextEncoderSizes(**_known(TextEncoderSizes, text_encoder)),
            AutoencoderSizes(**_known(AutoencoderSizes, autoencoder)),
            VocoderSizes.from_dict(vocoder),
        )


PUBLISHED = ModelSizes()
_FOLDERS: Mapping[type[Any], str] = {
    TransformerSizes: "ace_step_transformer",
    TextEncoderSizes: "umt5-base",
    AutoencoderSizes: "music_dcae_f8c8",
    VocoderSizes: "music_vocoder",
}
COMPONENTS = tuple(_FOLDERS.values())
_PER_LEVEL = (
    ("decoder_block_types", "decoder_block_out_channels", "decoder_layers_per_block", "decoder_qkv_multiscales"),
    ("encoder_block_types", "encoder_block_out_channels", "encoder_layers_per_block", "encoder_qkv_multiscales"),
    ("depths", "dims"),
    ("upsample_rates", "upsample_kernel_sizes"),
    ("resblock_kernel_sizes", "resblock_dilation_sizes"),
)
"""Lists that say one thing of each level of the same stack."""
_LARGEST = 2**31


def read_sizes(checkpoint_folder: Path) -> ModelSizes:
    """The sizes of a checkpoint in the published layout; its weights are not read.

    Raises ``Refused`` where a ``config.json`` cannot be read or describes another architecture.
    """
    try:
        configs = [json.loads((checkpoint_folder / name / "config.json").read_text("utf-8")) for name in COMPONENTS]
        found = ModelSizes.from_configs(*configs)
        if found.transformer.hidden < 1:
            raise ValueError(f"ace_step_transformer/config.json: mlp_ratio is {found.transformer.mlp_ratio}")
        for component in (found.autoencoder, found.vocoder):
            _check_levels(component)
        if found.vocoder.head_reach < 1:
            raise ValueError("music_vocoder/config.json: its kernels reach nowhere")
        return found
    except (OSError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise refuse(str(checkpoint_folder), f"a config.json cannot be read: {error}", "download it again") from error


def _check_levels(component: AutoencoderSizes | VocoderSizes) -> None:
    for names in _PER_LEVEL:
        lengths = {name: len(getattr(component, name)) for name in names if hasattr(component, name)}
        if lengths and (len(set(lengths.values())) > 1 or 0 in lengths.values()):
            said = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise ValueError(f"{_FOLDERS[type(component)]}/config.json: {said}; each needs one entry per level")


def _known(component: type[Any], config: Mapping[str, Any]) -> dict[str, Any]:
    known = {field.name: config[field.name] for field in fields(component) if field.name in config}
    values = {name: _as_tuple(value) if isinstance(value, list) else value for name, value in known.items()}
    for field in fields(component):
        if field.name in values and not _is_like(values[field.name], field.default):
            raise ValueError(f"{_FOLDERS[component]}/config.json: {field.name} is {values[field.name]!r:.60}")
    return values


def _is_like(value: object, default: object) -> bool:
    """Whether a size is of the kind of the published one: a number that can be one, a name, or a list of such."""
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(any(_is_like(item, each) for each in default) for item in value)
    if isinstance(default, str):
        return isinstance(value, str)
    is_number = type(value) is int or (isinstance(default, float) and type(value) is float)
    return is_number and (0 if isinstance(default, float) else 1) <= value <= _LARGEST  # type: ignore[operator]  # no NaN


def _as_tuple(value: list[Any]) -> tuple[Any, ...]:
    return tuple(_as_tuple(item) if isinstance(item, list) else item for item in value)
