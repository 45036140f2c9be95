"""How large the embedded model is: the configurations of v1's four components at tiny sizes; no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer

from acestep_batch.engine import embedded_identity
from acestep_batch.engine.embedded_text import END_ID, LYRIC_VOCAB_SIZE, PAD_ID, text_tokenizer_path
from acestep_batch.engine.v1.sizes import ModelSizes

TEXT_WIDTH = 32
# The depths of transformer and encoders are the published ones: entropy-rectifying guidance counts their layers.
TRANSFORMER_CONFIG: Mapping[str, Any] = {
    "num_layers": 24,
    "inner_dim": 32,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "speaker_embedding_dim": 8,
    "text_embedding_dim": TEXT_WIDTH,
    "lyric_encoder_vocab_size": LYRIC_VOCAB_SIZE,
    "lyric_hidden_size": 32,
    "lyric_encoder_output_size": 32,
    "lyric_encoder_attention_heads": 2,
    "lyric_encoder_linear_units": 64,
    "lyric_encoder_num_blocks": 6,
}
TEXT_ENCODER_CONFIG: Mapping[str, Any] = {
    "d_model": TEXT_WIDTH,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 12,
    "num_heads": 4,
    "feed_forward_proj": "gated-gelu",
    "pad_token_id": PAD_ID,
    "eos_token_id": END_ID,
}
AUTOENCODER_CONFIG: Mapping[str, Any] = {
    "in_channels": 2,
    "latent_channels": 8,
    "attention_head_dim": 8,
    "encoder_block_types": ["ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock"],
    "decoder_block_types": ["ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock"],
    "encoder_block_out_channels": [8, 16, 32, 64],
    "decoder_block_out_channels": [8, 16, 32, 64],
    "encoder_layers_per_block": [1, 1, 1, 1],
    "decoder_layers_per_block": [1, 1, 1, 1],
    "encoder_qkv_multiscales": [[], [], [5], [5]],
    "decoder_qkv_multiscales": [[], [], [5], [5]],
    "upsample_block_type": "interpolate",
    "downsample_block_type": "Conv",
}
VOCODER_CONFIG: Mapping[str, Any] = {
    "depths": [1, 1, 2, 1],
    "dims": [16, 16, 24, 32],
    "resblock_kernel_sizes": [3, 5],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5]],
    "num_mels": 32,
    "upsample_initial_channel": 128,
}


def embedded_sizes() -> ModelSizes:
    """The embedded model's sizes; the vocabulary's is read from the tokenizer's file.

    Trained weights have a codec and a vocoder of their own classes, 3.2 million weights; memory is estimated from the
    drawn ones, some 10 MB too low.
    """
    if embedded_identity.is_trained():
        transformer, text = (
            json.loads((embedded_identity.TRAINED / name / "config.json").read_text(encoding="utf-8"))
            for name in ("ace_step_transformer", "umt5-base")
        )
        return ModelSizes.from_configs(transformer, text, AUTOENCODER_CONFIG, VOCODER_CONFIG)
    vocab_size = Tokenizer.from_file(str(text_tokenizer_path())).get_vocab_size()
    text_encoder = {**TEXT_ENCODER_CONFIG, "vocab_size": vocab_size}
    return ModelSizes.from_configs(TRANSFORMER_CONFIG, text_encoder, AUTOENCODER_CONFIG, VOCODER_CONFIG)
