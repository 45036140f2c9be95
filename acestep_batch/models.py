"""The models by name: which family each belongs to, and which of 1.5's checkpoints it is; no weights, no paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from acestep_batch.engine.v15.variant import Variant


class Family(StrEnum):
    """Models that read the same parameters."""

    V1 = "v1"
    V15 = "v15"

    @property
    def full_name(self) -> str:
        """How people call it."""
        return "ACE-Step 1.5" if self is Family.V15 else "ACE-Step v1"


@dataclass(frozen=True, slots=True)
class Model:
    """What follows from a model's name."""

    family: Family
    is_embedded: bool = False
    variant: Variant | None = None
    """Of 1.5 only."""


MODELS: Mapping[str, Model] = {
    "embedded": Model(Family.V1, is_embedded=True),
    "v1": Model(Family.V1),
    "v15_turbo": Model(Family.V15, variant=Variant.TURBO),
    "v15_base": Model(Family.V15, variant=Variant.BASE),
    "v15_sft": Model(Family.V15, variant=Variant.SFT),
    "embedded_v15": Model(Family.V15, is_embedded=True, variant=Variant.TURBO),
    "embedded_v15_base": Model(Family.V15, is_embedded=True, variant=Variant.BASE),
}
"""By ``model.name``."""
