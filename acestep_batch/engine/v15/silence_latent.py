"""Reads ``silence_latent.pt``, the latents of silence, without running what a pickle may hold; no torch.

torch writes a tensor as a zip archive of a pickle, which says how to rebuild it, and the numbers as they lie in memory.
The pickle is read as a list of instructions, never carried out: they have to be those that rebuild one contiguous
float32 tensor, and the numbers as many bytes as its shape says.
"""

from __future__ import annotations

import math
import pickletools  # names instructions; carries none out
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from acestep_batch.problems import refuse

_MOST_ENTRIES, _MOST_PICKLE_BYTES, _MOST_DATA_BYTES = 32, 10_000, 2**26
_GLOBALS = {"torch._utils _rebuild_tensor_v2", "torch FloatStorage", "collections OrderedDict"}
_INTEGERS = {"BININT", "BININT1", "BININT2", "LONG1"}
_INSTRUCTIONS = _INTEGERS | {
    *("PROTO", "GLOBAL", "MARK", "BINUNICODE", "BINPUT", "BINGET", "BINPERSID", "NEWFALSE"),
    *("TUPLE", "TUPLE3", "EMPTY_TUPLE", "REDUCE", "STOP"),
}
"""Those that rebuild a tensor by itself, in no list or dictionary."""
_DIMENSIONS = 3


def read_silence_latent(file: Path) -> np.ndarray:
    """Latents of silence [1, T, C] float32, from a file of [1, C, T].

    Raises:
        Refused: it is no such file.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return _tensor(archive).transpose(0, 2, 1)
    except (OSError, ValueError, LookupError, zipfile.BadZipFile, NotImplementedError) as error:
        message = f"is not a float32 tensor as torch saves it ({str(error)[:200]})"
        raise refuse(str(file), message, "delete it and fetch it again") from error


def _tensor(archive: zipfile.ZipFile) -> np.ndarray:
    entries = {each.filename.partition("/")[2]: each for each in archive.infolist()}
    if len(archive.infolist()) > _MOST_ENTRIES:
        raise ValueError(f"{len(archive.infolist())} entries in the archive")
    if "byteorder" in entries and _read(archive, entries["byteorder"], most=16) != b"little":
        raise ValueError("not in little-endian order")
    shape = _shape(_read(archive, entries["data.pkl"], _MOST_PICKLE_BYTES))
    data = _read(archive, entries["data/0"], _MOST_DATA_BYTES)
    if len(data) != math.prod(shape) * 4:
        raise ValueError(f"{len(data):,} bytes for the shape {list(shape)}")
    return np.frombuffer(data, dtype="<f4").reshape(shape)


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """An entry that is stored as it is and no longer than ``most``."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size or entry.file_size > most:
        raise ValueError(f"{entry.filename} is packed, or longer than {most:,} bytes")
    return archive.read(entry)


def _shape(pickled: bytes) -> tuple[int, ...]:
    """The shape of the one contiguous float32 tensor that ``pickled`` describes; raises ValueError for all else."""
    found: set[object] = set()
    integers: list[int] | None = None
    for name, argument in _instructions(pickled):
        if name not in _INSTRUCTIONS:
            raise ValueError(f"its pickle has the instruction {name}")
        if name == "GLOBAL":
            found.add(argument)
        elif name == "BINPERSID":
            if integers is not None:
                raise ValueError("more than one tensor")
            integers = []
        elif name in _INTEGERS and integers is not None:
            integers.append(int(str(argument)))
    if found != _GLOBALS:
        raise ValueError(f"it names {', '.join(sorted(map(str, found)))[:150]}")
    if integers is None or len(integers) != 1 + 2 * _DIMENSIONS:
        raise ValueError(f"not one tensor of {_DIMENSIONS} dimensions")
    offset, shape, strides = integers[0], integers[1 : 1 + _DIMENSIONS], integers[1 + _DIMENSIONS :]
    contiguous = [math.prod(shape[axis + 1 :]) for axis in range(_DIMENSIONS)]
    in_order = all(size == 1 or own == due for size, own, due in zip(shape, strides, contiguous, strict=True))
    if offset != 0 or min(shape) < 1 or not in_order:
        raise ValueError(f"shape {shape} with strides {strides} from {offset} is not contiguous")
    return tuple(shape)


def _instructions(pickled: bytes) -> Iterator[tuple[str, object]]:
    return ((operation.name, argument) for operation, argument, _ in pickletools.genops(pickled))
