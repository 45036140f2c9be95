"""How large the trained model is: configurations of v1's transformer and text encoder; no weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acestep_batch.engine.embedded_text import LYRIC_VOCAB_SIZE

TEXT_WIDTH = 128
TRANSFORMER_CONFIG: Mapping[str, Any] = {
    "num_layers": 6,
    "inner_dim": 256,
    "attention_head_dim": 64,
    "num_attention_heads": 4,
    "rope_theta": 30.0,
    "speaker_embedding_dim": 8,
    "text_embedding_dim": TEXT_WIDTH,
    "lyric_encoder_vocab_size": LYRIC_VOCAB_SIZE,
    "lyric_hidden_size": 96,
    "lyric_encoder_output_size": 96,
    "lyric_encoder_attention_heads": 4,
    "lyric_encoder_linear_units": 192,
    "lyric_encoder_num_blocks": 3,
}
"""A small ``rope_theta`` puts rotary frequencies near that of the beat, 0.6 to 1.6 radians a frame, and its bars."""
TEXT_ENCODER_CONFIG: Mapping[str, Any] = {
    "d_model": TEXT_WIDTH,
    "d_kv": 32,
    "d_ff": 256,
    "num_layers": 3,
    "num_heads": 4,
    "feed_forward_proj": "gated-gelu",
    "pad_token_id": 0,
    "eos_token_id": 1,
    "dropout_rate": 0.0,
}
