"""Checkpoints of the stages to a folder in the layout of the published v1 checkpoint, in float16; no model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from acestep_batch.engine.v1 import column_codec, magnitude_vocoder
from training.codec import CODEC_FILE, fingerprint
from training.progress import load
from training.transformer import TRANSFORMER_FILE
from training.vocoder import VOCODER_FILE

MOST_BYTES_A_FILE, MOST_BYTES = 16 * 10**6, 25 * 10**6
TRANSFORMER, TEXT, CODEC, VOCODER = "ace_step_transformer", "umt5-base", "music_dcae_f8c8", "music_vocoder"
_TIED = "encoder.embed_tokens.weight"


def write_layout(checkpoints: Path, folder: Path) -> dict[str, Any]:
    """Write weights, configurations and tokenizer; returns what the transformer's checkpoint says of its run.

    The weights are their moving average. Raises FileNotFoundError where a stage has not run, and ValueError where
    the codec is not the one of the latents, or a file or the whole is too large to be part of the package.
    """
    trained = load(checkpoints / TRANSFORMER_FILE)
    codec, vocoder = load(checkpoints / CODEC_FILE), load(checkpoints / VOCODER_FILE)
    if trained["codec"] != fingerprint(codec["weights"]):
        raise ValueError("the transformer was trained on latents of another codec: run stages 3 and 4 again")
    weights = trained["average"]
    words = len(json.loads(trained["tokenizer"])["model"]["vocab"])
    text_config = {"model_type": "umt5", "vocab_size": words, **trained["configs"]["text"]}
    transformer_config = {"_class_name": "ACEStepTransformer2DModel", **trained["configs"]["transformer"]}
    text_weights = {name: value for name, value in _part(weights, "text.").items() if name != _TIED}
    diffusers, transformers = "diffusion_pytorch_model.safetensors", "model.safetensors"
    _write(folder / TRANSFORMER, diffusers, transformer_config, _part(weights, "transformer."))
    _write(folder / TEXT, transformers, text_config, text_weights)
    _write(folder / CODEC, diffusers, {"_class_name": column_codec.CLASS_NAME}, codec["weights"])
    vocoder_config = {"_class_name": magnitude_vocoder.CLASS_NAME, **vocoder["config"]}
    _write(folder / VOCODER, diffusers, vocoder_config, vocoder["weights"])
    (folder / TEXT / "tokenizer.json").write_text(trained["tokenizer"], encoding="utf-8", newline="\n")
    _check_sizes(folder)
    own = {name: trained[name] for name in ("step", "history", "configs")}
    return {**own, "codec_nat": codec["held_out_nat"], "clips": codec["clips"], "vocoder_steps": vocoder["step"]}


def _part(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def _write(folder: Path, file: str, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(save({name: value.half().contiguous() for name, value in weights.items()}))
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8", newline="\n")


def _check_sizes(folder: Path) -> None:
    sizes = {file: file.stat().st_size for file in sorted(folder.rglob("*")) if file.is_file()}
    for file, size in sizes.items():
        if size > MOST_BYTES_A_FILE:
            raise ValueError(f"{file} has {size:,} bytes, more than {MOST_BYTES_A_FILE:,}: train a smaller model")
    if sum(sizes.values()) > MOST_BYTES:
        raise ValueError(f"{folder} has {sum(sizes.values()):,} bytes, more than {MOST_BYTES:,}: train a smaller model")
