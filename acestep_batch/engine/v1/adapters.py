"""LoRAs on v1's transformer."""

from __future__ import annotations

from acestep_batch.engine.adapters import AdaptersInUse
from acestep_batch.engine.lora_files import lora_file
from acestep_batch.engine.tasks import Adapter
from acestep_batch.engine.v1.lora_files import lora_problems
from acestep_batch.engine.v1.sizes import TransformerSizes
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel
from acestep_batch.problems import Problem


class Adapters(AdaptersInUse):
    """The adapters that a transformer of v1 has at present."""

    def __init__(self, transformer: ACEStepTransformer2DModel) -> None:
        super().__init__(transformer)
        self._sizes = TransformerSizes.from_dict(dict(transformer.config))

    def _problems(self, adapter: Adapter) -> list[Problem]:
        return lora_problems(adapter.path, self._sizes)

    def _load(self, name: str, adapter: Adapter) -> None:
        file = lora_file(adapter.path)
        self._transformer.load_lora_adapter(
            file.parent,
            weight_name=file.name,
            use_safetensors=True,
            local_files_only=True,
            adapter_name=name,
            prefix=None,
        )
