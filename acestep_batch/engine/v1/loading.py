"""Published checkpoint folders to components; safetensors only, every parameter accounted for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from torch import nn
from transformers import UMT5Config, UMT5EncoderModel

from acestep_batch.engine.out_of_memory import is_out_of_memory
from acestep_batch.engine.v1.autoencoder import known_keys, load_decoder
from acestep_batch.engine.v1.conditioning import LyricTokenizer
from acestep_batch.engine.v1.music_encoder import load_encoder
from acestep_batch.engine.v1.pipeline import V1Engine
from acestep_batch.engine.v1.text import TextEncoder
from acestep_batch.engine.v1.transformer import UNUSED_PARAMETERS, ACEStepTransformer2DModel
from acestep_batch.problems import Refused, one_line, refuse

TIED_EMBEDDING = "encoder.embed_tokens.weight"
"""The same tensor as ``shared.weight``; files may hold it or not."""


def load_engine(
    checkpoint_folder: Path,
    lyric_tokenizer: LyricTokenizer,
    device: str,
    dtype: torch.dtype,
    compile_transformer: bool,
    label: str,
    files: Sequence[dict[str, Any]],
    revision: str | None = None,
    commit: str | None = None,
    lyric_libraries: Mapping[str, str] | None = None,
    strict: bool = False,
    engine: type[V1Engine] = V1Engine,
) -> V1Engine:
    """An ``engine`` from a folder in the published layout.

    The folder holds ``ace_step_transformer``, ``umt5-base``, ``music_dcae_f8c8`` and ``music_vocoder``. ``files``,
    ``revision``, ``commit`` and ``lyric_libraries`` are for the record; ``strict`` as in ``V1Engine``.

    Raises:
        Refused: a file does not fit the architecture.
    """
    dcae, vocoder = checkpoint_folder / "music_dcae_f8c8", checkpoint_folder / "music_vocoder"
    try:
        decoder = load_decoder(dcae, vocoder, dtype, device)
    except Exception as error:  # as in _buildable
        if is_out_of_memory(error):
            raise
        message = f"the weights do not fit their config.json: {one_line(error)[:300]}"
        raise refuse(f"{dcae} or {vocoder}", message, "download both folders again") from error
    transformer, text_encoder = checkpoint_folder / "ace_step_transformer", checkpoint_folder / "umt5-base"
    with _buildable(transformer):
        loaded_transformer = load_transformer(transformer, dtype, device)
    with _buildable(text_encoder):
        loaded_text_encoder = load_text_encoder(text_encoder, dtype, device)
    return engine(
        transformer=loaded_transformer,
        text_encoder=loaded_text_encoder,
        lyric_tokenizer=lyric_tokenizer,
        decoder=decoder,
        label=label,
        compile_transformer=compile_transformer,
        files=files,
        revision=revision,
        commit=commit,
        lyric_libraries=lyric_libraries,
        strict=strict,
        load_encoder=partial(load_encoder, dcae, vocoder, dtype, device),
    )


@contextmanager
def _buildable(folder: Path) -> Iterator[None]:
    """What a component's files make impossible is refused; exhausted memory is not their fault."""
    try:
        yield
    except Exception as error:  # diffusers, transformers and tokenizers raise whatever they meet
        if isinstance(error, Refused) or is_out_of_memory(error):
            raise
        message = f"does not describe a component that can be built ({one_line(error)[:300]})"
        raise refuse(str(folder), message, "download the folder again") from error


def load_transformer(folder: Path, dtype: torch.dtype, device: str) -> ACEStepTransformer2DModel:
    """The diffusion transformer; parameters that inference never reads are not read from the file either."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        model: ACEStepTransformer2DModel = ACEStepTransformer2DModel.from_config(
            known_keys(ACEStepTransformer2DModel, config)
        )
    load_weights(model, folder / "diffusion_pytorch_model.safetensors", dtype, device, ignored=UNUSED_PARAMETERS)
    return model


def load_text_encoder(folder: Path, dtype: torch.dtype, device: str) -> TextEncoder:
    """UMT5's encoder and its tokenizer."""
    with torch.device("meta"):
        model = UMT5EncoderModel(UMT5Config.from_json_file(folder / "config.json"))
    model.set_input_embeddings(model.shared)  # one module under both names: either fills both
    load_weights(model, folder / "model.safetensors", dtype, device, optional=frozenset({TIED_EMBEDDING}))
    return TextEncoder(model, Tokenizer.from_file(str(folder / "tokenizer.json")))


def load_weights(
    model: nn.Module,
    file: Path,
    dtype: torch.dtype,
    device: str,
    ignored: str = "",
    optional: frozenset[str] = frozenset(),
) -> None:
    """Fill ``model``, which may lie on the meta device, from ``file`` and make it ready for inference.

    Names that match the pattern ``ignored`` are skipped, ``optional`` ones may be missing. Raises ``Refused`` naming
    every parameter that is missing, unexpected or of another shape.
    """
    expected = {name: list(parameter.shape) for name, parameter in model.state_dict().items()}
    with safe_open(file, framework="pt", device=device) as tensors:
        names = [name for name in tensors.keys() if not re.fullmatch(ignored, name)]  # noqa: SIM118
        found = {name: tensors.get_slice(name).get_shape() for name in names}
        differences = [f"{name} is missing" for name in expected if name not in found and name not in optional]
        differences += [f"{name} is unexpected" for name in found if name not in expected]
        differences += [
            f"{name} has shape {found[name]}, not {shape}"
            for name, shape in expected.items()
            if name in found and found[name] != shape
        ]
        if differences:
            raise refuse(
                str(file),
                f"the weights do not fit {type(model).__name__}: {'; '.join(differences[:20])}"
                + (f" and {len(differences) - 20:,} more" if len(differences) > 20 else ""),
                "use the config.json that belongs to this file, or download both again",
            )
        weights = {name: tensors.get_tensor(name).to(dtype) for name in names}
    model.load_state_dict(weights, strict=False, assign=True)
    model.eval().requires_grad_(False)
