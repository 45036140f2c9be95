"""LoRAs as rows name them: found on this machine, held against the model's sizes, and hashed; loads none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from acestep_batch.engine.embedded_sizes import embedded_sizes
from acestep_batch.engine.tasks import Adapter
from acestep_batch.engine.v1.lora_files import LORA_FILE, lora_file, lora_problems
from acestep_batch.engine.v1.sizes import TransformerSizes, read_sizes
from acestep_batch.outputs.audio_files import file_sha256
from acestep_batch.parameter import shown
from acestep_batch.problems import Problem
from acestep_batch.sources import is_remote

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_REMEDY = f"write none, or give its folder with {LORA_FILE}"


@lru_cache(4)
def transformer_sizes(checkpoint: Path | None) -> TransformerSizes:
    """The sizes that a LoRA must fit: a checkpoint's, or the embedded model's. Raises Refused for a damaged one."""
    return (embedded_sizes() if checkpoint is None else read_sizes(checkpoint)).transformer


def find_lora(name: str, folders: Sequence[Path]) -> Path | None:
    """The file or folder of a LoRA, absolute: seen from one of ``folders``, or in the hub's cache; looks at no network.

    None where there is none.
    """
    if is_remote(name):
        return None
    try:
        path = next((folder / name for folder in folders if (folder / name).exists()), None)
    except (OSError, ValueError):  # a name that no file system takes
        return None
    if path is not None:
        return path.absolute()
    if not _HUB_ID.fullmatch(name):
        return None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(name, LORA_FILE)
    return Path(cached) if isinstance(cached, str) else None


def lora_adapter(
    name: str, weight: float, folders: Sequence[Path], sizes: TransformerSizes, where: str
) -> Adapter | list[Problem]:
    """A LoRA that a row names, or why it cannot be used."""
    path = find_lora(name, folders)
    if path is None:
        fetch = f"; `hf download {name} {LORA_FILE}` fetches it" if _HUB_ID.fullmatch(name) else ""
        return [Problem(where, f"{shown(name)} does not exist on this machine", _REMEDY + fetch)]
    problems = lora_problems(path, sizes)
    if problems:
        return [Problem(where, f"{each.where}: {each.message}", each.remedy) for each in problems]
    try:
        return Adapter(path, weight, lora_sha256(path))
    except OSError as error:
        return [Problem(where, f"{path} cannot be read ({error.strerror or error})", _REMEDY)]


def lora_sha256(path: Path) -> str:
    """sha256 of a LoRA's file, read once while it stays as it is. Raises OSError."""
    file = lora_file(path)
    status = file.stat()
    return _sha256(file, status.st_size, status.st_mtime_ns)


@lru_cache(1_000)
def _sha256(file: Path, _size: int, _changed_ns: int) -> str:
    return file_sha256(file)
