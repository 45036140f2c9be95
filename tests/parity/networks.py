"""Stages c and d: one call of the lyric encoder or the transformer, and guidance over consecutive calls."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acestep_batch.engine.v1.conditioning import ERG_TAU
from acestep_batch.engine.v1.guidance import apg, cfg, cfg_star, double_condition
from acestep_batch.engine.v1.loading import load_transformer
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel

from .checks import RELATIVE, Case, Check, relative
from .pack import read_cases, read_tensors, tensors_of


def transformer_stage(pack: Path) -> Iterator[Check]:
    """Texts and lyrics to the conditioning sequence, and single calls on recorded conditioning."""
    cases, tensors = read_cases(pack, "c_transformer"), read_tensors(pack, "c_transformer")
    if not cases:
        return
    transformer = load_transformer(pack / "checkpoint" / "ace_step_transformer", torch.float32, "cpu")
    for recorded in cases:
        case = Case("c", recorded["id"])
        theirs = tensors_of(tensors, recorded["id"])
        if recorded["kind"] == "encode":
            yield from case.guarded(partial(_check_encode, case, recorded, theirs, transformer))
        else:
            encoded = tensors_of(tensors, recorded["encoder"])
            yield from case.guarded(partial(_check_decode, case, recorded, theirs, encoded, transformer))


def _check_encode(
    case: Case, recorded: dict[str, Any], theirs: dict[str, Tensor], transformer: ACEStepTransformer2DModel
) -> Iterator[Check]:
    query_scale = ERG_TAU if recorded["erg_lyric"] else 1.0
    lyrics = transformer.encode_lyrics(theirs["lyric_ids"], theirs["lyric_mask"].bool(), query_scale)
    joined = transformer.join(theirs["speaker"], theirs["text_hidden"], lyrics)
    yield case.check("conditioning", relative(joined, theirs["out"]), RELATIVE)


def _check_decode(
    case: Case,
    recorded: dict[str, Any],
    theirs: dict[str, Tensor],
    encoded: dict[str, Tensor],
    transformer: ACEStepTransformer2DModel,
) -> Iterator[Check]:
    states, mask = encoded["out"], encoded["out_mask"].bool()
    query_scale = torch.full((len(states),), ERG_TAU if recorded["erg_diffusion"] else 1.0)
    conditioning = transformer.condition(states, None if mask.all() else mask, query_scale)
    times = transformer.embed_times(theirs["timestep"], theirs["x"].shape[-1])
    frames = theirs["attention_mask"].bool()
    velocity = transformer(theirs["x"], times, conditioning, None if frames.all() else frames)
    yield case.check("velocity", relative(velocity, theirs["out"]), RELATIVE)


def guidance_stage(pack: Path) -> Iterator[Check]:
    """Every kind of guidance on recorded branches; the momentum goes from step to step."""
    cases, tensors = read_cases(pack, "d_guidance"), read_tensors(pack, "d_guidance")
    for name in dict.fromkeys(case["case"] for case in cases):
        steps = [case for case in cases if case["case"] == name]
        case = Case("d", name)
        if all("step" in step for step in steps):
            yield from case.guarded(partial(_check_steps, name, steps, tensors))
        else:
            yield from case.guarded(partial(_check_degenerate, case, steps[0], tensors_of(tensors, name)))


def _check_steps(name: str, steps: list[dict[str, Any]], tensors: dict[str, Tensor]) -> Iterator[Check]:
    momentum: Tensor | float = 0.0
    for step in sorted(steps, key=lambda step: step["step"]):
        case = Case("d", f"{name}.s{step['step']}")
        theirs = tensors_of(tensors, case.name)
        cond, text_only, uncond = theirs["cond"], theirs["text_only"], theirs["uncond"]
        scale = step["guidance_scale"]
        projected, momentum = apg(cond, uncond, scale, momentum)
        ours = {
            "apg": projected,
            "momentum": momentum,
            "apg_nomomentum": apg(cond, uncond, scale, 0.0)[0],
            "cfg": cfg(cond, uncond, scale),
            "cfg_star": cfg_star(cond, uncond, scale, step["cfg_star_i"]),
            "double": double_condition(
                cond, text_only, uncond, step["guidance_scale_text"], step["guidance_scale_lyric"]
            ),
        }
        for kind, velocity in ours.items():
            yield case.check(kind, relative(velocity, theirs[kind]), RELATIVE)


def _check_degenerate(case: Case, recorded: dict[str, Any], theirs: dict[str, Tensor]) -> Iterator[Check]:
    """Equal branches for ``apg``, a zero unconditional branch, late in the song, for ``cfg_star``."""
    cond, scale, late_call = theirs["cond"], recorded["guidance_scale"], 5
    yield case.check("apg", relative(apg(cond, cond, scale, 0.0)[0], theirs["apg"]), RELATIVE)
    without = cfg_star(cond, torch.zeros_like(cond), scale, late_call)
    yield case.check("cfg_star", relative(without, theirs["cfg_star"]), RELATIVE)
