"""Audiobox aesthetics: four judgements of listeners, predicted from the audio alone by a WavLM with four small heads.

The published checkpoint (facebook/audiobox-aesthetics, CC BY 4.0) is read into transformers' WavLM, whose parameters
have other names. Every size follows from the shapes of the weights.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import WavLMConfig, WavLMModel

from acestep_batch.measure.columns import Column
from acestep_batch.scores.base import Score, ScoredSong

_SOURCE = "Audiobox aesthetics (Tjandra et al. 2025), mean of windows of 10 s"
AXES: Mapping[str, Column] = {
    axis: Column(name, "1 to 10", "Float64", meaning, _SOURCE, 3)
    for axis, name, meaning in (
        ("CE", "content_enjoyment", "How much listeners would enjoy it, predicted."),
        ("CU", "content_usefulness", "How useful it is as material for other works, predicted."),
        ("PC", "production_complexity", "How much goes on in it, predicted; more is not better."),
        ("PQ", "production_quality", "How well it is produced technically, predicted."),
    )
}
"""The columns by the checkpoint's names of them."""

RATE = 16_000
WINDOW = 10 * RATE
"""Samples that are judged at once, one window after the other; the last one is filled up with silence and masked."""
_BATCH = 4
_STRIDES = (5, 2, 2, 2, 2, 2, 2)
_NAMES = (
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.", r"feature_extractor.conv_layers.\1.layer_norm."),
    (r"post_extract_proj\.", "feature_projection.projection."),
    (r"layer_norm\.", "feature_projection.layer_norm."),
    (r"mask_emb", "masked_spec_embed"),
    (r"encoder\.pos_conv\.0\.weight_g", "encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"encoder\.pos_conv\.0\.weight_v", "encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"encoder\.pos_conv\.0\.bias", "encoder.pos_conv_embed.conv.bias"),
    (r"(encoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.layer_norm."),
    (r"(encoder\.layers\.\d+)\.self_attn\.grep_linear\.", r"\1.attention.gru_rel_pos_linear."),
    (r"(encoder\.layers\.\d+)\.self_attn\.grep_a", r"\1.attention.gru_rel_pos_const"),
    (r"(encoder\.layers\.\d+)\.self_attn\.relative_attention_bias\.", r"\1.attention.rel_attn_embed."),
    (r"(encoder\.layers\.\d+)\.self_attn\.", r"\1.attention."),
    (r"(encoder\.layers\.\d+)\.fc1\.", r"\1.feed_forward.intermediate_dense."),
    (r"(encoder\.layers\.\d+)\.fc2\.", r"\1.feed_forward.output_dense."),
)
"""The checkpoint's names, from their beginnings, and those of transformers; the first that fits counts."""


class AestheticsScore:
    """A loaded checkpoint."""

    columns = tuple(AXES.values())

    def __init__(
        self, encoder: WavLMModel, heads: nn.ModuleDict, weights: Mapping[str, Tensor], config: Mapping[str, Any]
    ):
        """`weights` `[layers + 1]` for each axis, over the encoder's input and layers; `config` as published."""
        self._encoder, self._heads, self._weights, self._config = encoder, heads, weights, config

    def score(self, song: ScoredSong) -> Mapping[str, float | None]:
        """One number for each axis."""
        channel = song.at(RATE)
        pieces = [channel[start : start + WINDOW] for start in range(0, len(channel), WINDOW)]
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")  # within transformers' WavLM
            judged = torch.cat([self._judged(pieces[at : at + _BATCH]) for at in range(0, len(pieces), _BATCH)])
        lengths = torch.tensor([len(piece) for piece in pieces], dtype=judged.dtype, device=judged.device)
        found = (judged * lengths[:, None]).sum(dim=0) / lengths.sum()
        return {column.name: float(value) for column, value in zip(self.columns, found, strict=True)}

    def _judged(self, pieces: list[NDArray[np.float32]]) -> Tensor:
        """Up to `_BATCH` windows to `[B, 4]`."""
        device = self._encoder.device
        audio = torch.from_numpy(np.stack([np.pad(piece, (0, WINDOW - len(piece))) for piece in pieces])).to(device)
        hidden = self._encoder.feature_extractor(audio).transpose(1, 2)
        hidden = self._encoder.feature_projection(hidden)[0]  # [B, T, D]
        span = WINDOW // hidden.shape[1]
        heard = torch.tensor([-(-len(piece) // span) for piece in pieces], device=device)
        mask = torch.arange(hidden.shape[1], device=device) < heard[:, None]  # [B, T]
        layers = torch.stack(self._layers(hidden, mask))  # [L, B, T, D]
        found = []
        for axis in AXES:
            mixed = torch.einsum("lbtd,l->btd", layers, torch.softmax(self._weights[axis], dim=0))
            mean = (mixed * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
            if self._config.get("normalize_embed", True):
                mean = nn.functional.normalize(mean, dim=-1)
            scale = self._config["target_transform"][axis]
            found.append(self._heads[axis](mean)[:, 0] * scale["std"] + scale["mean"])
        return torch.stack(found, dim=1)

    def _layers(self, hidden: Tensor, mask: Tensor) -> list[Tensor]:
        """The encoder's input and what each layer makes of it, `[B, T, D]` each; only frames in `mask` are heard."""
        encoder = self._encoder.encoder
        hidden = hidden * mask[:, :, None]
        hidden = encoder.layer_norm(hidden + encoder.pos_conv_embed(hidden))
        found, bias = [hidden], None
        for index, layer in enumerate(encoder.layers):
            hidden, bias = layer(hidden, attention_mask=mask, position_bias=bias, index=index)
            found.append(hidden)
        return found


def load(folder: Path, device: str) -> Score:
    """The published `config.json` and `model.safetensors`.

    Raises OSError or ValueError when the folder does not hold them.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    scales = config.get("target_transform") or {}
    if not all({"mean", "std"} <= dict(scales.get(axis) or {}).keys() for axis in AXES):
        raise ValueError("config.json has no target_transform of CE, CU, PC and PQ")
    stored = load_file(folder / "model.safetensors")
    prefix = next((name.removesuffix("layer_weights.CE") for name in stored if name.endswith("layer_weights.CE")), None)
    if prefix is None:
        raise ValueError("model.safetensors has no layer_weights.CE")
    stored = {name.removeprefix(prefix): tensor.float() for name, tensor in stored.items()}
    try:
        encoder = _encoder(_below(stored, "wavlm_model."))
        heads = nn.ModuleDict({axis: _head(_below(stored, f"proj_layer.{axis}.")) for axis in AXES})
        weights = {axis: stored[f"layer_weights.{axis}"].to(device) for axis in AXES}
    except (LookupError, RuntimeError) as error:
        raise ValueError(f"model.safetensors is not as published ({error})") from error
    if any(len(each) != encoder.config.num_hidden_layers + 1 for each in weights.values()):
        raise ValueError("model.safetensors has another number of layers than of their weights")
    encoder.to(device)  # type: ignore[arg-type]  # its decorator hides the types
    encoder.eval()
    return AestheticsScore(encoder, heads.to(device).eval(), weights, config)


def _below(stored: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in stored.items() if name.startswith(prefix)}


def _encoder(stored: Mapping[str, Tensor]) -> WavLMModel:
    """WavLM with weights by the checkpoint's names. Raises KeyError or RuntimeError for others."""
    convolutions = [stored[f"feature_extractor.conv_layers.{index}.0.weight"] for index in range(len(_STRIDES))]
    positions = stored["encoder.pos_conv.0.weight_v"]
    buckets, attention_heads = stored["encoder.layers.0.self_attn.relative_attention_bias.weight"].shape
    model = WavLMModel(
        WavLMConfig(
            hidden_size=positions.shape[0],
            num_hidden_layers=sum(name.endswith(".fc1.weight") for name in stored),
            num_attention_heads=attention_heads,
            intermediate_size=stored["encoder.layers.0.fc1.weight"].shape[0],
            conv_dim=[each.shape[0] for each in convolutions],
            conv_kernel=[each.shape[2] for each in convolutions],
            conv_stride=list(_STRIDES),
            num_conv_pos_embeddings=positions.shape[2],
            num_conv_pos_embedding_groups=positions.shape[0] // positions.shape[1],
            num_buckets=buckets,
        )
    )
    model.load_state_dict({_renamed(name): tensor for name, tensor in stored.items()})
    return model


def _renamed(name: str) -> str:
    for pattern, replacement in _NAMES:
        if re.match(pattern, name):
            return re.sub(f"^{pattern}", replacement, name)
    return name


def _head(stored: Mapping[str, Tensor]) -> nn.Sequential:
    """Linear layers with GELU between them, and a norm before it where there are weights of one."""
    modules: list[nn.Module] = []
    last = max(int(name.partition(".")[0]) for name in stored)
    for index in sorted({int(name.partition(".")[0]) for name in stored}):
        weight = stored[f"{index}.weight"]
        is_linear = weight.ndim == 2
        module = nn.Linear(weight.shape[1], weight.shape[0]) if is_linear else nn.LayerNorm(weight.shape[0])
        module.load_state_dict({name: stored[f"{index}.{name}"] for name in ("weight", "bias")})
        modules.append(module)
        is_followed_by_norm = is_linear and f"{index + 1}.weight" in stored
        if index != last and not (is_followed_by_norm and stored[f"{index + 1}.weight"].ndim == 1):
            modules.append(nn.GELU())
    return nn.Sequential(*modules)
