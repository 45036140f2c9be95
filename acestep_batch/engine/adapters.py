"""Puts LoRAs on a transformer and takes them off again, bit for bit; which of them a song wants is its request's.

peft does it, by way of diffusers' ``PeftAdapterMixin``, which the transformers of both families inherit.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any

import torch

from acestep_batch.engine.tasks import Adapter
from acestep_batch.problems import Problem, Refused


class AdaptersInUse(ABC):
    """The adapters that a transformer has at present; they stay until others, or none, are asked for.

    The base weights are never touched: an adapter adds to what its layer puts out.
    """

    def __init__(self, transformer: Any) -> None:
        self._transformer = transformer
        self._used: tuple[Adapter, ...] = ()

    def use(self, adapters: tuple[Adapter, ...]) -> bool:
        """Make ``adapters`` the ones in use, all at once, each at its weight; tells whether anything changed.

        What was encoded by the transformer before a change no longer holds. Raises Refused, with none in use, for
        files that do not fit the model.
        """
        if adapters == self._used:
            return False
        if _files(adapters) != _files(self._used):
            self._replace(adapters)
        if adapters:
            self._transformer.set_adapters(_names(adapters), [adapter.weight for adapter in adapters])
        self._used = adapters
        return True

    @abstractmethod
    def _problems(self, adapter: Adapter) -> list[Problem]:
        """Why it does not fit."""

    @abstractmethod
    def _load(self, name: str, adapter: Adapter) -> None:
        """Give it to the transformer, in the mixin's ``load_lora_adapter``."""

    def _replace(self, adapters: tuple[Adapter, ...]) -> None:
        if self._used:
            self._transformer.unload_lora()
            self._used = ()
        problems = [problem for adapter in adapters for problem in self._problems(adapter)]
        if problems:
            raise Refused(problems)
        try:
            for name, adapter in zip(_names(adapters), adapters, strict=True):
                # Weights made in inference mode cannot be moved and cast later; peft warns of what is wanted here.
                with torch.inference_mode(False), warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "Already found a `peft_config` attribute")
                    self._load(name, adapter)
        except BaseException:
            self._transformer.unload_lora()
            raise


def _names(adapters: tuple[Adapter, ...]) -> list[str]:
    """By position: two files may have one name."""
    return [f"adapter_{index}" for index in range(len(adapters))]


def _files(adapters: tuple[Adapter, ...]) -> list[tuple[object, ...]]:
    return [(adapter.path, adapter.sha256) for adapter in adapters]
