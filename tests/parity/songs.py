"""Stage g: whole songs, from the parameters of a call to the waveform."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acestep_batch.engine.base import RenderedSong, SongRequest
from acestep_batch.engine.tasks import AudioSource, Edit, SourceTask
from acestep_batch.engine.v1.batching import branches
from acestep_batch.engine.v1.conditioning import Conditioner, LyricTokenizer
from acestep_batch.engine.v1.editing import edit_songs
from acestep_batch.engine.v1.limits import averaged_steps, guided_steps
from acestep_batch.engine.v1.loading import load_engine, load_text_encoder, load_transformer
from acestep_batch.engine.v1.lyrics import LyricTokenizer as PublishedTokenizer
from acestep_batch.engine.v1.music_encoder import MusicEncoder, load_encoder
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
from .expected import Difference, Instead, expected_difference, failed
from .pack import read_cases, read_tensors, seeds_of
from .tasks import check_draws, task_requests_of
from .texts import LYRICS

FOLDER = "g_e2e"
SINGLES = 1e-4
"""How far a song of a batch may be from its own single render, where its sensitivity allows no more."""
TIMESTEP_DECIMALS = 6
"""As recorded."""
PIECE = 1024
COMPARED = {"cond_inputs", "final_latents", "wav_head", "wav_mid", "wav_every101", "wav_full"}

MakeRequests = Callable[[], list[SongRequest]]
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
    encoder: MusicEncoder
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
        sung = [recorded["params"].get(name) for name in ("lyrics", "edit_target_lyrics")]
        requests = partial(task_requests_of, recorded, pack)
        theirs = read_tensors(pack, f"{FOLDER}/{recorded['id']}")
        if tokenizer is None and any(lyrics and lyrics not in recorded_ids for lyrics in sung):
            yield case.not_checked("", f"no token ids of its lyrics in {LYRICS}.json: they need --lyric-vocab")
        elif difference is not None and difference.instead is Instead.REFUSAL:
            checks = partial(_check_refusal, case, recorded, theirs, requests, components, difference.reason)
            yield from case.guarded(checks)
        elif difference is not None and failed(recorded):
            yield from case.guarded(partial(_check_singles, case, requests, components, difference.reason))
        elif not theirs:
            yield case.not_checked("", f"there is no {FOLDER}/{recorded['id']}.safetensors")
        else:
            yield from case.guarded(partial(_check_song, case, recorded, theirs, requests, components, difference))


def load_components(checkpoint: Path, token_ids: LyricTokenizer) -> Components:
    transformer = load_transformer(checkpoint / "ace_step_transformer", torch.float32, "cpu")
    text_encoder = load_text_encoder(checkpoint / "umt5-base", torch.float32, "cpu")
    folders = checkpoint / "music_dcae_f8c8", checkpoint / "music_vocoder"
    encoder = load_encoder(*folders, torch.float32, "cpu")
    engine = load_engine(checkpoint, token_ids, "cpu", torch.float32, False, "parity", [])
    return Components(transformer, Conditioner(transformer, text_encoder, token_ids), encoder, engine)


def source_latents(encoder: MusicEncoder, request: SongRequest) -> Tensor | None:
    """The latents [8, 16, F] of a request's source, which is audio; None where it has none."""
    if not isinstance(request.task, SourceTask) or not isinstance(request.task.source, AudioSource):
        return None
    source = request.task.source
    return encoder.encode(torch.from_numpy(source.samples)[None], source.sample_rate)[0]


def denoise_and_watch(components: Components, requests: list[SongRequest]) -> Denoised:
    """Denoise one batch and note every call of the transformer."""
    names = [branch.value for branch in branches(requests[0])]
    inputs: list[Tensor] = []
    calls: list[Call] = []

    def watch(_module: object, args: tuple[Any, ...]) -> None:
        latents, times, conditioning = args
        weakened = (conditioning.query_scale < 1).flatten().tolist()
        timestep = round(times.timesteps.item(), TIMESTEP_DECIMALS)
        if isinstance(requests[0].task, Edit):  # recorded are passes of both branches, of the source and of the target
            songs = [latents[len(latents) // 2 :], latents] if len(latents) == len(names) * len(requests) else [latents]
            calls.extend([timestep, "fwd", False] for _ in songs)
            inputs.append(songs[0].clone())
            return
        for item in range(0, len(latents), len(requests)):
            calls.append([timestep, names[item // len(requests)], weakened[item]])
        inputs.append(latents[: len(requests)].clone())

    conditioning = components.conditioner.conditioning(requests, branches(requests[0]))
    with components.transformer.register_forward_pre_hook(watch):
        sources = [source_latents(components.encoder, request) for request in requests]
        latents = denoise(components.transformer, conditioning, requests, sources=sources)
    return Denoised(latents, inputs, calls)


def _check_refusal(
    case: Case,
    recorded: dict[str, Any],
    theirs: dict[str, Tensor],
    requests: MakeRequests,
    components: Components,
    expected: str,
) -> Iterator[Check]:
    songs = requests()
    reason = crash_reason(songs[0])
    try:
        components.engine.render(songs, 44100)
    except ValueError as error:
        yield case.refusal(reason is not None and str(error) == reason, expected)
    else:
        yield case.refusal(False, expected)
    if isinstance(songs[0].task, Edit) and songs[0].task.edit_n_max < 1 and "final_latents" in theirs:
        tolerance = max(LATENTS, SENSITIVITY_FACTOR * _sensitivity(recorded))
        yield case.check("second phase", largest(_second_phase(components, songs), theirs["final_latents"]), tolerance)


def _second_phase(components: Components, requests: list[SongRequest]) -> Tensor:
    """Latents of pingpong's edits without the steps of their first phase, with the noise that the reference has then.

    It draws in the first phase too: noise for each mean, and each step's own, which it drops.
    """
    (request,) = requests
    task, source = request.task, source_latents(components.encoder, request)
    assert isinstance(task, Edit)
    assert source is not None
    generator = torch.Generator().manual_seed(task.retake_seed)

    def plain() -> Tensor:
        return torch.randn((1, *source.shape), generator=generator)

    def own() -> Tensor:
        return torch.empty((1, *source.shape), memory_format=torch.channels_last).normal_(generator=generator)

    def noise() -> Iterator[Tensor]:
        for _ in averaged_steps(request, task):
            for _ in range(task.edit_n_avg):
                plain()
            own()
        yield plain()
        while True:
            yield own()

    alone = [replace(request, task=replace(task, edit_n_min=task.edit_n_max))]
    conditioning = components.conditioner.conditioning(alone, branches(alone[0]))
    return edit_songs(components.transformer, conditioning, alone, source[None], noise())


def _check_singles(case: Case, requests: MakeRequests, components: Components, reason: str) -> Iterator[Check]:
    """Songs of a batch that the reference cannot render, each against its own single render."""
    songs = requests()
    together = denoise_and_watch(components, songs).latents
    alone = torch.cat([denoise_and_watch(components, [song]).latents for song in songs])
    yield case.check("own singles", largest(together, alone), SINGLES, reason)


def _check_song(
    case: Case,
    recorded: dict[str, Any],
    theirs: dict[str, Tensor],
    make_requests: MakeRequests,
    components: Components,
    singles: Difference | None,
) -> Iterator[Check]:
    """Compare with the recording or, where ``singles`` says why not, each song with its own single render."""
    requests = make_requests()
    if (seeds := seeds_of(recorded["params"])) is not None:
        yield case.check("seeds", count_different(seeds, recorded["actual_seeds"]))
    ours = denoise_and_watch(components, requests)
    yield case.check("calls", count_different(ours.calls, recorded["calls"]))
    yield case.check("latent shape", count_different(list(ours.latents.shape), recorded["latent_shape"]))
    yield from check_draws(case, requests, theirs)
    if "randn_0" in theirs and requests[0].task is None:
        yield case.check("noise", largest(ours.inputs[0], theirs["randn_0"]))
    sensitivity = SENSITIVITY_FACTOR * _sensitivity(recorded)
    if singles is not None:
        alone = torch.cat([denoise_and_watch(components, [request]).latents for request in requests])
        yield case.check("own singles", largest(ours.latents, alone), max(SINGLES, sensitivity), singles.reason)
    else:
        tolerance = max(LATENTS, sensitivity)
        if "cond_inputs" in theirs:
            kept = slice(1 if isinstance(requests[0].task, Edit) else None)
            yield case.check("cond_inputs", largest(torch.stack(ours.inputs[kept]), theirs["cond_inputs"]), tolerance)
        if "final_latents" in theirs:
            yield case.check("final_latents", largest(ours.latents, theirs["final_latents"]), tolerance)
    yield from _check_waveform(case, recorded, theirs, requests, components.engine, singles is not None)
    for name in sorted(name for name in theirs.keys() - COMPARED if not name.startswith("randn_")):
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
        together = 2 if isinstance(requests[0].task, Edit) and guided_steps(requests[0]) else 1
        expected = [recorded["n_model_calls"] * together] * len(songs)
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
