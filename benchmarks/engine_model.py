"""The models that the engine's benchmark measures: v1's architecture at three sizes, with drawn weights."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import UMT5Config, UMT5EncoderModel

from acestep_batch.engine.base import SETTINGS, SongRequest
from acestep_batch.engine.embedded import draw_weights
from acestep_batch.engine.embedded_sizes import (
    AUTOENCODER_CONFIG,
    TEXT_ENCODER_CONFIG,
    TRANSFORMER_CONFIG,
    VOCODER_CONFIG,
)
from acestep_batch.engine.embedded_text import embedded_lyric_ids, text_tokenizer_path
from acestep_batch.engine.v1.autoencoder import MusicDecoder
from acestep_batch.engine.v1.conditioning import Conditioner
from acestep_batch.engine.v1.pipeline import V1Engine
from acestep_batch.engine.v1.text import TextEncoder
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel
from acestep_batch.engine.v1.vocoder import ADaMoSHiFiGANV1, VocoderConfig, fold_weight_norm
from acestep_batch.schema import SONG

PROMPT = "pop, rock, electronic, upbeat, energetic"
LYRIC_TOKENS = 400


@dataclass(frozen=True, slots=True)
class Sizes:
    """The configurations of the four components; what is not named has the published size."""

    title: str
    transformer: Mapping[str, Any]
    text_encoder: Mapping[str, Any]
    autoencoder: Mapping[str, Any]
    vocoder: Mapping[str, Any]


TINY = Sizes("tiny", TRANSFORMER_CONFIG, TEXT_ENCODER_CONFIG, AUTOENCODER_CONFIG, VOCODER_CONFIG)
MID = Sizes(
    "mid-size",
    transformer={
        "inner_dim": 384,
        "num_attention_heads": 3,
        "text_embedding_dim": 256,
        "lyric_hidden_size": 512,
        "lyric_encoder_output_size": 512,
        "lyric_encoder_attention_heads": 8,
        "lyric_encoder_linear_units": 2048,
    },
    text_encoder={**TEXT_ENCODER_CONFIG, "d_model": 256, "d_kv": 64, "d_ff": 512},
    autoencoder={
        **AUTOENCODER_CONFIG,
        "attention_head_dim": 32,
        "encoder_block_out_channels": [32, 64, 128, 256],
        "decoder_block_out_channels": [32, 64, 128, 256],
        "encoder_layers_per_block": [2, 2, 3, 3],
        "decoder_layers_per_block": [3, 3, 3, 3],
    },
    vocoder={"dims": [64, 96, 128, 192], "num_mels": 192, "upsample_initial_channel": 256},
)
PUBLISHED = Sizes(
    "published size",
    transformer={},
    text_encoder={
        **TEXT_ENCODER_CONFIG,
        "vocab_size": 256384,
        "d_model": 768,
        "d_kv": 64,
        "d_ff": 2048,
        "num_heads": 12,
    },
    autoencoder={
        **MID.autoencoder,
        "encoder_block_out_channels": [128, 256, 512, 1024],
        "decoder_block_out_channels": [128, 256, 512, 1024],
    },
    vocoder={},
)


@dataclass(frozen=True, slots=True)
class Model:
    """Components ready for inference on one device."""

    transformer: ACEStepTransformer2DModel
    text_encoder: TextEncoder
    decoder: MusicDecoder

    def conditioner(self) -> Conditioner:
        """One that has encoded nothing yet."""
        return Conditioner(self.transformer, self.text_encoder, embedded_lyric_ids)

    def engine(self) -> V1Engine:
        """An engine that has encoded nothing yet."""
        return V1Engine(self.transformer, self.text_encoder, embedded_lyric_ids, self.decoder, label="random weights")

    def parameter_counts(self) -> dict[str, int]:
        """Parameters that inference reads, by component."""
        parts = {
            "transformer": self.transformer,
            "text encoder": self.text_encoder.model,
            "latent decoder": self.decoder.decoder,
            "vocoder": self.decoder.vocoder,
        }
        return {name: sum(parameter.numel() for parameter in part.parameters()) for name, part in parts.items()}


def build_model(sizes: Sizes, device: str, dtype: torch.dtype) -> Model:
    """A model of these sizes: on the CPU the same bits on every machine, elsewhere drawn on the device in seconds."""
    vocoder_config = VocoderConfig.from_dict(sizes.vocoder)
    tokenizer = Tokenizer.from_file(str(text_tokenizer_path()))
    with torch.device("meta"):
        transformer = ACEStepTransformer2DModel.from_config(dict(sizes.transformer))
        text_model = UMT5EncoderModel(UMT5Config(**{"vocab_size": tokenizer.get_vocab_size(), **sizes.text_encoder}))
        text_model.set_input_embeddings(text_model.shared)
        dcae = AutoencoderDC.from_config(dict(sizes.autoencoder))
        vocoder = ADaMoSHiFiGANV1(vocoder_config)
    parts = {"transformer": transformer, "text": text_model, "dcae": dcae, "music_vocoder": vocoder}
    for name, part in parts.items():
        part_dtype = torch.float32 if part is vocoder else dtype
        drawn = draw_weights(name, part) if device == "cpu" else draw_on_device(name, part, device)
        weights = {key: value.to(device, part_dtype) for key, value in drawn.items()}
        buffers = vocoder_config.mel_transform().state_dict(prefix="mel_transform.") if part is vocoder else {}
        part.load_state_dict(weights | buffers, assign=True, strict=part is not text_model)  # whose embedding is tied
        part.eval().requires_grad_(False)
    fold_weight_norm(vocoder)
    return Model(transformer, TextEncoder(text_model, tokenizer), MusicDecoder(dcae, vocoder, dtype, device))


def draw_on_device(component: str, model: nn.Module, device: str) -> dict[str, Tensor]:
    """Normal weights for a model on the meta device that keep the power of their input, one stream per component."""
    generator = torch.Generator(device).manual_seed(zlib.crc32(component.encode()))

    def draw(name: str, shape: torch.Size) -> Tensor:
        if name.endswith("bias"):
            return torch.zeros(shape, device=device)
        if len(shape) == 1 or name.endswith("weight_g"):
            return torch.ones(shape, device=device)
        return torch.empty(shape, device=device).normal_(std=1 / math.sqrt(math.prod(shape[1:])), generator=generator)

    return {name: draw(name, parameter.shape) for name, parameter in model.named_parameters()}


def make_request(seed: int, duration_s: float, steps: int, lyric_tokens: int = LYRIC_TOKENS) -> SongRequest:
    """A song with default guidance whose lyrics have ``lyric_tokens`` (at least 3) tokens."""
    letters = lyric_tokens - 2  # a start and the end of the line are tokens too
    own = {
        "prompt": PROMPT,
        "lyrics": ("sing it slow and " * letters)[: letters - 1] + "g",
        "seed": seed,
        "audio_duration": duration_s,
        "infer_step": steps,
    }
    defaults = {name: SONG[name].default for name in SETTINGS if name in SONG}
    return SongRequest(**defaults | own)
