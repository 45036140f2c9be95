"""The engine in half precision, and compiled, against itself in float32 and not compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.conditioning import LyricTokenizer
from acestep_batch.engine.v1.loading import load_engine
from acestep_batch.engine.v1.pipeline import V1Engine

MakeRequest = Callable[..., SongRequest]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_renders_much_the_same_songs(
    checkpoint: Path, lyric_tokenizer: LyricTokenizer, engine: V1Engine, make_request: MakeRequest, dtype: torch.dtype
) -> None:
    files = [{"name": "weights", "bytes": 1}]
    half = load_engine(checkpoint, lyric_tokenizer, "cpu", dtype, False, "half", files)
    assert half.describe()["dtype"] == str(dtype).removeprefix("torch.")
    assert half.describe()["files"] == files
    settings = {"audio_duration": 1.0, "infer_step": 4, "scheduler_type": "pingpong"}
    requests = [make_request(**settings), make_request(**settings, seed=2, lyrics="[inst]")]
    for exact, rounded in zip(*(model.render(requests, sample_rate=44100) for model in (engine, half)), strict=True):
        assert rounded.audio.shape == (2, 10 * 4096)
        assert rounded.audio.dtype == np.float32
        assert np.isfinite(rounded.audio).all()
        assert np.corrcoef(exact.audio.ravel(), rounded.audio.ravel())[0, 1] > 0.9


@pytest.mark.slow  # needs a C++ compiler
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # from within torch
def test_a_compiled_transformer_renders_the_same_song(
    checkpoint: Path, lyric_tokenizer: LyricTokenizer, engine: V1Engine, make_request: MakeRequest
) -> None:
    compiled = load_engine(checkpoint, lyric_tokenizer, "cpu", torch.float32, True, "compiled", [])
    assert compiled.describe()["compiled"] is True
    graphs = [counters["stats"]["unique_graphs"]]
    for duration_s in (0.5, 1.0, 1.5):
        request = make_request(audio_duration=duration_s, infer_step=4)
        (fast,), (plain,) = (model.render([request], sample_rate=44100) for model in (compiled, engine))
        graphs.append(counters["stats"]["unique_graphs"])
        np.testing.assert_allclose(fast.audio, plain.audio, rtol=0, atol=1e-4)
    before, *after = graphs
    assert after[0] > before
    assert after == [after[0]] * 3  # the same graphs for all lengths
