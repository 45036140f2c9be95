"""The embedded model: v1's classes at tiny sizes, with the trained weights of the package where it holds them.

Without them its weights are drawn: untrained, and the same bits on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import UMT5Config, UMT5EncoderModel

from acestep_batch.engine import embedded_identity
from acestep_batch.engine.base import Decoding, DenoisedSong, RenderedSong, SongRequest, StepCallback
from acestep_batch.engine.drawn_weights import drawn_weights, identity
from acestep_batch.engine.embedded_identity import LABEL, TRAINED_LABEL, embedded_files, is_trained
from acestep_batch.engine.embedded_sizes import (
    AUTOENCODER_CONFIG,
    TEXT_ENCODER_CONFIG,
    TRANSFORMER_CONFIG,
    VOCODER_CONFIG,
)
from acestep_batch.engine.embedded_text import embedded_lyric_ids, text_tokenizer_path
from acestep_batch.engine.one_thread import one_thread
from acestep_batch.engine.v1.autoencoder import MusicDecoder
from acestep_batch.engine.v1.loading import TIED_EMBEDDING, load_engine
from acestep_batch.engine.v1.music_encoder import MusicEncoder
from acestep_batch.engine.v1.pipeline import V1Engine
from acestep_batch.engine.v1.text import TextEncoder
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel
from acestep_batch.engine.v1.vocoder import ADaMoSHiFiGANV1, VocoderConfig, fold_weight_norm

GAINS: Mapping[str, float] = {"music_vocoder.head.ups": 1.6, "music_vocoder.head.conv_post": 1.2}
"""Layers that are not of unit gain: they make up for what the activations between them take, and set the loudness."""


class EmbeddedEngine(V1Engine):
    """Renders on one CPU thread.

    The layers are too small to share out: on a busy machine a second thread that waits at every layer costs tenfold.
    And the order of sums, so the sound, stays that of one thread on any number of cores.
    """

    @property
    def threads(self) -> int:
        """One, as above."""
        return 1

    def denoise(self, requests: Sequence[SongRequest], on_step: StepCallback | None = None) -> list[DenoisedSong]:
        with one_thread():
            return super().denoise(requests, on_step)

    def decode(
        self, songs: Sequence[DenoisedSong], sample_rate: int, decoding: Decoding = Decoding.PLAIN
    ) -> list[RenderedSong]:
        with one_thread():
            return super().decode(songs, sample_rate, decoding)


def load_embedded_engine(device: str, dtype: torch.dtype, compile_transformer: bool) -> V1Engine:
    """The embedded model as an engine. Raises Refused where a trained file does not fit its component."""
    if not is_trained():
        return load_drawn_engine(device, dtype, compile_transformer)
    files = [dict(each) for each in embedded_files()]
    return load_trained_engine(embedded_identity.TRAINED, device, dtype, compile_transformer, files)


def load_trained_engine(
    folder: Path, device: str, dtype: torch.dtype, compile_transformer: bool, files: Sequence[dict[str, Any]] = ()
) -> V1Engine:
    """The engine of trained weights in ``folder``, which has the published layout; ``files`` are for the record."""
    return load_engine(
        folder, embedded_lyric_ids, device, dtype, compile_transformer, TRAINED_LABEL, files, engine=EmbeddedEngine
    )


def load_drawn_engine(device: str, dtype: torch.dtype, compile_transformer: bool) -> EmbeddedEngine:
    """The engine of drawn weights, in a fraction of a second."""
    vocoder_config = VocoderConfig.from_dict(VOCODER_CONFIG)
    tokenizer = Tokenizer.from_file(str(text_tokenizer_path()))
    with torch.device("meta"):
        transformer = ACEStepTransformer2DModel.from_config(dict(TRANSFORMER_CONFIG))
        text_model = UMT5EncoderModel(UMT5Config(vocab_size=tokenizer.get_vocab_size(), **TEXT_ENCODER_CONFIG))
        text_model.set_input_embeddings(text_model.shared)
        dcae = AutoencoderDC.from_config(dict(AUTOENCODER_CONFIG))
        vocoder = ADaMoSHiFiGANV1(vocoder_config)
    weights = {
        "ace_step_transformer": draw_weights("ace_step_transformer", transformer),
        "umt5-base": draw_weights("umt5-base", text_model),
        "music_dcae_f8c8": draw_weights("music_dcae_f8c8", dcae),
        "music_vocoder": draw_weights("music_vocoder", vocoder),
    }
    text_weights = weights["umt5-base"] | {TIED_EMBEDDING: weights["umt5-base"]["shared.weight"]}
    mel_buffers = vocoder_config.mel_transform().state_dict(prefix="mel_transform.")
    _fill(transformer, weights["ace_step_transformer"], dtype)
    _fill(text_model, text_weights, dtype)
    _fill(dcae, weights["music_dcae_f8c8"], dtype)
    _fill(vocoder, weights["music_vocoder"] | mel_buffers, torch.float32)
    fold_weight_norm(vocoder)
    return EmbeddedEngine(
        transformer=transformer.to(device),
        text_encoder=TextEncoder(nn.Module.to(text_model, device), tokenizer),
        lyric_tokenizer=embedded_lyric_ids,
        decoder=MusicDecoder(dcae, vocoder, dtype, device),
        label=LABEL,
        compile_transformer=compile_transformer,
        files=[identity(LABEL, weights)],
        load_encoder=lambda: MusicEncoder(dcae.encoder, vocoder_config.mel_transform(), vocoder_config, dtype, device),
    )


def _fill(model: nn.Module, weights: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    model.load_state_dict({name: value.to(dtype) for name, value in weights.items()}, assign=True)
    model.eval().requires_grad_(False)


def draw_weights(component: str, model: nn.Module) -> dict[str, Tensor]:
    """Weights for the parameters of ``model``, which may lie on the meta device; float32 on the CPU."""
    return drawn_weights(component, model, GAINS)
