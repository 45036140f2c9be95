"""The embedded model: v1's classes at tiny sizes with untrained weights that are the same bits on every machine."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderDC
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import UMT5Config, UMT5EncoderModel

from acestep_batch.engine.embedded_text import (
    END_ID,
    LYRIC_VOCAB_SIZE,
    PAD_ID,
    embedded_lyric_ids,
    text_tokenizer_path,
)
from acestep_batch.engine.v1.autoencoder import MusicDecoder, build_autoencoder, build_vocoder
from acestep_batch.engine.v1.pipeline import V1Engine
from acestep_batch.engine.v1.text import TextEncoder
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel
from acestep_batch.engine.v1.vocoder import ADaMoSHiFiGANV1, VocoderConfig

LABEL = "embedded, untrained"

TEXT_WIDTH = 32
# Depths are the published ones: entropy-rectifying guidance names layers by their index.
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
TEXT_CONFIG: Mapping[str, Any] = {
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
    "decoder_norm_types": "rms_norm",
    "decoder_act_fns": "silu",
    "scaling_factor": 0.41407,
}
VOCODER_CONFIG: Mapping[str, Any] = {
    "depths": [1, 1, 2, 1],
    "dims": [16, 16, 24, 32],
    "resblock_kernel_sizes": [3, 5],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5]],
    "num_mels": 32,
    "upsample_initial_channel": 128,
}


def load_embedded_engine(device: str, dtype: torch.dtype, compile_transformer: bool) -> V1Engine:
    """The embedded model as an engine, made in well under a second."""
    with torch.device("meta"):
        transformer = ACEStepTransformer2DModel.from_config(dict(TRANSFORMER_CONFIG))
        tokenizer = Tokenizer.from_file(str(text_tokenizer_path()))
        text = UMT5EncoderModel(UMT5Config(vocab_size=tokenizer.get_vocab_size(), **TEXT_CONFIG))
        dcae = AutoencoderDC.from_config(dict(AUTOENCODER_CONFIG))
        vocoder = ADaMoSHiFiGANV1(VocoderConfig.from_dict(VOCODER_CONFIG))
    text.set_input_embeddings(text.shared)
    weights = {name: draw_weights(name, c) for name, c in (("t", transformer), ("x", text), ("d", dcae), ("v", vocoder))}
    vw = weights["v"] | {f"mel_transform.{k}": v for k, v in VocoderConfig.from_dict(VOCODER_CONFIG).mel_transform().state_dict().items()}
    for m, k in ((transformer, "t"), (text, "x")):
        print(m.load_state_dict({a: b.to(device, dtype) for a, b in weights[k].items()}, strict=False, assign=True))
        m.eval().requires_grad_(False)
    decoder = MusicDecoder(build_autoencoder(AUTOENCODER_CONFIG, weights["d"]), build_vocoder(VOCODER_CONFIG, vw), dtype, device)
    return V1Engine(transformer, TextEncoder(text, tokenizer), embedded_lyric_ids, decoder, LABEL, compile_transformer, [])


def draw_weights(component: str, model: nn.Module) -> dict[str, Tensor]:
    return {name: draw(f"{component}.{name}", tuple(p.shape)) for name, p in model.named_parameters()}

import os
G=eval(os.environ.get("G","{}"))
def draw(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape)
    if name.endswith("weight_g"):
        g = [v for k,v in G.items() if k in name]
        return torch.full(shape, g[0] if g else 1.0)
    if len(shape) == 1:
        return torch.ones(shape)
    u = np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape)
    scale = math.sqrt(12 / math.prod(shape[1:]))
    g = [v for k,v in G.items() if k in name]
    return torch.from_numpy(((u - 0.5) * scale * (g[0] if g else 1)).astype(np.float32))
