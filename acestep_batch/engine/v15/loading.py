"""Checkpoint folders of 1.5, in either layout, to components; safetensors only, every parameter accounted for.

No component's class follows from a file: all are named here, and none runs code of a checkpoint.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_oobleck import AutoencoderOobleck
from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
from diffusers.pipelines.ace_step.modeling_ace_step import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
)
from safetensors import safe_open
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3Model

from acestep_batch.engine.out_of_memory import is_out_of_memory
from acestep_batch.engine.v15.checkpoint_layout import (
    SILENCE_FILE,
    TEXT_ENCODER,
    VAE,
    Layout,
    read_config,
    weight_files,
)
from acestep_batch.engine.v15.components import Components
from acestep_batch.engine.v15.dtypes import Part, dtype_name
from acestep_batch.engine.v15.key_map import (
    AUDIO_TOKENIZER,
    COMPONENTS,
    CONDITION_ENCODER,
    DETOKENIZER,
    TRANSFORMER,
    diffusers_config,
    diffusers_name,
)
from acestep_batch.engine.v15.silence_latent import read_silence_latent
from acestep_batch.engine.v15.text import TextEncoder
from acestep_batch.engine.v15.variant import variant_of
from acestep_batch.problems import Refused, one_line, refuse

CLASSES: Mapping[str, type[nn.Module]] = {
    TRANSFORMER: AceStepTransformer1DModel,
    CONDITION_ENCODER: AceStepConditionEncoder,
    AUDIO_TOKENIZER: AceStepAudioTokenizer,
    DETOKENIZER: AceStepAudioTokenDetokenizer,
    VAE: AutoencoderOobleck,
    TEXT_ENCODER: Qwen3Model,
}
Renamed = Callable[[str], str | None]
"""A file's name of a parameter to the component's own; None for what is not loaded."""


def load_components(layout: Layout, device: str, dtype: str = "auto") -> Components:
    """All components of a checkpoint on ``device``, in the types that ``dtype`` (one of ``dtypes.DTYPES``) stands for.

    Raises:
        Refused: a file does not fit the architecture.
    """
    configs, sources = _configs(layout), _sources(layout)
    built: dict[str, Any] = {}
    for name, config in configs.items():
        part: Part = "vae" if name == VAE else "text encoder" if name == TEXT_ENCODER else "diffusion"
        with _buildable(layout.folders.get(name, layout.folders[TRANSFORMER])):
            files, renamed, extra = sources[name]
            built[name] = build(name, config)
            fill(built[name], files, getattr(torch, dtype_name(dtype, device, part)), device, renamed, extra)
    with _buildable(layout.tokenizer):
        tokenizer = Tokenizer.from_file(str(layout.tokenizer))
    return Components(
        variant=variant_of(configs[TRANSFORMER]),
        transformer=built[TRANSFORMER],
        condition_encoder=built[CONDITION_ENCODER],
        text_encoder=TextEncoder(built[TEXT_ENCODER], tokenizer),
        vae=built[VAE],
        audio_tokenizer=built.get(AUDIO_TOKENIZER) if DETOKENIZER in built else None,
        detokenizer=built.get(DETOKENIZER) if AUDIO_TOKENIZER in built else None,
    )


def _configs(layout: Layout) -> dict[str, dict[str, Any]]:
    configs = {}
    for name, folder in layout.folders.items():
        with _buildable(folder):
            configs[name] = read_config(folder)
    if layout.kind == "official":
        official = configs[TRANSFORMER]
        with _buildable(layout.folders[TRANSFORMER]):
            configs |= {name: diffusers_config(name, official) for name in COMPONENTS}
    return configs


def _sources(layout: Layout) -> dict[str, tuple[list[Path], Renamed, Mapping[str, Tensor]]]:
    """For each component its files, how their names are read, and what else it takes."""
    sources: dict[str, tuple[list[Path], Renamed, Mapping[str, Tensor]]] = {
        name: (weight_files(folder), str, {}) for name, folder in layout.folders.items()
    }
    if TEXT_ENCODER in sources:
        sources[TEXT_ENCODER] = (sources[TEXT_ENCODER][0], _text_encoder_name, {})
    if layout.kind == "official":
        folder = layout.folders[TRANSFORMER]
        silence = torch.from_numpy(read_silence_latent(folder / SILENCE_FILE).copy())
        for name in COMPONENTS:
            extra = {"silence_latent": silence} if name == CONDITION_ENCODER else {}
            sources[name] = (weight_files(folder), _part_of_official(name), extra)
    return sources


def _part_of_official(component: str) -> Renamed:
    def renamed(name: str) -> str | None:
        try:
            found = diffusers_name(name)
        except KeyError:
            return name if component == TRANSFORMER else None  # so that it is told once, as unexpected
        return found[1] if found is not None and found[0] == component else None

    return renamed


def _text_encoder_name(name: str) -> str | None:
    """Some files hold the model with its language head."""
    return None if name == "lm_head.weight" else name.removeprefix("model.")


def build(name: str, config: Mapping[str, Any]) -> nn.Module:
    """A component without weights, on the meta device; what it computes from its sizes lies on the CPU."""
    if name == TEXT_ENCODER:
        sizes = Qwen3Config(**config)
        with torch.device("meta"):
            model = Qwen3Model(sizes)
        model.rotary_emb = type(model.rotary_emb)(sizes)
        return model
    with torch.device("meta"), warnings.catch_warnings(category=FutureWarning, action="ignore"):  # its weight norm
        component: Any = CLASSES[name].from_config(dict(config))  # type: ignore[attr-defined]
    if name == AUDIO_TOKENIZER:
        quantizer = component.quantizer
        with torch.random.fork_rng(devices=[]):
            fresh = type(quantizer)(component.config["fsq_dim"], quantizer.levels, quantizer.num_quantizers)
        component.quantizer = fresh
    return component


def fill(
    model: nn.Module,
    files: Sequence[Path],
    dtype: torch.dtype,
    device: str,
    renamed: Renamed = str,
    extra: Mapping[str, Tensor] | None = None,
) -> None:
    """Give ``model`` the parameters in ``files`` and ``extra``, and make it ready for inference.

    Raises ``Refused`` naming every parameter that is missing, unexpected or of another shape.
    """
    expected = {name: list(value.shape) for name, value in model.state_dict().items()}
    weights = {name: value.to(device, dtype) for name, value in (extra or {}).items()}
    found = {name: list(value.shape) for name, value in weights.items()}
    for file in files:
        with safe_open(file, framework="pt", device=device) as tensors:
            for theirs in tensors.keys():  # noqa: SIM118
                ours = renamed(theirs)
                if ours is None or ours in (extra or {}):
                    continue
                found[ours] = tensors.get_slice(theirs).get_shape()
                if found[ours] == expected.get(ours):
                    # A copy: in the file it lies wherever the header ends, and sums round by how memory is aligned.
                    weights[ours] = tensors.get_tensor(theirs).to(dtype, copy=True)
    differences = [f"{name} is missing" for name in expected if name not in found]
    differences += [f"{name} is unexpected" for name in found if name not in expected]
    differences += [
        f"{name} has shape {found[name]}, not {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if differences:
        raise refuse(
            str(files[0]),
            f"the weights do not fit {type(model).__name__}: {'; '.join(differences[:20])}"
            + (f" and {len(differences) - 20:,} more" if len(differences) > 20 else ""),
            "use the config.json that belongs to this file, or download both again",
        )
    finish(model, weights, device)


def finish(model: nn.Module, weights: Mapping[str, Tensor], device: str) -> None:
    """Put ``weights``, one for each name of the model's state, in place; move what was computed to ``device``."""
    model.load_state_dict(weights, assign=True)
    nn.Module.to(model, device).eval().requires_grad_(False)


@contextmanager
def _buildable(place: Path) -> Iterator[None]:
    """What a component's files make impossible is refused; exhausted memory is not their fault."""
    try:
        yield
    except Exception as error:  # diffusers, transformers and tokenizers raise whatever they meet
        if isinstance(error, Refused) or is_out_of_memory(error):
            raise
        message = f"does not describe a component that can be built ({one_line(error)[:300]})"
        raise refuse(str(place), message, "download it again") from error
