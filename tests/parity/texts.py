"""Stages a and b: lyrics to tokens, prompts to tokens and vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acestep_batch.engine.v1.conditioning import ERG_TAU
from acestep_batch.engine.v1.loading import load_text_encoder
from acestep_batch.engine.v1.lyrics import LyricTokenizer, prepare_line
from acestep_batch.engine.v1.text import TextEncoder

from .checks import RELATIVE, Case, Check, count_different, relative
from .pack import read_cases, read_tensors, tensors_of

LYRICS = "a_lyrics_tokens"


def lyrics_stage(pack: Path, lyric_vocab: Path | None) -> Iterator[Check]:
    """Language and spelling of every line, which need no vocabulary, and the token ids of every text, which do."""
    tokenizer = None if lyric_vocab is None else LyricTokenizer(lyric_vocab)
    for recorded in read_cases(pack, LYRICS):
        case = Case("a", recorded["id"])
        yield from case.guarded(partial(_check_lyrics, case, recorded, tokenizer))


def _check_lyrics(case: Case, recorded: dict[str, Any], tokenizer: LyricTokenizer | None) -> Iterator[Check]:
    sung = [line for line in recorded["lines"] if not line.get("blank")]
    prepared = [list(prepare_line(line["line"])) for line in sung]
    yield case.check(
        "spelling", count_different(prepared, [[line["lang_used"], line["preprocessed"]] for line in sung])
    )
    if tokenizer is None:
        yield case.not_checked("ids", "token ids need --lyric-vocab")
        return
    yield case.check("ids", count_different(tokenizer(recorded["lyrics"]), recorded["ids"]))


def lyric_languages(pack: Path) -> dict[str, int]:
    """How many recorded lines that are not blank are in which language, the most frequent first."""
    lines = [line for case in read_cases(pack, LYRICS) for line in case["lines"] if not line.get("blank")]
    return dict(Counter(sorted(line["lang_used"] for line in lines)).most_common())


def text_encoder_stage(pack: Path) -> Iterator[Check]:
    """Token ids, masks and vectors of every prompt, with and without weakened queries."""
    cases, tensors = read_cases(pack, "b_text_encoder"), read_tensors(pack, "b_text_encoder")
    if not cases:
        return
    encoder = load_text_encoder(pack / "checkpoint" / "umt5-base", torch.float32, "cpu")
    for recorded in cases:
        case = Case("b", recorded["id"])
        yield from case.guarded(partial(_check_prompts, case, recorded, tensors_of(tensors, recorded["id"]), encoder))


def _check_prompts(
    case: Case, recorded: dict[str, Any], theirs: dict[str, Tensor], encoder: TextEncoder
) -> Iterator[Check]:
    prompts = [recorded["prompt"]] if isinstance(recorded["prompt"], str) else recorded["prompt"]
    ids, mask = encoder.tokenize(prompts)
    yield case.check("ids", count_different(ids.tolist(), theirs["ids"].tolist()))
    yield case.check("mask", count_different(mask.tolist(), theirs["mask"].bool().tolist()))
    yield case.check("hidden", relative(encoder.encode(prompts)[0], theirs["hidden"]), RELATIVE)
    yield case.check("hidden_erg", relative(encoder.encode(prompts, ERG_TAU)[0], theirs["hidden_erg"]), RELATIVE)
