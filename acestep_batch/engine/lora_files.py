"""Whether a LoRA's file fits a transformer's layers, from its header alone; no torch.

For each adapted layer it holds ``<layer>.lora_A.weight`` [r, in] and ``<layer>.lora_B.weight`` [out, r]. Files that
diffusers writes are called ``pytorch_lora_weights.safetensors``. peft's, as the trainer of 1.5 leaves them, are called
``adapter_model.safetensors``, and ``adapter_config.json`` beside them says how strong they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from acestep_batch.engine.safetensors_header import DamagedHeaderError, read_header
from acestep_batch.problems import Problem

LORA_FILE = "pytorch_lora_weights.safetensors"
PEFT_FILE, PEFT_SETTINGS = "adapter_model.safetensors", "adapter_config.json"
METADATA_KEY = "lora_adapter_metadata"
"""Of the settings that diffusers writes into the header."""

_PART = re.compile(r"(?P<layer>.+)\.lora_(?P<part>[AB])\.weight")
_FLOATS = frozenset({"F16", "BF16", "F32", "F64"})
_SHOWN = 3
REMEDY = "give a LoRA that was trained for this model, in the published form"


def lora_file(path: Path) -> Path:
    """The weights that ``Adapter.path`` names: the file itself, or the one in the folder."""
    if not path.is_dir():
        return path
    return path / (PEFT_FILE if (path / PEFT_FILE).is_file() and not (path / LORA_FILE).is_file() else LORA_FILE)


def settings_file(path: Path) -> Path | None:
    """Where peft wrote how strong the LoRA is; None for other forms, whose header may say it."""
    file = lora_file(path)
    return file.with_name(PEFT_SETTINGS) if file.name == PEFT_FILE else None


def file_problems(path: Path, layers: Mapping[str, tuple[int, int]], own_name: Callable[[str], str]) -> list[Problem]:
    """Everything that keeps the LoRA at ``path``, a folder or a file, from being loaded; empty where nothing does.

    ``layers`` are those that take one: numbers in and out by name. ``own_name`` makes the file's names the model's.
    """
    file = lora_file(path)
    try:
        if not file.is_file():
            return [Problem(str(file), "is missing", f"give a folder with {LORA_FILE}, or such a file")]
        header = read_header(file)
    except OSError as error:
        return [Problem(str(file), f"cannot be read ({error.strerror or error})", "check its permissions")]
    except DamagedHeaderError as damage:
        return [Problem(str(file), str(damage), "fetch it again")]
    metadata = header.pop("__metadata__", {})
    named = {own_name(name): entry for name, entry in header.items()}
    faults = [*_metadata_faults(metadata), *_tensor_faults(named, layers)]
    if len(named) < len(header):
        faults.append("holds two weights of one name")
    return [Problem(str(file), fault, REMEDY) for fault in faults]


def _metadata_faults(metadata: Mapping[str, str]) -> list[str]:
    try:
        settings = json.loads(metadata.get(METADATA_KEY, "{}"))
    except (ValueError, RecursionError):
        settings = None
    return [] if isinstance(settings, dict) else [f"its {METADATA_KEY} is no JSON object"]


def _tensor_faults(header: Mapping[str, Mapping[str, Any]], layers: Mapping[str, tuple[int, int]]) -> list[str]:
    shapes: dict[str, dict[str, list[int]]] = {}
    strange, foreign, faults = [], [], []
    for name, entry in header.items():
        match = _PART.fullmatch(name)
        if match is None:
            strange.append(name)
        elif match["layer"] not in layers:
            foreign.append(match["layer"])
        else:
            shapes.setdefault(match["layer"], {})[match["part"]] = entry["shape"]
            if entry["dtype"] not in _FLOATS:
                faults.append(f"{name} is of type {entry['dtype']}, not a floating-point one")
    if strange:
        faults.append(f"{_some(strange)}: not .lora_A.weight or .lora_B.weight of a layer")
    if foreign:
        faults.append(f"{_some(sorted(set(foreign)))}: no layer of this model that takes a LoRA")
    wrong = [fault for layer, parts in shapes.items() if (fault := _shape_fault(layer, parts, *layers[layer]))]
    if wrong:
        faults.append(_some(wrong, "; "))
    if not header:
        faults.append("holds no weights")
    return faults


def _shape_fault(layer: str, parts: Mapping[str, list[int]], width_in: int, width_out: int) -> str:
    """In words what is wrong with a layer's pair of matrices; empty where nothing is."""
    if parts.keys() != {"A", "B"}:
        return f"{layer} has lora_{next(iter(parts))} alone"
    a, b = parts["A"], parts["B"]
    rank = a[0] if a else 0
    if rank < 1 or a != [rank, width_in] or b != [width_out, rank]:
        return f"{layer} has the shapes {a} and {b}, not [r, {width_in}] and [{width_out}, r]"
    return ""


def _some(names: list[str], separator: str = ", ") -> str:
    shown = separator.join(name[:200] for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"
