"""Files of latents: where they lie in a run's folder, and what is in one; whose they are is for others to say."""

from __future__ import annotations

import hashlib
import io
import json
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acestep_batch.engine.v1.limits import LATENT_CHANNELS, LATENT_HEIGHT
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.outputs.records import json_text

LATENTS_FOLDER = "latents"
DAMAGED = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, MemoryError, RecursionError,
    zipfile.BadZipFile, zlib.error, tokenize.TokenError, SyntaxError, NotImplementedError, RuntimeError,
)  # fmt: skip
"""What numpy, zipfile and json raise for a file that is not as it was written."""

_LARGEST_BYTES, _HEADER_BYTES = 64 * 2**20, 4096


def latents_file(folder: Path, identity: str) -> Path:
    """Where a run's folder has the latents of a song."""
    return folder / LATENTS_FOLDER / f"{identity}.npz"


def packed_latents(latents: NDArray[Any], facts: Mapping[str, Any]) -> bytes:
    """Latents ``[8, 16, F]`` and facts about them, as the content of a file."""
    packed = io.BytesIO()
    np.savez(packed, latents=latents, facts=np.array(json_text(dict(facts))))
    return packed.getvalue()


def read_latents(path: Path, most_frames: int) -> tuple[NDArray[Any], dict[str, Any]]:
    """The latents of a file and the facts about them, if they have no more than ``most_frames``.

    Raises OSError, and what DAMAGED lists.
    """
    longest = 4 * LATENT_CHANNELS * LATENT_HEIGHT * most_frames
    packed = io.BytesIO(read_plain_file(path, _LARGEST_BYTES))
    with zipfile.ZipFile(packed) as archive:
        sizes = {each.filename: each.file_size for each in archive.infolist()}
    if sizes["latents.npy"] > longest + _HEADER_BYTES or sizes["facts.npy"] > _LARGEST_BYTES:
        raise ValueError("they are larger than this song's can be")
    with np.load(packed, allow_pickle=False) as arrays:
        latents, facts = arrays["latents"], json.loads(str(arrays["facts"]))
    if latents.dtype.kind != "f" or not np.isfinite(latents).all():
        raise ValueError("they are no finite numbers")
    return latents, dict(facts)


def latents_sha256(latents: NDArray[Any]) -> str:
    """sha256 of latents as little-endian float32."""
    return hashlib.sha256(np.ascontiguousarray(latents, "<f4").data).hexdigest()
