"""Fixtures for engine tests: the golden data, and the golden checkpoint's components, loaded once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.autoencoder import load_decoder
from acestep_batch.engine.v1.conditioning import Conditioner, LyricTokenizer
from acestep_batch.engine.v1.loading import load_text_encoder, load_transformer
from acestep_batch.engine.v1.music_encoder import load_encoder
from acestep_batch.engine.v1.pipeline import V1Engine
from acestep_batch.engine.v1.text import TextEncoder
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"

BASE_REQUEST = SongRequest(
    prompt="pop, rock, electronic, upbeat, energetic",
    lyrics=(
        "[verse]\nNeon lights they flicker bright\nCity hums in dead of night\n\n"
        "[chorus]\nDance with me till morning light"
    ),
    lyrics_language=None,
    seed=12345,
    audio_duration=3.0,
    infer_step=6,
    guidance_scale=15.0,
    cfg_type="apg",
    scheduler_type="euler",
    omega_scale=10.0,
    guidance_interval=0.5,
    guidance_interval_decay=0.0,
    min_guidance_scale=3.0,
    use_erg_tag=True,
    use_erg_lyric=True,
    use_erg_diffusion=True,
    oss_steps=(),
    guidance_scale_text=0.0,
    guidance_scale_lyric=0.0,
    rng="song",
    overlapped_decode=False,
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors here are tiny: more threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_request() -> Callable[..., SongRequest]:
    """Build a request like the golden case ``default``, with changes."""

    def make(**changes: Any) -> SongRequest:
        return replace(BASE_REQUEST, **changes)

    return make


@pytest.fixture(scope="session")
def golden() -> Callable[[str, str], dict[str, Tensor]]:
    """Read the tensors of one case of a golden file, by their names within the case."""
    files: dict[str, dict[str, Tensor]] = {}

    def read(file: str, case: str) -> dict[str, Tensor]:
        if file not in files:
            files[file] = load_file(GOLDEN / f"{file}.safetensors")
        prefix = f"{case}."
        return {name.removeprefix(prefix): tensor for name, tensor in files[file].items() if name.startswith(prefix)}

    return read


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    return GOLDEN / "checkpoint"


@pytest.fixture(scope="session")
def transformer(checkpoint: Path) -> ACEStepTransformer2DModel:
    return load_transformer(checkpoint / "ace_step_transformer", torch.float32, "cpu")


@pytest.fixture(scope="session")
def text_encoder(checkpoint: Path) -> TextEncoder:
    return load_text_encoder(checkpoint / "umt5-base", torch.float32, "cpu")


@pytest.fixture(scope="session")
def lyric_tokenizer() -> LyricTokenizer:
    """Look the recorded token ids up: the tokenizer has tests of its own."""
    ids: dict[str, list[int]] = json.loads((GOLDEN / "lyric_ids.json").read_text(encoding="utf-8"))
    return lambda lyrics, language: ids[lyrics]


@pytest.fixture(scope="session")
def conditioner(
    transformer: ACEStepTransformer2DModel, text_encoder: TextEncoder, lyric_tokenizer: LyricTokenizer
) -> Conditioner:
    return Conditioner(transformer, text_encoder, lyric_tokenizer)


@pytest.fixture(scope="session")
def engine(
    checkpoint: Path,
    transformer: ACEStepTransformer2DModel,
    text_encoder: TextEncoder,
    lyric_tokenizer: LyricTokenizer,
) -> V1Engine:
    audio = checkpoint / "music_dcae_f8c8", checkpoint / "music_vocoder", torch.float32, "cpu"
    return V1Engine(
        transformer,
        text_encoder,
        lyric_tokenizer,
        load_decoder(*audio),
        label="golden, untrained",
        load_encoder=partial(load_encoder, *audio),
    )
