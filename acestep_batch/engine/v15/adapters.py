"""LoRAs on 1.5's transformer.

diffusers' ``AceStepLoraLoaderMixin`` hands what it reads to the transformer's own mixin, which is what is called here:
the former takes every LoRA for one of strength 1, where the official trainer's default is 2, which
``adapter_config.json`` says, and passes over names that it does not know. Names and strength are ``lora_files``'.
"""

from __future__ import annotations

from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
from safetensors.torch import load_file

from acestep_batch.engine.adapters import AdaptersInUse
from acestep_batch.engine.lora_files import lora_file
from acestep_batch.engine.tasks import Adapter
from acestep_batch.engine.v15.lora_files import lora_problems, lora_settings, own_name, strength
from acestep_batch.problems import Problem


class Adapters(AdaptersInUse):
    """The adapters that a transformer of 1.5 has at present."""

    def __init__(self, transformer: AceStepTransformer1DModel) -> None:
        super().__init__(transformer)
        self._config = dict(transformer.config)
        self._dtype = transformer.dtype

    def _problems(self, adapter: Adapter) -> list[Problem]:
        return lora_problems(adapter.path, self._config)

    def _load(self, name: str, adapter: Adapter) -> None:
        settings = lora_settings(adapter.path)
        weights = {}
        for theirs, tensor in load_file(lora_file(adapter.path)).items():
            if theirs.endswith(".lora_B.weight"):
                tensor = tensor.float() * strength(settings, tensor.shape[1])
            # Also in a stay in float32: what was loaded before it, and what is loaded in it, must be the same weights.
            weights[own_name(theirs)] = tensor.to(self._dtype).to(self._transformer.dtype)
        self._transformer.load_lora_adapter(weights, adapter_name=name, prefix=None)
        for key, parameter in self._transformer.named_parameters():
            if ".lora_" in key:
                parameter.requires_grad_(False)
                parameter.data = parameter.data.to(self._transformer.dtype)
