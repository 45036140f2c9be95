"""In which number type each part of 1.5 computes on which device; no torch."""

from __future__ import annotations

from typing import Literal

Part = Literal["diffusion", "text encoder", "vae", "planner"]
"""``diffusion`` is the transformer with its condition encoder and its audio tokens."""

DTYPES = ("auto", "float32", "bfloat16", "float16")


def dtype_name(setting: str, device: str, part: Part) -> str:
    """torch's name of the type for ``part`` on ``device``, such as ``cuda:0``; ``setting`` is one of ``DTYPES``.

    ``auto`` is bfloat16 on CUDA and float32 on a CPU. On Apple's GPUs it is float16, but float32 for the planner: its
    weights are bfloat16, and what float16 makes of them overflows.
    """
    if setting not in DTYPES:
        raise ValueError(f"dtype: {setting!r} is not one of {', '.join(DTYPES)}")
    if setting != "auto":
        return setting
    kind = device.partition(":")[0]
    if kind == "mps":
        return "float32" if part == "planner" else "float16"
    return "bfloat16" if kind == "cuda" else "float32"
