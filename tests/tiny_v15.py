"""Tiny checkpoints of 1.5 and its planner in the official layout, with the embedded models' weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from acestep_batch.engine.embedded_text import text_tokenizer_path
from acestep_batch.engine.v15.checkpoint_layout import OFFICIAL_FOLDERS, OFFICIAL_TEXT_ENCODER, SILENCE_FILE
from acestep_batch.engine.v15.components import Components
from acestep_batch.engine.v15.embedded_diffusion import embedded_components
from acestep_batch.engine.v15.embedded_planner import embedded_model
from acestep_batch.engine.v15.embedded_planner_text import planner_tokenizer_path
from acestep_batch.engine.v15.variant import Variant
from acestep_batch.engine.v15.vocabulary import Vocabulary

MODEL = "model.safetensors"
OFFICIAL_NAMES = (
    (".to_q.", ".q_proj."),
    (".to_k.", ".k_proj."),
    (".to_v.", ".v_proj."),
    (".to_out.0.", ".o_proj."),
    (".norm_q.", ".q_norm."),
    (".norm_k.", ".k_norm."),
    ("decoder.proj_in_conv.", "decoder.proj_in.1."),
    ("decoder.proj_out_conv.", "decoder.proj_out.1."),
)
"""diffusers' names to the official ones: the other way round than the key map."""


def components(variant: Variant = Variant.TURBO) -> Components:
    """The embedded model's."""
    return embedded_components("cpu", torch.float32, variant)[0]


def write_official(folder: Path, variant: Variant = Variant.TURBO) -> Path:
    """A whole bundle."""
    text_encoder = folder / OFFICIAL_TEXT_ENCODER
    write_text_encoder_and_vae(text_encoder, text_encoder, folder / "vae", prefix="model.")
    parts = components(variant)
    write_model(folder / OFFICIAL_FOLDERS[variant], official_weights(parts), official_config(parts))
    return folder


def write_planner(folder: Path) -> Path:
    """The embedded planner as a published one."""
    embedded_model(Vocabulary.from_file(planner_tokenizer_path())).save_pretrained(folder)
    shutil.copy(planner_tokenizer_path(), folder / "tokenizer.json")
    return folder


def write_text_encoder_and_vae(text_encoder: Path, tokenizer: Path, vae: Path, prefix: str = "") -> None:
    """Text encoder and autoencoder; ``prefix`` stands before the encoder's names."""
    parts = components()
    text_encoder.mkdir(parents=True)
    tokenizer.mkdir(parents=True, exist_ok=True)
    weights = {f"{prefix}{name}": value for name, value in parts.text_encoder.model.state_dict().items()}
    if prefix:
        weights["lm_head.weight"] = torch.zeros(3, 3)
    save_file(weights, text_encoder / MODEL)
    config = parts.text_encoder.model.config.to_dict()
    (text_encoder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    shutil.copy(text_tokenizer_path(), tokenizer / "tokenizer.json")
    parts.vae.save_pretrained(vae)


def official_weights(parts: Any) -> dict[str, Tensor]:
    """The weights of one file under their official names."""
    prefixes = {
        "decoder": parts.transformer,
        "encoder": parts.condition_encoder,
        "tokenizer": parts.audio_tokenizer,
        "detokenizer": parts.detokenizer,
    }
    weights = {
        f"{prefix}.{name}": value for prefix, part in prefixes.items() for name, value in part.state_dict().items()
    }
    weights["null_condition_emb"] = weights.pop("encoder.null_condition_emb")
    renamed = {}
    for name, value in weights.items():
        for ours, theirs in OFFICIAL_NAMES:
            name = name.replace(ours, theirs)
        renamed[name] = value
    return renamed


def official_config(parts: Any) -> dict[str, Any]:
    """The sizes of all its parts."""
    config: dict[str, Any] = {"architectures": ["Other"], "auto_map": {"AutoModel": "evil.Model"}, "timestep_mu": -0.4}
    for part in (parts.audio_tokenizer, parts.condition_encoder, parts.transformer):
        config |= {name: value for name, value in part.config.items() if not name.startswith("_")}
    return config


def write_model(folder: Path, weights: dict[str, Tensor], config: dict[str, Any]) -> None:
    """A diffusion model's own folder."""
    folder.mkdir(parents=True)
    silence = weights.pop("encoder.silence_latent")
    torch.save(silence.transpose(1, 2).contiguous(), folder / SILENCE_FILE)
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / MODEL)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
