"""The three kinds of 1.5 checkpoints and what tells them apart; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Variant(StrEnum):
    """How a diffusion transformer was trained, which decides its schedule, its guidance and its tasks."""

    TURBO = "turbo"
    """Distilled: a fixed table of 8 steps, guidance in the weights."""
    BASE = "base"
    SFT = "sft"

    @property
    def takes_guidance(self) -> bool:
        """Whether ``guidance_scale`` has an effect."""
        return self is not Variant.TURBO


def variant_of(config: Mapping[str, Any]) -> Variant:
    """The variant that a transformer's ``config.json`` names by ``is_turbo`` and ``model_version``.

    Versions such as ``xl_turbo`` count by the part that they hold; without any it is the base model.
    """
    version = str(config.get("model_version") or "").lower()
    if config.get("is_turbo") or Variant.TURBO in version:
        return Variant.TURBO
    return Variant.SFT if Variant.SFT in version else Variant.BASE
