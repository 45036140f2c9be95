"""Stages of the diffusion half: timesteps, trajectories, guidance, quantizer, hints, one model call, noise."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from acestep_batch.engine.v15.codes import codes_of_latents, hints_of_codes
from acestep_batch.engine.v15.guidance import adg, apg
from acestep_batch.engine.v15.limits import guided_calls
from acestep_batch.engine.v15.loading import build, finish
from acestep_batch.engine.v15.noise import batch_noise
from acestep_batch.engine.v15.request import V15Request
from acestep_batch.engine.v15.solvers import SOLVERS
from acestep_batch.engine.v15.timesteps import (
    TURBO_TIMESTEPS,
    listed_timesteps,
    schedule,
    turbo_timesteps,
    uniform_timesteps,
)
from acestep_batch.engine.v15.variant import Variant

from ..parity.checks import RELATIVE, Case, Check, count_different, largest, relative
from .pack import Pack

CPU = torch.device("cpu")
DEFAULT_SHIFT = 3.0
SILENCE = "silence_latent"


def timestep_stage(pack: Path) -> Iterator[Check]:
    """Every table and every list, value by value."""
    recorded = _json(pack, "timestep_tables")
    known = Case("steps", "turbo values")
    yield known.check("timesteps", count_different(list(TURBO_TIMESTEPS), recorded["turbo_valid_timesteps"]))
    for name, theirs in recorded["turbo"].items():
        kind, _, value = name.partition("=")
        ours = turbo_timesteps(DEFAULT_SHIFT, ast.literal_eval(value)) if kind == "timesteps" else None
        ours = turbo_timesteps(float(value)) if ours is None else ours
        yield Case("steps", f"turbo {name}"[:23]).check("timesteps", count_different(list(ours), theirs))
    for name, theirs in recorded["base"].items():
        ours = _base_timesteps(name)
        yield Case("steps", f"base {name}"[:23]).check("timesteps", count_different(list(ours), theirs))


def _base_timesteps(name: str) -> tuple[float, ...]:
    if "timesteps=" in name:
        return listed_timesteps(ast.literal_eval(name.partition("=")[2]))
    settings = dict(part.split("=") for part in name.split(","))
    return uniform_timesteps(int(settings["steps"]), float(settings["shift"]))


def trajectory_stage(pack: Path) -> Iterator[Check]:
    """Every run: its timesteps, levels and noise, and the latents after each call on recorded velocities."""
    for name, recorded in _json(pack, "trajectories")["runs"].items():
        case = Case("traj", name.removeprefix("traj_"))
        yield from case.guarded(partial(_check_run, case, recorded, load_file(pack / f"{name}.safetensors")))


def _check_run(case: Case, recorded: dict[str, Any], theirs: dict[str, Tensor]) -> Iterator[Check]:
    arguments, calls = recorded["args"], recorded["steps"]
    variant = Variant.BASE if "infer_steps" in arguments else Variant.TURBO
    request = request_of(arguments)
    steps = schedule(request, variant)
    guided = guided_calls(request, variant, steps.times)
    yield case.check("timesteps", count_different(list(steps.times), [call["t"] for call in calls]))
    if request.infer_method == "sde":
        levels = [call.get("renoise_t", 0.0) for call in calls]
        yield case.check("levels", max(abs(a - b) for a, b in zip(steps.targets, levels, strict=True)), 1e-7)
    x = theirs["step00.x"]
    noise = next(batch_noise(recorded["seeds"], x.shape[1], x.shape[2], CPU))
    yield case.check("noise", largest(noise, x))
    seen: list[Tensor] = []
    momentum: Tensor | float = 0.0

    def velocity(latents: Tensor, call: int) -> Tensor:
        nonlocal momentum
        seen.append(latents)
        combined = theirs[f"step{call:02d}.v_cond"]
        if guided[call]:
            uncond = theirs[f"step{call:02d}.v_uncond"]
            combined, momentum = apg(combined, uncond, request.guidance_scale, momentum)
        return combined

    drawn = (theirs[name] for name in sorted(theirs) if name.endswith(".noise"))
    seen.append(SOLVERS[request.infer_method](velocity, noise, steps, drawn))
    expected = [*(theirs[f"step{call:02d}.x"] for call in range(len(calls))), theirs["final"]]
    yield case.check("latents", max(map(relative, seen, expected)), RELATIVE)


def request_of(arguments: Mapping[str, Any]) -> V15Request:
    """The song of a recorded call; only what decides its steps and its guidance matters."""
    return V15Request(
        caption="",
        lyrics="",
        instrumental=False,
        vocal_language="unknown",
        bpm=None,
        keyscale="",
        timesignature="",
        duration_s=10.0,
        seed=0,
        infer_step=arguments.get("infer_steps", 8),
        guidance_scale=arguments.get("diffusion_guidance_sale", 1.0),
        use_adg=arguments.get("use_adg", False),
        cfg_interval_start=arguments.get("cfg_interval_start", 0.0),
        cfg_interval_end=arguments.get("cfg_interval_end", 1.0),
        shift=arguments.get("shift", 1.0),
        infer_method=arguments.get("infer_method", "ode"),
        timesteps=tuple(arguments.get("timesteps") or ()),
        task="text2music",
        track_name="",
        complete_track_classes=(),
        src_audio=None,
        reference_audio=None,
        repainting_start=0.0,
        repainting_end=-1.0,
        audio_cover_strength=1.0,
        audio_codes=None,
    )


def guidance_stage(pack: Path) -> Iterator[Check]:
    """Sequences of APG, whose momentum goes from call to call, and single calls of ADG."""
    tensors = load_file(pack / "guidance.safetensors")
    for recorded in _json(pack, "guidance"):
        name, scale = recorded["case"], recorded["guidance_scale"]
        case = Case("guide", name)
        if "sigma" in recorded:
            x, cond, uncond = (tensors[f"{name}.{each}"] for each in ("x", "cond", "uncond"))
            ours = adg(x, cond, uncond, recorded["sigma"], scale)
            yield case.check("adg", relative(ours, tensors[f"{name}.guided"]), RELATIVE)
            continue
        momentum: Tensor | float = 0.0
        for step in range(recorded["steps"]):
            cond, uncond = (tensors[f"{name}.{step}.{each}"] for each in ("cond", "uncond"))
            ours, momentum = apg(cond, uncond, scale, momentum)
            yield case.check(f"apg {step}", relative(ours, tensors[f"{name}.{step}.guided"]), RELATIVE)


def quantizer_stage(pack: Path) -> Iterator[Check]:
    """Indices to values and back, and both projections."""
    theirs = load_file(pack / "fsq.safetensors")
    quantizer = tiny_component(pack, "audio_tokenizer").quantizer
    case = Case("fsq", "quantizer")
    indices = theirs["indices"][:, None]
    yield case.check("values", relative(quantizer.get_codes_from_indices(indices)[0, :, 0], theirs["codes"]), RELATIVE)
    projected = quantizer.get_output_from_indices(indices)[:, 0]
    yield case.check("projected", relative(projected, theirs["project_out"]), RELATIVE)
    quantized, found = quantizer(theirs["z_in"])
    yield case.check("quantized", relative(quantized, theirs["z_quantized"]), RELATIVE)
    yield case.check("indices", count_different(found.flatten().tolist(), theirs["z_indices"].flatten().tolist()))


def hints_stage(pack: Path) -> Iterator[Check]:
    """Codes to hints, and latents to codes, song by song."""
    theirs = load_file(pack / "codes_hints.safetensors")
    tokenizer, detokenizer = (tiny_component(pack, name) for name in ("audio_tokenizer", "audio_token_detokenizer"))
    case = Case("hints", "codes")
    hints = [hints_of_codes(codes.tolist(), tokenizer, detokenizer) for codes in theirs["code_ids"]]
    yield case.check("hints", relative(torch.cat(hints), theirs["hints_25hz"]), RELATIVE)
    for song, latents in enumerate(theirs["latents_in"].split(1)):
        quantized, codes = codes_of_latents(latents, theirs[SILENCE], tokenizer)
        expected = theirs["tokenized_indices"][song].flatten().tolist()
        yield case.check(f"codes {song}", count_different(codes, expected))
        yield case.check(f"quantized {song}", relative(quantized[0], theirs["tokenized_quantized"][song]), RELATIVE)


def transformer_stage(pack: Path) -> Iterator[Check]:
    """One call of the condition encoder, and one of the transformer on the recorded conditions."""
    theirs = load_file(pack / "dit_forward.safetensors")
    case = Case("dit", "forward")
    states, mask = tiny_component(pack, "condition_encoder")(
        text_hidden_states=theirs["text"],
        text_attention_mask=theirs["text_mask"],
        lyric_hidden_states=theirs["lyric"],
        lyric_attention_mask=theirs["lyric_mask"],
        refer_audio_acoustic_hidden_states_packed=theirs["refer"],
        refer_audio_order_mask=theirs["refer_order"],
    )
    yield case.check("states", relative(states, theirs["encoder_hidden_states"]), RELATIVE)
    yield case.check("mask", count_different(mask.long().tolist(), theirs["encoder_mask"].tolist()))
    velocity = tiny_component(pack, "transformer")(
        hidden_states=theirs["x_t"],
        timestep=theirs["t"],
        timestep_r=theirs["t"],
        encoder_hidden_states=theirs["encoder_hidden_states"],
        context_latents=theirs["context_latents"],
        return_dict=False,
    )[0]
    yield case.check("velocity", relative(velocity, theirs["velocity"]), RELATIVE)


def noise_stage(pack: Path) -> Iterator[Check]:
    """The initial noise of the trajectories' seeds, bit by bit."""
    theirs = load_file(pack / "noise.safetensors")
    case = Case("noise", "seeds")
    if not (pack / "trajectories.json").is_file():
        yield case.not_checked("noise", "the seeds stand in trajectories.json, which is not there")
        return
    seeds = next(iter(_json(pack, "trajectories")["runs"].values()))["seeds"]
    for seed, (name, recorded) in zip(seeds, sorted(theirs.items()), strict=False):
        ours = next(batch_noise([seed], recorded.shape[1], recorded.shape[2], CPU))
        yield case.check(name, 0.0 if torch.equal(ours, recorded) else math.inf)


def tiny_component(pack: Path, name: str) -> Any:
    """A component of the pack's model; silence, where the pack has none, is zeros."""
    model = build(name, _json(pack, "tiny_configs")["configs"][name])
    finish(model, tiny_weights(pack, name, model), "cpu")
    return model


def tiny_weights(pack: Path, name: str, model: nn.Module) -> dict[str, Tensor]:
    """The recorded weights of a component, by diffusers' names."""
    prefix = f"{name}."
    weights = load_file(pack / "tiny_weights.safetensors")
    own = {each.removeprefix(prefix): value for each, value in weights.items() if each.startswith(prefix)}
    expected = model.state_dict()
    if SILENCE in expected:
        own.setdefault(SILENCE, torch.zeros(expected[SILENCE].shape))
    return own


def _json(pack: Path, name: str) -> Any:
    return json.loads((pack / f"{name}.json").read_text(encoding="utf-8"))


def _reading(file: str, checks: Callable[[Path], Iterator[Check]]) -> Callable[[Pack], Iterator[Check]]:
    """A stage that a pack without its file has no checks of."""

    def stage(pack: Pack) -> Iterator[Check]:
        if (pack.folder / file).is_file():
            yield from checks(pack.folder)

    return stage


DIFFUSION: Mapping[str, Callable[[Pack], Iterator[Check]]] = {
    "steps": _reading("timestep_tables.json", timestep_stage),
    "traj": _reading("trajectories.json", trajectory_stage),
    "guide": _reading("guidance.json", guidance_stage),
    "fsq": _reading("fsq.safetensors", quantizer_stage),
    "hints": _reading("codes_hints.safetensors", hints_stage),
    "dit": _reading("dit_forward.safetensors", transformer_stage),
    "noise": _reading("noise.safetensors", noise_stage),
}
"""The stages of this file, by name."""
