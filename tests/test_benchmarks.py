"""The engine's benchmark compares equals: its model builds, and every naive way computes the engine's numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from acestep_batch.engine.embedded_text import embedded_lyric_ids
from benchmarks.engine_model import TINY, Model, build_model, make_request
from benchmarks.engine_variants import Comparison, comparisons
from benchmarks.engine_work import call_flops

FRAMES, TOKENS = 40, 21


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model() -> Model:
    return build_model(TINY, "cpu", torch.float32)


@pytest.fixture(scope="module")
def pairs(model: Model) -> list[Comparison]:
    with torch.inference_mode():
        return comparisons(model, [make_request(seed, 1.0, 2, lyric_tokens=9) for seed in (1, 2)], FRAMES, TOKENS)


def test_every_naive_way_computes_the_same_numbers(pairs: list[Comparison]) -> None:
    with torch.inference_mode():
        for pair in pairs:
            expected = pair.on()
            torch.testing.assert_close(pair.off(), expected, atol=1e-4, rtol=0, msg=lambda m, p=pair: f"{p.title}: {m}")
            assert expected.std() > 0.01, pair.title


def test_counted_operations_are_those_that_torch_counts(model: Model) -> None:
    """But for softmax attention, which torch does not count on a CPU."""
    heads, head_width = model.transformer.config.num_attention_heads, model.transformer.config.attention_head_dim
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        attended = model.transformer.condition(torch.zeros(2, TOKENS, heads * head_width), None, torch.ones(2))
        before = counter.get_total_flops()
        times = model.transformer.embed_times(torch.zeros(1), FRAMES)
        model.transformer(torch.zeros(2, 8, 16, FRAMES), times, attended)
        counted = counter.get_total_flops() - before
    softmax = model.transformer.config.num_layers * 2 * 4 * FRAMES * TOKENS * heads * head_width
    assert counted in (ours := call_flops(model.transformer, 2, FRAMES, TOKENS), ours - softmax)


@pytest.mark.parametrize("tokens", [3, 9, 400])
def test_lyrics_have_the_tokens_asked_for(tokens: int) -> None:
    assert len(embedded_lyric_ids(make_request(1, 1.0, 1, lyric_tokens=tokens).lyrics)) == tokens


def test_a_song_renders(model: Model) -> None:
    (song,) = model.engine().render([make_request(1, 1.0, 2, lyric_tokens=9)], 44100)
    assert song.audio.shape == (2, 10 * 4096)
