"""What a safetensors file says of itself, checked against its size; its tensors are not read. No torch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 4_000_000
"""Of a safetensors file; the published ones have headers of 20 to 100 kB, and the format's own limit of 100 MB would
let a file take gigabytes of memory before it is found to be none."""
_BYTES_OF_TYPE = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2, "U32": 4,
    "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip


class DamagedHeaderError(Exception):
    """A file that is no whole safetensors file; says what it is instead."""


def read_header(file: Path) -> dict[str, Any]:
    """The header: for each tensor's name its ``dtype`` and ``shape``, and ``__metadata__`` where there is any.

    A file has 8 bytes of header length, a JSON header, then the tensors. Raises DamagedHeaderError where its size is
    not what the header promises, and OSError for a file that cannot be read.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        header_size = int.from_bytes(stream.read(8), "little")
        if size < 8 or not 2 <= header_size <= MAX_HEADER_BYTES:
            raise DamagedHeaderError("is not a safetensors file")
        content = stream.read(header_size)
    if len(content) < header_size:
        raise DamagedHeaderError(f"is cut off: {size:,} bytes found, its header alone has {8 + header_size:,}")
    try:
        header: dict[str, Any] = json.loads(content, object_pairs_hook=_once)
        expected = 8 + header_size + _data_size(header)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise DamagedHeaderError("is not a safetensors file: its header is damaged") from error
    if size != expected:
        raise DamagedHeaderError(f"is cut off or damaged: {size:,} bytes found, {expected:,} expected by its header")
    return header


def _data_size(header: dict[str, Any]) -> int:
    """Bytes of tensor data that a safetensors header describes. Raises for anything that is no such header."""
    if any(not isinstance(value, str) for value in header.get("__metadata__", {}).values()):
        raise ValueError("metadata that is no text")
    tensors = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
    size = 0
    for name, entry in sorted(tensors, key=lambda each: tuple(each[1]["data_offsets"])):
        begin, end = entry["data_offsets"]
        if type(begin) is not int or type(end) is not int or begin != size or end < begin:
            raise ValueError(f"data offsets {begin}, {end} do not follow {size}")
        shape = entry["shape"]
        if any(type(length) is not int or length < 0 for length in shape) or len(shape) > 8 or len(name) > 500:
            raise ValueError(f"{name} has an impossible shape or name")
        if math.prod(shape) * _BYTES_OF_TYPE[entry["dtype"]] != end - begin:
            raise ValueError(f"{name} does not fill its bytes")
        size = end
    return size


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
