"""Tells errors of exhausted memory from all others, whatever raised them; no torch."""

from __future__ import annotations

_WORDS = ("out of memory", "can't allocate memory", "failed to allocate", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the device or of the host.

    torch raises an ``OutOfMemoryError`` on CUDA, and plain runtime errors on MPS, on the CPU and in some libraries.
    """
    if isinstance(error, MemoryError) or any(base.__name__ == "OutOfMemoryError" for base in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)
