"""Stage g: whole songs, from the parameters of a call to the waveform."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acestep_batch.engine.base import RenderedSong, SongRequest
from acestep_batch.engine.v1.batching import branches
from acestep_batch.engine.v1.conditioning import Conditioner, LyricTokenizer
from acestep_batch.engine.v1.loading import load_engine, load_text_encoder, load_transformer
from acestep_batch.engine.v1.lyrics import LyricTokenizer as PublishedTokenizer
from acestep_batch.engine.v1.pipeline import V1Engine
from acestep_batch.engine.v1.refusals import crash_reason
from acestep_batch.engine.v1.sampling import denoise
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel

from .checks import (
    LATENTS,
    SENSITIVITY_FACTOR,
    WAVEFORM,
    WAVEFORM_SENSITIVITY_FACTOR,
    Case,
    Check,
    count_different,
    largest,
)
from .expected import Difference, Instead, expected_difference
from .pack import read_cases, read_tensors, requests_of, seeds_of
from .texts import LYRICS

FOLDER = "g_e2e"
SINGLES = 1e-4
"""How far a song of a batch may be from its own single render, where its sensitivity allows no more."""
TIMESTEP_DECIMALS = 6
"""As recorded."""
PIECE = 1024
COMPARED = {"randn_0", "cond_inputs", "final_latents", "wav_head", "wav_mid", "wav_every101", "wav_full"}

Call = list[Any]
"""Timestep, name of the branch, whether its queries are weakened: as recorded."""


@dataclass(frozen=True, slots=True)
class Denoised:
    """What the denoising of one batch did."""

    latents: Tensor
    """[B, 8, 16, F]"""
    inputs: list[Tensor]
    """[B, 8, 16, F] at every conditional call; the first is the noise."""
    calls: list[Call]


@dataclass(frozen=True, slots=True)
class Components:
    """The same checkpoint twice: its parts, which show latents, and the engine, which gives audio."""

    transformer: ACEStepTransformer2DModel
    conditioner: Conditioner
    engine: V1Engine


def song_stage(pack: Path, lyric_vocab: Path | None) -> Iterator[Check]:
    """Every case of ``g_e2e``."""
    cases = read_cases(pack, f"{FOLDER}/cases")
    if not cases:
        return
    recorded_ids = {case["lyrics"]: case["ids"] for case in read_cases(pack, LYRICS)}
    tokenizer = None if lyric_vocab is None else PublishedTokenizer(lyric_vocab)

    def token_ids(lyrics: str, language: str | None) -> list[int]:
        return recorded_ids[lyrics] if tokenizer is None or lyrics in recorded_ids else tokenizer(lyrics, language)

    components = load_components(pack / "checkpoint", token_ids)
    for recorded in cases:
        case = Case("g", recorded["id"])
        difference = expected_difference("g", recorded)
        if difference is not None and difference.instead is Instead.NOTHING_YET:
            yield case.not_yet(difference.reason)
        elif difference is not None and difference.instead is Instead.REFUSAL:
            checks = partial(_check_refusal, case, requests_of(recorded), components.engine, difference.reason)
            yield from case.guarded(checks)
        elif (
            recorded["params"].get("lyrics") and tokenizer is None and recorded["params"]["lyrics"] not in recorded_ids
        ):
            yield case.not_checked("", f"no token ids of its lyrics in {LYRICS}.json: they need --lyric-vocab")
        elif not (theirs := read_tensors(pack, f"{FOLDER}/{recorded['id']}")):
            yield case.not_checked("", f"there is no {FOLDER}/{recorded['id']}.safetensors")
        else:
            yield from case.guarded(partial(_check_song, case, recorded, theirs, components, difference))


def load_components(checkpoint: Path, token_ids: LyricTokenizer) -> Components:
    transformer = load_transformer(checkpoint / "ace_step_transformer", torch.float32, "cpu")
    text_encoder = load_text_encoder(checkpoint / "umt5-base", torch.float32, "cpu")
    engine = load_engine(checkpoint, token_ids, "cpu", torch.float32, False, "parity", [])
    return Components(transformer, Conditioner(transformer, text_encoder, token_ids), engine)


def denoise_and_watch(components: Components, requests: list[SongRequest]) -> Denoised:
    """Denoise one batch and note every call of the transformer."""
    names = [branch.value for branch in branches(requests[0])]
    inputs: list[Tensor] = []
    calls: list[Call] = []

    def watch(_module: object, args: tuple[Any, ...]) -> None:
        latents, times, conditioning = args
        weakened = (conditioning.query_scale < 1).flatten().tolist()
        timestep = round(times.timesteps.item(), TIMESTEP_DECIMALS)
        for item in range(0, len(latents), len(requests)):
            calls.append([timestep, names[item // len(requests)], weakened[item]])
        inputs.append(latents[: len(requests)].clone())

    conditioning = components.conditioner.conditioning(requests, branches(requests[0]))
    with components.transformer.register_forward_pre_hook(watch):
        latents = denoise(components.transformer, conditioning, requests)
    return Denoised(latents, inputs, calls)


def _check_refusal(case: Case, requests: list[SongRequest], engine: V1Engine, expected: str) -> Iterator[Check]:
    reason = crash_reason(requests[0])
    try:
        engine.render(requests, 44100)
    except ValueError as error:
        yield case.refusal(reason is not None and str(error) == reason, expected)
    else:
        yield case.refusal(False, expected)


def _check_song(
    case: Case,
    recorded: dict[str, Any],
    theirs: dict[str, Tensor],
    components: Components,
    singles: Difference | None,
) -> Iterator[Check]:
    """Compare with the recording or, where ``singles`` says why not, each song with its own single render."""
    requests = requests_of(recorded)
    if (seeds := seeds_of(recorded["params"])) is not None:
        yield case.check("seeds", count_different(seeds, recorded["actual_seeds"]))
    ours = denoise_and_watch(components, requests)
    yield case.check("calls", count_different(ours.calls, recorded["calls"]))
    yield case.check("latent shape", count_different(list(ours.latents.shape), recorded["latent_shape"]))
    if "randn_0" in theirs:
        yield case.check("noise", largest(ours.inputs[0], theirs["randn_0"]))
    sensitivity = SENSITIVITY_FACTOR * _sensitivity(recorded)
    if singles is not None:
        alone = torch.cat([denoise_and_watch(components, [request]).latents for request in requests])
        yield case.check("own singles", largest(ours.latents, alone), max(SINGLES, sensitivity), singles.reason)
    else:
        tolerance = max(LATENTS, sensitivity)
        if "cond_inputs" in theirs:
            yield case.check("cond_inputs", largest(torch.stack(ours.inputs), theirs["cond_inputs"]), tolerance)
        if "final_latents" in theirs:
            yield case.check("final_latents", largest(ours.latents, theirs["final_latents"]), tolerance)
    yield from _check_waveform(case, recorded, theirs, requests, components.engine, singles is not None)
    for name in sorted(theirs.keys() - COMPARED):
        yield case.not_checked(name, f"{name}: not a kind of recording that is known here")


def _check_waveform(
    case: Case,
    recorded: dict[str, Any],
    theirs: dict[str, Tensor],
    requests: list[SongRequest],
    engine: V1Engine,
    singles: bool,
) -> Iterator[Check]:
    rate = recorded.get("wav_sr", 48000)
    songs = engine.render(requests, rate)
    if "n_model_calls" in recorded:
        expected = [recorded["n_model_calls"]] * len(songs)
        yield case.check("model calls", count_different([song.model_calls for song in songs], expected))
    wave = _stacked(songs)
    length = recorded["wav_len"]
    yield case.check("wav length", abs(wave.shape[-1] - length))
    tolerances = _waveform_tolerances(recorded)
    if singles:
        alone = torch.cat([_stacked(engine.render([request], rate)) for request in requests])
        yield from case.waveform("wav own singles", wave, alone, *tolerances)
        return
    kept = {
        "wav_head": slice(PIECE),
        "wav_mid": slice(length // 2, length // 2 + PIECE),
        "wav_every101": slice(None, None, 101),
    }
    pieces = [name for name in kept if name in theirs]
    if pieces:
        ours = torch.cat([wave[..., kept[name]] for name in pieces], dim=-1)
        yield from case.waveform("wav pieces", ours, torch.cat([theirs[name] for name in pieces], dim=-1), *tolerances)
    if "wav_full" in theirs:
        yield from case.waveform("wav_full", wave, theirs["wav_full"], *tolerances)


def _stacked(songs: list[RenderedSong]) -> Tensor:
    """Audio [B, 2, N]."""
    return torch.stack([torch.from_numpy(song.audio) for song in songs])


def _sensitivity(recorded: dict[str, Any]) -> float:
    """How far the final latents move when the noise moves by 1e-6."""
    value: float | None = (recorded.get("sensitivity") or {}).get("latents_max_abs")
    return 0.0 if value is None or math.isnan(value) else value


def _waveform_tolerances(recorded: dict[str, Any]) -> tuple[float, float]:
    sensitivity = recorded.get("wav_sensitivity")
    if not sensitivity:
        return WAVEFORM, WAVEFORM
    return WAVEFORM_SENSITIVITY_FACTOR * sensitivity["p99"], WAVEFORM_SENSITIVITY_FACTOR * sensitivity["rms"]
