"""LoRAs as rows name them: found on this machine, held against the model's sizes, and hashed; loads none."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

from acestep_batch.engine.embedded_sizes import embedded_sizes
from acestep_batch.engine.lora_files import LORA_FILE, PEFT_FILE, lora_file, settings_file
from acestep_batch.engine.tasks import Adapter
from acestep_batch.engine.v1 import lora_files as v1
from acestep_batch.engine.v1.sizes import TransformerSizes, read_sizes
from acestep_batch.engine.v15 import lora_files as v15
from acestep_batch.engine.v15.weights import V15Source, transformer_config
from acestep_batch.outputs.audio_files import file_sha256
from acestep_batch.parameter import shown
from acestep_batch.problems import Problem
from acestep_batch.sources import is_remote

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_REMEDY = f"write none, or give its folder with {LORA_FILE}"


Fit = Callable[[Path], list[Problem]]
"""What keeps a LoRA from being loaded into a model; empty where nothing does."""


def fitting(checkpoint: Path | None, source: V15Source | None) -> Fit:
    """Holds LoRAs against a model: that of a checkpoint, or an embedded one; ``source`` is of a model of 1.5.

    Raises Refused for a damaged checkpoint.
    """
    if source is not None:
        return partial(v15.lora_problems, config=transformer_config(checkpoint, source))
    return partial(v1.lora_problems, sizes=_sizes(checkpoint))


@lru_cache(4)
def _sizes(checkpoint: Path | None) -> TransformerSizes:
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

    cached = (try_to_load_from_cache(name, file) for file in (LORA_FILE, PEFT_FILE))
    return next((Path(file) for file in cached if isinstance(file, str)), None)


def lora_adapter(name: str, weight: float, folders: Sequence[Path], fit: Fit, where: str) -> Adapter | list[Problem]:
    """A LoRA that a row names, or why it cannot be used."""
    path = find_lora(name, folders)
    if path is None:
        fetch = f"; `hf download {name}` fetches it" if _HUB_ID.fullmatch(name) else ""
        return [Problem(where, f"{shown(name)} does not exist on this machine", _REMEDY + fetch)]
    problems = fit(path)
    if problems:
        return [Problem(where, f"{each.where}: {each.message}", each.remedy) for each in problems]
    try:
        return Adapter(path, weight, lora_sha256(path))
    except OSError as error:
        return [Problem(where, f"{path} cannot be read ({error.strerror or error})", _REMEDY)]


def lora_sha256(path: Path) -> str:
    """sha256 of a LoRA's file, read once while it stays as it is. Raises OSError.

    Of one in peft's form, which two files make, it is the sha256 of ``adapter_config.json`` and then the weights.
    """
    files = [file for file in (settings_file(path), lora_file(path)) if file is not None]
    stats = [file.stat() for file in files]
    return _sha256(tuple((file, each.st_size, each.st_mtime_ns) for file, each in zip(files, stats, strict=True)))


@lru_cache(1_000)
def _sha256(files: tuple[tuple[Path, int, int], ...]) -> str:
    if len(files) == 1:
        return file_sha256(files[0][0])
    digest = hashlib.sha256()
    for file, _, _ in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
