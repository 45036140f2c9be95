"""How large the embedded 1.5 model is, and which weights it has: known without drawing them; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acestep_batch.engine.checkpoint import FileFacts
from acestep_batch.engine.v15.key_map import AUDIO_TOKENIZER, CONDITION_ENCODER, DETOKENIZER, TRANSFORMER
from acestep_batch.engine.v15.variant import Variant

LABELS: Mapping[Variant, str] = {
    Variant.TURBO: "embedded 1.5, untrained",
    Variant.BASE: "embedded 1.5 base, untrained",
    Variant.SFT: "embedded 1.5 sft, untrained",
}
"""Every variant has the same weights, and makes other songs of them."""

_SIZE, _SHA256 = 1_078_000, "398880cd09933f2029d1d298296bed6297d764b46c37b273770292d0b988de9b"


def embedded_diffusion(variant: Variant) -> FileFacts:
    """The entry of a record's file list. The weights are drawn in code, so this changes only when the code does."""
    return FileFacts(path=LABELS[variant], size=_SIZE, sha256=_SHA256)


CHANNELS = 4
"""Of latents [4, F]."""
_ATTENTION: Mapping[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "sliding_window": 16,
}
_TEXT_WIDTH = 32
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    TRANSFORMER: {
        **_ATTENTION,
        "num_hidden_layers": 2,
        "in_channels": 3 * CHANNELS,
        "audio_acoustic_hidden_dim": CHANNELS,
        "patch_size": 2,
    },
    CONDITION_ENCODER: {
        **_ATTENTION,
        "text_hidden_dim": _TEXT_WIDTH,
        "timbre_hidden_dim": CHANNELS,
        "num_lyric_encoder_hidden_layers": 2,
        "num_timbre_encoder_hidden_layers": 2,
    },
    AUDIO_TOKENIZER: {**_ATTENTION, "audio_acoustic_hidden_dim": CHANNELS, "fsq_dim": _ATTENTION["hidden_size"]},
    DETOKENIZER: {**_ATTENTION, "audio_acoustic_hidden_dim": CHANNELS},
    "vae": {
        "encoder_hidden_size": 2 * CHANNELS,
        "downsampling_ratios": [2, 4, 4, 6, 10],
        "channel_multiples": [1, 1, 1, 1, 2],
        "decoder_channels": 4,
        "decoder_input_channels": CHANNELS,
        "audio_channels": 2,
        "sampling_rate": 48000,
    },
    "text_encoder": {
        "hidden_size": _TEXT_WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
    },
}
"""By component; all else is as published: 48,000 Hz, 25 latent frames and 5 codes of 64,000 a second."""
