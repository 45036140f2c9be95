"""From the official checkpoint's names to diffusers': parameters and sizes of each component; no torch.

One official file holds all but autoencoder and text encoder. The facts stand in diffusers'
``scripts/convert_ace_step_to_diffusers.py``, which leaves the audio tokenizer out; its names follow the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TRANSFORMER, CONDITION_ENCODER = "transformer", "condition_encoder"
AUDIO_TOKENIZER, DETOKENIZER = "audio_tokenizer", "audio_token_detokenizer"
COMPONENTS = (TRANSFORMER, CONDITION_ENCODER, AUDIO_TOKENIZER, DETOKENIZER)

_PREFIXES = {
    "decoder.": TRANSFORMER,
    "encoder.": CONDITION_ENCODER,
    "tokenizer.": AUDIO_TOKENIZER,
    "detokenizer.": DETOKENIZER,
}
_RENAMED = (
    (".q_proj.", ".to_q."),
    (".k_proj.", ".to_k."),
    (".v_proj.", ".to_v."),
    (".o_proj.", ".to_out.0."),
    (".q_norm.", ".norm_q."),
    (".k_norm.", ".norm_k."),
)
_RENAMED_AT_START = (("proj_in.1.", "proj_in_conv."), ("proj_out.1.", "proj_out_conv."))
_COMPUTED = re.compile(
    r".*\.rotary_emb\.(original_)?inv_freq"
    r"|tokenizer\.quantizer\.(scales|soft_clamp_input_value|layers\.\d+\.(_levels|_basis|implicit_codebook|scale))"
)
"""Buffers that are computed from the sizes; files may hold them or not."""

_SHARED = (
    *("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim"),
    *("rope_theta", "attention_bias", "attention_dropout", "rms_norm_eps", "sliding_window"),
)
_OWN: Mapping[str, tuple[str, ...]] = {
    TRANSFORMER: (
        *("num_hidden_layers", "in_channels", "audio_acoustic_hidden_dim", "patch_size", "layer_types"),
        *("encoder_hidden_size", "is_turbo", "model_version"),
    ),
    CONDITION_ENCODER: (
        *("text_hidden_dim", "timbre_hidden_dim"),
        *("num_lyric_encoder_hidden_layers", "num_timbre_encoder_hidden_layers"),
    ),
    AUDIO_TOKENIZER: (
        *("audio_acoustic_hidden_dim", "pool_window_size", "num_attention_pooler_hidden_layers"),
        *("fsq_dim", "fsq_input_levels", "fsq_input_num_quantizers"),
    ),
    DETOKENIZER: ("audio_acoustic_hidden_dim", "pool_window_size", "num_attention_pooler_hidden_layers"),
}
_ENCODERS_OWN = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
"""Of these the XL models have others, under ``encoder_...``, for all components but the transformer."""


def diffusers_name(name: str) -> tuple[str, str] | None:
    """The component and its parameter that an official one is; None for what is computed and not loaded.

    Raises KeyError for a name that belongs to no component.
    """
    if _COMPUTED.fullmatch(name):
        return None
    if name == "null_condition_emb":
        return CONDITION_ENCODER, name
    prefix, _, own = name.partition(".")
    component = _PREFIXES[f"{prefix}."]
    if component == TRANSFORMER:
        for theirs, ours in _RENAMED_AT_START:
            own = ours + own.removeprefix(theirs) if own.startswith(theirs) else own
    for theirs, ours in _RENAMED:
        own = own.replace(theirs, ours)
    return component, own


def diffusers_config(component: str, official: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes of a component, from the official ``config.json``; what that leaves out is diffusers' default."""
    config = {name: official[name] for name in (*_SHARED, *_OWN[component]) if official.get(name) is not None}
    if component != TRANSFORMER:
        for name in _ENCODERS_OWN:
            config[name] = official.get(f"encoder_{name}") or official[name]
    return config
