"""Counts the bytes of tensors that are alive while code runs on the meta device, where nothing is computed."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ONE_KERNEL = {torch.ops.aten.scaled_dot_product_attention.default, torch.ops.aten.upsample_nearest2d.vec}
"""Operations that devices run as one; elsewhere they fall into steps with tensors between them."""


class LiveBytes(TorchDispatchMode):
    """``peak`` is the most bytes that were alive at once, ``now`` those that are; the modules' own do not count."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        own = (tensor for module in modules for tensor in (*module.parameters(), *module.buffers()))
        self._seen = {tensor.untyped_storage()._cdata for tensor in own}
        self.now = self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in ONE_KERNEL:
            with self:  # in inference mode, composite operations arrive whole
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.device.type == "meta":
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def peak_bytes(work: Callable[[], object], *modules: nn.Module) -> int:
    """The peak of one piece of work with these modules."""
    with torch.inference_mode(), LiveBytes(*modules) as live:
        work()
    return live.peak
