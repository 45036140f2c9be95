"""The embedded 1.5 model: diffusers' classes at tiny sizes with untrained weights that are the same bits everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from acestep_batch.engine.base import Decoding, DenoisedSong, RenderedSong, StepCallback
from acestep_batch.engine.drawn_weights import drawn_weights, identity
from acestep_batch.engine.embedded_text import text_tokenizer_path
from acestep_batch.engine.one_thread import one_thread
from acestep_batch.engine.v15.components import Components
from acestep_batch.engine.v15.embedded_configs import CONFIGS, LABELS
from acestep_batch.engine.v15.key_map import AUDIO_TOKENIZER, CONDITION_ENCODER, DETOKENIZER, TRANSFORMER
from acestep_batch.engine.v15.loading import build, finish
from acestep_batch.engine.v15.pipeline import V15Engine
from acestep_batch.engine.v15.request import V15Request
from acestep_batch.engine.v15.text import TextEncoder
from acestep_batch.engine.v15.variant import Variant

SILENCE = "silence_latent"
GAINS: Mapping[str, float] = {"decoder.conv2.weight_g": 0.08, ".conv2.weight_g": 0.4, ".conv_t1.weight_g": 1.2}
"""Of the autoencoder's layers whose names end so, the first that fits: they keep the signal's power, and set it."""
_SILENCE_PERIOD = 250


class EmbeddedV15Engine(V15Engine):
    """Renders on one CPU thread: its layers are too small to share out, and the sound is the same on any machine."""

    @property
    def threads(self) -> int:
        """One, as above."""
        return 1

    def denoise(self, requests: Sequence[V15Request], on_step: StepCallback | None = None) -> list[DenoisedSong]:
        with one_thread():
            return super().denoise(requests, on_step)

    def decode(
        self, songs: Sequence[DenoisedSong], sample_rate: int, decoding: Decoding = Decoding.PLAIN
    ) -> list[RenderedSong]:
        with one_thread():
            return super().decode(songs, sample_rate, decoding)


def load_embedded_v15(
    device: str = "cpu", dtype: torch.dtype = torch.float32, variant: Variant = Variant.TURBO
) -> EmbeddedV15Engine:
    """The embedded 1.5 model as an engine; every variant has the same weights."""
    components, weights = embedded_components(device, dtype, variant)
    label = LABELS[variant]
    return EmbeddedV15Engine(components, label, files=[identity(label, weights)])


def embedded_components(
    device: str, dtype: torch.dtype, variant: Variant
) -> tuple[Components, dict[str, dict[str, Tensor]]]:
    """The components, and their weights in float32 by component; drawn here, in a fraction of a second."""
    tokenizer = Tokenizer.from_file(str(text_tokenizer_path()))
    built: dict[str, Any] = {}
    weights: dict[str, dict[str, Tensor]] = {}
    for name, config in embedded_configs(tokenizer, variant).items():
        built[name] = build(name, config)
        weights[name] = _draw(name, built[name])
        finish(built[name], {each: value.to(device, dtype) for each, value in weights[name].items()}, device)
    components = Components(
        variant=variant,
        transformer=built[TRANSFORMER],
        condition_encoder=built[CONDITION_ENCODER],
        text_encoder=TextEncoder(built["text_encoder"], tokenizer),
        vae=built["vae"],
        audio_tokenizer=built[AUDIO_TOKENIZER],
        detokenizer=built[DETOKENIZER],
    )
    return components, weights


def embedded_configs(tokenizer: Tokenizer, variant: Variant) -> dict[str, dict[str, Any]]:
    """The sizes of all components, with the vocabulary's and the variant's names."""
    configs = {name: dict(config) for name, config in CONFIGS.items()}
    configs[TRANSFORMER] |= {"is_turbo": variant is Variant.TURBO, "model_version": str(variant)}
    configs["text_encoder"]["vocab_size"] = tokenizer.get_vocab_size()
    return configs


def _draw(component: str, model: nn.Module) -> dict[str, Tensor]:
    weights = drawn_weights(component, model, {})
    if component == "vae":
        for name, value in weights.items():
            value *= next((gain for ending, gain in GAINS.items() if name.endswith(ending)), 1.0)
        last = weights["decoder.conv2.weight_v"]
        weights["decoder.conv2.weight_v"] = last - last.flip(-1)  # odd filters leave no constant part in the sound
    if component == CONDITION_ENCODER:
        weights[SILENCE] = _silence(CONFIGS[CONDITION_ENCODER]["timbre_hidden_dim"])
    return weights


def _silence(channels: int) -> Tensor:
    """Something that differs from zero and from frame to frame, as the latents of silence do: [1, 15000, C]."""
    uniform = np.random.RandomState(0).random_sample((1, _SILENCE_PERIOD, channels)).astype(np.float32)
    return torch.from_numpy(uniform - np.float32(0.5)).repeat(1, 15_000 // _SILENCE_PERIOD, 1)
