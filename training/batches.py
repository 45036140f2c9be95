"""What a step of stage 4 sees, a function of data, recipe and step: songs, noise, levels, and what is hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.flow import noise_levels
from training.latents import TrainingSet
from training.schedule import Recipe
from training.tokens import FIRST_WORD_ID, UNKNOWN_ID

MOST_LYRIC_TOKENS = 200
WITHOUT_TEXT, WITHOUT_LYRICS, WITHOUT_WORD = 0.1, 0.15, 0.03
"""Shares of songs without text, of songs whose lyrics are hidden, and of words that become the unknown one."""
LONGEST_LOOP = 323 / 128
"""Times a clip: 30 s of its 11.9 s."""
HELD_OUT_CLIPS = 32


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees."""

    data: Tensor
    noise: Tensor
    sigmas: Tensor
    text_ids: list[list[int]]
    lyric_ids: list[list[int]]
    without_text: list[bool]


def draw_batch(training_set: TrainingSet, recipe: Recipe, step: int) -> Batch:
    """Songs, noise, levels, and what is hidden from the model. Every epoch sees each clip once, or not at all where
    looped songs, fewer in a batch, take the room.

    Hidden lyrics are ids of 0 half of the time and absent in the other half: guidance uses the one, and a request
    without lyrics the other.
    """
    draw = np.random.default_rng([recipe.seed, 1, step])
    generator = torch.Generator().manual_seed(int(draw.integers(2**62)))
    clips, frames = _clips_of(training_set.trained, recipe, step), training_set.latents.shape[-1]
    if draw.random() < recipe.looped:
        frames = int(draw.integers(frames + 1, int(frames * LONGEST_LOOP) + 1))
        clips = clips[: max(recipe.batch * training_set.latents.shape[-1] // frames, 1)]
    text_ids, lyric_ids = [], []
    for clip in clips:
        prompts = training_set.text_ids[clip]
        ids = prompts[int(draw.integers(len(prompts)))]
        unread = draw.random(len(ids)) < WITHOUT_WORD
        read = zip(ids, unread, strict=True)
        text_ids.append([UNKNOWN_ID if hidden and each >= FIRST_WORD_ID else each for each, hidden in read])
        lyrics = training_set.lyric_ids[clip][:MOST_LYRIC_TOKENS]
        if draw.random() < WITHOUT_LYRICS:
            lyrics = [0] * len(lyrics) if draw.random() < 0.5 else []
        lyric_ids.append(lyrics)
    data = torch.stack([_looped(training_set, clip, frames) for clip in clips]).float()
    return Batch(
        data=data,
        noise=torch.randn(data.shape, generator=generator),
        sigmas=noise_levels(len(clips), generator, recipe.noise_mean),
        text_ids=text_ids,
        lyric_ids=lyric_ids,
        without_text=(draw.random(len(clips)) < WITHOUT_TEXT).tolist(),
    )


def _looped(training_set: TrainingSet, clip: int, frames: int) -> Tensor:
    latents = training_set.latents[clip]
    if frames == latents.shape[-1]:
        return latents
    return latents[..., torch.arange(frames) % training_set.loop_frames[clip]]


def _clips_of(trained: list[int], recipe: Recipe, step: int) -> list[int]:
    clips = []
    for number in range(step * recipe.batch, (step + 1) * recipe.batch):
        epoch, place = divmod(number, len(trained))
        clips.append(trained[np.random.default_rng([recipe.seed, 2, epoch]).permutation(len(trained))[place]])
    return clips


def held_out_batch(training_set: TrainingSet) -> Batch:
    """The same held-out songs at the same levels every time, nothing hidden."""
    generator = torch.Generator().manual_seed(0)
    clips = training_set.held_out[:HELD_OUT_CLIPS]
    data = training_set.latents[clips].float()
    return Batch(
        data=data,
        noise=torch.randn(data.shape, generator=generator),
        sigmas=(torch.arange(len(clips)) + 0.5) / len(clips),
        text_ids=[training_set.text_ids[clip][0] for clip in clips],
        lyric_ids=[training_set.lyric_ids[clip][:MOST_LYRIC_TOKENS] for clip in clips],
        without_text=[False] * len(clips),
    )
