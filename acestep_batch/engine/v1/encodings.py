"""Encodings of texts, kept for the songs that share them; knows neither models nor texts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from torch import Tensor

KEPT_BYTES = 2**31
"""Some 200 different lyrics of 1,000 tokens with the published model, each with its weakened twin."""


class Encodings:
    """Keeps encodings in host memory, up to a number of bytes; those not used for longest go first.

    The host has room for a whole run's texts where a GPU has not, and the way back is short beside one model call.
    They hold for the weights that the models had: changed weights need ``clear``.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._held: OrderedDict[Hashable, Tensor] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable, encode: Callable[[], Tensor]) -> Tensor:
        """The encoding under ``key``, on the CPU; encoded now where it is not kept."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        encoded = self._held[key] = encode().cpu()
        self._bytes += encoded.nbytes
        while self._bytes > self._kept_bytes and len(self._held) > 1:
            _, oldest = self._held.popitem(last=False)
            self._bytes -= oldest.nbytes
        return encoded

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
        self._bytes = 0
