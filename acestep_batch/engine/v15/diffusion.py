"""The denoising loop of 1.5: noise to latents for a batch of songs; no text, no audio.

Latents, guidance and solver stay in float32 whatever the transformer's type, so that rounding does not add up over the
steps; only what the transformer reads is cast.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
from torch import Tensor

from acestep_batch.engine.base import StepCallback
from acestep_batch.engine.v15.conditioning import Condition
from acestep_batch.engine.v15.guidance import adg, apg
from acestep_batch.engine.v15.limits import cover_calls, guided_calls
from acestep_batch.engine.v15.noise import batch_noise
from acestep_batch.engine.v15.request import V15Request
from acestep_batch.engine.v15.solvers import SOLVERS
from acestep_batch.engine.v15.timesteps import schedule
from acestep_batch.engine.v15.variant import Variant


def denoise(
    transformer: AceStepTransformer1DModel,
    variant: Variant,
    conditions: Sequence[tuple[Condition, Condition]],
    null_state: Tensor,
    requests: Sequence[V15Request],
    on_step: StepCallback | None = None,
) -> Tensor:
    """Latents [B, F, C], float32, of B songs that share a ``sampling_key`` and the length of their states.

    ``conditions`` are each song's own and its plain one; ``null_state`` [1, 1, D] is what the unconditional branch
    attends to in place of every state.
    """
    shared = requests[0]
    steps = schedule(shared, variant)
    guided = guided_calls(shared, variant, steps.times)
    covered = cover_calls(shared, len(steps.times))
    own, plain = (_together(views) for views in zip(*conditions, strict=True))
    scale = torch.tensor([request.guidance_scale for request in requests], device=transformer.device)[:, None, None]
    momentum: Tensor | float = 0.0

    def velocity(x: Tensor, call: int) -> Tensor:
        nonlocal momentum
        seen, t = own if call < covered else plain, steps.times[call]
        cond, uncond = _evaluate(transformer, x, t, seen, null_state if guided[call] else None)
        combined = cond
        if uncond is not None:
            if shared.use_adg:
                combined = adg(x, cond, uncond, t, scale)
            else:
                combined, momentum = apg(cond, uncond, scale, momentum)
        if on_step is not None:
            on_step(call + 1, len(steps.times))
        return combined

    channels = transformer.config["audio_acoustic_hidden_dim"]
    noise = batch_noise([request.seed for request in requests], shared.frames, channels, transformer.device)
    return SOLVERS[shared.infer_method](velocity, next(noise), steps, noise)


def _together(conditions: Sequence[Condition]) -> Condition:
    return Condition(torch.cat([each.states for each in conditions]), torch.cat([each.context for each in conditions]))


def _evaluate(
    transformer: AceStepTransformer1DModel, x: Tensor, t: float, seen: Condition, null_state: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Velocities [B, F, C] float32: the conditional and, with ``null_state``, the unconditional one.

    Both branches of all songs go through one forward pass. On a CPU each goes alone: one song keeps all cores busy, and
    convolutions there round differently in company.
    """
    x, states, context = x.to(transformer.dtype), seen.states, seen.context.to(transformer.dtype)
    if null_state is not None:
        states = torch.cat((states, null_state.to(states).expand_as(states)))
        x, context = x.repeat(2, 1, 1), context.repeat(2, 1, 1)
    at_once = 1 if transformer.device.type == "cpu" else len(x)
    times = torch.full((len(x),), t, device=x.device, dtype=x.dtype)
    pieces = zip(*(each.split(at_once) for each in (x, times, states, context)), strict=True)
    velocities = [
        transformer(
            hidden_states=latents,
            timestep=level,
            timestep_r=level,
            encoder_hidden_states=attended,
            context_latents=known,
            return_dict=False,
        )[0]
        for latents, level, attended, known in pieces
    ]
    velocity = torch.cat(velocities).float()
    if null_state is None:
        return velocity, None
    cond, uncond = velocity.chunk(2)
    return cond, uncond
