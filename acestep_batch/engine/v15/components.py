"""The loaded parts of a 1.5 checkpoint, as diffusers and transformers define them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers.models.autoencoders.autoencoder_oobleck import AutoencoderOobleck
from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
from diffusers.pipelines.ace_step.modeling_ace_step import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
)
from torch import nn

from acestep_batch.engine.v15.text import TextEncoder
from acestep_batch.engine.v15.variant import Variant


@dataclass(frozen=True, slots=True)
class Components:
    """All parts in evaluation mode; ``audio_tokenizer`` and ``detokenizer`` come together or not at all."""

    variant: Variant
    transformer: AceStepTransformer1DModel
    condition_encoder: AceStepConditionEncoder
    """Holds the latents of silence, and the null condition of guidance."""
    text_encoder: TextEncoder
    vae: AutoencoderOobleck
    audio_tokenizer: AceStepAudioTokenizer | None
    detokenizer: AceStepAudioTokenDetokenizer | None

    @property
    def channels(self) -> int:
        """Channels of latents: 64 in published models."""
        return int(self.transformer.config["audio_acoustic_hidden_dim"])

    def modules(self) -> Iterator[nn.Module]:
        """Every part with weights."""
        parts = (self.text_encoder.model, self.condition_encoder, self.audio_tokenizer, self.detokenizer)
        yield from (part for part in (*parts, self.transformer, self.vae) if part is not None)

    def to(self, target: torch.device | torch.dtype | str) -> None:
        """Move all parts to a device, or cast them."""
        for part in self.modules():
            part.to(target)
