"""Which layers of 1.5's transformer take a LoRA, whether a file fits them, and how strong it is; no torch.

Three ways of writing the names are known: the layers' own, with ``transformer.`` before them as diffusers writes them,
and the official ones behind ``base_model.model.`` as peft writes them for the model's own trainer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acestep_batch.engine.lora_files import METADATA_KEY, REMEDY, file_problems, lora_file, settings_file
from acestep_batch.engine.safetensors_header import DamagedHeaderError, read_header
from acestep_batch.engine.v15.key_map import TRANSFORMER, diffusers_name
from acestep_batch.problems import Problem

_PEFT_PREFIX, _DIFFUSERS_PREFIX = "base_model.model.", f"{TRANSFORMER}."
_OFFICIAL_PREFIX = "decoder."
_TIME_WIDTH = 256
_DEFAULTS: Mapping[str, int] = {
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
}
"""diffusers' own for what a ``config.json`` leaves out."""
_UNKNOWN = ("use_dora", "alpha_pattern", "modules_to_save", "layer_replication", "lora_bias", "trainable_token_indices")
"""Settings of peft that make something else of the same two matrices, or add to them."""


def own_name(name: str) -> str:
    """A file's name of a weight to the transformer's own."""
    name = name.removeprefix(_PEFT_PREFIX).removeprefix(_DIFFUSERS_PREFIX).removeprefix(_OFFICIAL_PREFIX)
    found = diffusers_name(f"{_OFFICIAL_PREFIX}{name}")
    return name if found is None else found[1]


def lora_problems(path: Path, config: Mapping[str, Any]) -> list[Problem]:
    """Everything that keeps the LoRA at ``path``, a folder or a file, from being loaded; empty where nothing does.

    ``config`` holds the transformer's sizes, as diffusers names them.
    """
    if problems := file_problems(path, adaptable_layers(config), own_name):
        return problems
    place = settings_file(path) or lora_file(path)
    try:
        settings = lora_settings(path)
    except FileNotFoundError:
        return [Problem(str(place), "is missing, and says how strong the LoRA is", "give the whole folder")]
    except OSError as error:
        return [Problem(str(place), f"cannot be read ({error.strerror or error})", "check its permissions")]
    except (ValueError, RecursionError):
        return [Problem(str(place), "holds no settings of a LoRA", "fetch it again")]
    return [Problem(str(place), fault, REMEDY) for fault in _settings_faults(settings)]


def lora_settings(path: Path) -> dict[str, Any]:
    """What peft was told when the LoRA was trained; empty where nothing is known, and its strength is 1.

    Raises ValueError and OSError for a file that is damaged or missing.
    """
    beside = settings_file(path)
    if beside is not None:
        settings = json.loads(beside.read_text(encoding="utf-8"))
    else:
        try:
            metadata = read_header(lora_file(path)).get("__metadata__", {})
        except DamagedHeaderError as damage:
            raise ValueError(str(damage)) from damage
        settings = json.loads(metadata.get(METADATA_KEY, "{}"))
    if not isinstance(settings, dict):
        raise ValueError("no JSON object")
    return {name.removeprefix(_DIFFUSERS_PREFIX): value for name, value in settings.items()}


def strength(settings: Mapping[str, Any], rank: int) -> float:
    """The factor on B A of a layer of this rank: alpha / r, of a rank-stabilised LoRA alpha / sqrt(r)."""
    alpha = settings.get("lora_alpha")
    if alpha is None:
        return 1.0
    return float(alpha) / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def _settings_faults(settings: Mapping[str, Any]) -> list[str]:
    strange = {name: settings[name] for name in _UNKNOWN if settings.get(name)}
    if settings.get("peft_type", "LORA") != "LORA":
        strange["peft_type"] = settings["peft_type"]
    faults = [f"{name} is {str(value)[:60]}: only plain LoRAs are known" for name, value in strange.items()]
    alpha = settings.get("lora_alpha")
    number = isinstance(alpha, (int, float)) and not isinstance(alpha, bool) and math.isfinite(alpha)
    if settings and not number:
        faults.append(f"lora_alpha is {str(alpha)[:60]}, not a number: nothing says how strong it is")
    return faults


def adaptable_layers(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """The transformer's linear layers: numbers in and out."""
    width, inner, count, heads, groups, head = (int(config.get(name) or _DEFAULTS[name]) for name in _DEFAULTS)
    layers = {"condition_embedder": (int(config.get("encoder_hidden_size") or width), width)}
    for embedding in ("time_embed", "time_embed_r"):
        layers[f"{embedding}.linear_1"] = (_TIME_WIDTH, width)
        layers[f"{embedding}.linear_2"] = (width, width)
        layers[f"{embedding}.time_proj"] = (width, 6 * width)
    for index in range(count):
        layer = f"layers.{index}"
        for attention in (f"{layer}.self_attn", f"{layer}.cross_attn"):
            layers[f"{attention}.to_q"] = (width, heads * head)
            layers[f"{attention}.to_k"] = layers[f"{attention}.to_v"] = (width, groups * head)
            layers[f"{attention}.to_out.0"] = (heads * head, width)
        layers |= {f"{layer}.mlp.{name}": (width, inner) for name in ("gate_proj", "up_proj")}
        layers[f"{layer}.mlp.down_proj"] = (inner, width)
    return layers
