"""What the branches of songs are conditioned on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.batching import Branch
from acestep_batch.engine.v1.conditioning import Conditioner, LyricTokenizer
from acestep_batch.engine.v1.text import TextEncoder
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel, Conditioning

MakeRequest = Callable[..., SongRequest]
BRANCHES = (Branch.COND, Branch.TEXT_ONLY, Branch.UNCOND)


def same(one: Conditioning, other: Conditioning) -> bool:
    """Whether all keys and values are equal."""
    pairs = zip((*one.keys, *one.values), (*other.keys, *other.values), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def test_the_tag_switch_has_no_effect_without_the_lyric_switch(
    conditioner: Conditioner, make_request: MakeRequest
) -> None:
    with_tag, without = (make_request(use_erg_tag=tag, use_erg_lyric=False) for tag in (True, False))
    assert same(conditioner.conditioning([with_tag], BRANCHES), conditioner.conditioning([without], BRANCHES))


def test_the_tag_switch_changes_only_the_unconditional_branch(
    conditioner: Conditioner, make_request: MakeRequest
) -> None:
    with_tag, without = (make_request(use_erg_tag=tag) for tag in (True, False))
    for branch, equal in zip(BRANCHES, (True, True, False), strict=True):
        ours, other = (conditioner.conditioning([request], [branch]) for request in (with_tag, without))
        assert same(ours, other) is equal


def test_the_lyric_switch_changes_all_but_the_conditional_branch(
    conditioner: Conditioner, make_request: MakeRequest
) -> None:
    with_lyric, without = (make_request(use_erg_tag=False, use_erg_lyric=lyric) for lyric in (True, False))
    for branch, equal in zip(BRANCHES, (True, False, False), strict=True):
        ours, other = (conditioner.conditioning([request], [branch]) for request in (with_lyric, without))
        assert same(ours, other) is equal


def test_the_diffusion_switch_weakens_the_unconditional_branch_alone(
    conditioner: Conditioner, make_request: MakeRequest
) -> None:
    requests = [make_request(), make_request(use_erg_diffusion=False)]
    scale = conditioner.conditioning(requests, BRANCHES).query_scale.flatten()
    torch.testing.assert_close(scale, torch.tensor([1.0, 1.0, 1.0, 1.0, 0.01, 1.0]))


def test_songs_of_different_length_are_padded_at_the_end(conditioner: Conditioner, make_request: MakeRequest) -> None:
    songs = [make_request(), make_request(lyrics="")]
    long, short = (conditioner.conditioning([song], BRANCHES) for song in songs)
    both = conditioner.conditioning(songs, BRANCHES)
    assert long.mask is None
    assert short.mask is None
    assert both.mask is not None
    lengths = [long.keys[0].shape[2], short.keys[0].shape[2]]
    assert both.mask.sum(dim=-1).flatten().tolist() == lengths * 3
    for key, key_short in zip(both.keys, short.keys, strict=True):
        torch.testing.assert_close(key[1::2, :, : lengths[1]], key_short, rtol=0, atol=1e-5)


def test_empty_lyrics_leave_speaker_and_text(conditioner: Conditioner, make_request: MakeRequest) -> None:
    conditioning = conditioner.conditioning([make_request(prompt="", lyrics="")], BRANCHES)
    assert conditioning.keys[0].shape[2] == 2  # the speaker and the end token of an empty prompt


def test_each_distinct_text_is_encoded_once(
    transformer: ACEStepTransformer2DModel,
    text_encoder: TextEncoder,
    lyric_tokenizer: LyricTokenizer,
    make_request: MakeRequest,
) -> None:
    tokenized: list[str] = []

    def counting(lyrics: str, language: str | None) -> list[int]:
        tokenized.append(lyrics)
        return lyric_tokenizer(lyrics, language)

    conditioner = Conditioner(transformer, text_encoder, counting)
    for _ in range(2):
        conditioner.conditioning([make_request(seed=seed) for seed in range(3)], BRANCHES)
    assert tokenized == [make_request().lyrics]
