"""Whether a LoRA's file fits the transformer, from its header alone; no torch.

The published form is a folder with ``pytorch_lora_weights.safetensors``. For each adapted layer it holds
``<layer>.lora_A.weight`` [r, in] and ``<layer>.lora_B.weight`` [out, r], under the layer's own name, without a prefix.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acestep_batch.engine.safetensors_header import DamagedHeaderError, read_header
from acestep_batch.engine.v1.parameters import TIME_WIDTH
from acestep_batch.engine.v1.sizes import TransformerSizes
from acestep_batch.problems import Problem

LORA_FILE = "pytorch_lora_weights.safetensors"

_PART = re.compile(r"(?P<layer>.+)\.lora_(?P<part>[AB])\.weight")
_FLOATS = frozenset({"F16", "BF16", "F32", "F64"})
_SHOWN = 3
_REMEDY = "give a LoRA that was trained for this model, in the published form"


def lora_file(path: Path) -> Path:
    """The weights that ``Adapter.path`` names: the file itself, or the one in the folder."""
    return path / LORA_FILE if path.is_dir() else path


def lora_problems(path: Path, sizes: TransformerSizes) -> list[Problem]:
    """Everything that keeps the LoRA at ``path``, a folder or a file, from being loaded; empty where nothing does."""
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
    faults = [*_metadata_faults(metadata), *_tensor_faults(header, adaptable_layers(sizes))]
    return [Problem(str(file), fault, _REMEDY) for fault in faults]


def _metadata_faults(metadata: Mapping[str, str]) -> list[str]:
    try:
        settings = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    except (ValueError, RecursionError):
        settings = None
    return [] if isinstance(settings, dict) else ["its lora_adapter_metadata is no JSON object"]


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


def adaptable_layers(sizes: TransformerSizes) -> dict[str, tuple[int, int]]:
    """The transformer's linear layers by the names of the published checkpoint: numbers in and out."""
    width, lyric, units = sizes.inner_dim, sizes.lyric_encoder_output_size, sizes.lyric_encoder_linear_units
    layers = {
        "speaker_embedder": (sizes.speaker_embedding_dim, width),
        "genre_embedder": (sizes.text_embedding_dim, width),
        "lyric_encoder.embed.out.0": (sizes.lyric_hidden_size, lyric),
        "lyric_proj": (lyric, width),
        "timestep_embedder.linear_1": (TIME_WIDTH, width),
        "timestep_embedder.linear_2": (width, width),
        "t_block.1": (width, 6 * width),
        "final_layer.linear": (width, sizes.patch_size[0] * sizes.out_channels),
    }
    for index in range(sizes.lyric_encoder_num_blocks):
        layer = f"lyric_encoder.encoders.{index}"
        layers |= {f"{layer}.self_attn.linear_{name}": (lyric, lyric) for name in ("q", "k", "v", "out", "pos")}
        layers |= {f"{layer}.feed_forward.w_1": (lyric, units), f"{layer}.feed_forward.w_2": (units, lyric)}
    for index in range(sizes.num_layers):
        for attention in ("attn", "cross_attn"):
            for name in ("to_q", "to_k", "to_v", "to_out.0"):
                layers[f"transformer_blocks.{index}.{attention}.{name}"] = (width, width)
    return layers
