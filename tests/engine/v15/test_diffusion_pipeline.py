"""The same latents as diffusers' own pipeline for the same song, task by task, where both mean the same."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AceStepPipeline, FlowMatchEulerDiscreteScheduler
from diffusers.models.autoencoders.autoencoder_oobleck import OobleckDiagonalGaussianDistribution
from diffusion_support import SONG, engine, latents, song, tone
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from acestep_batch.engine.embedded_text import text_tokenizer_path
from acestep_batch.engine.v15.prompts import lyric_text, prompt_text, task_of_prompt
from acestep_batch.engine.v15.variant import Variant

SOURCE, REFERENCE = tone(1.2), tone(2.5, 500.0)
CODES = (7, 63_999, 12_345, 0, 500)


@cache
def pipeline(variant: Variant) -> AceStepPipeline:
    """diffusers' pipeline over the embedded components."""
    parts = engine(variant)._parts
    tokenizer = Tokenizer.from_file(str(text_tokenizer_path()))
    made = AceStepPipeline(
        vae=parts.vae,
        text_encoder=parts.text_encoder.model,
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>"),
        transformer=parts.transformer,
        condition_encoder=parts.condition_encoder,
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
        audio_tokenizer=parts.audio_tokenizer,
        audio_token_detokenizer=parts.detokenizer,
    )
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize(
    ("variant", "ours", "theirs"),
    [
        (Variant.TURBO, {}, {}),
        (Variant.TURBO, {"shift": 1.0, "bpm": None, "keyscale": "", "timesignature": ""}, {}),
        (Variant.TURBO, {"timesteps": (1.0, 0.75, 0.3)}, {"timesteps": [1.0, 0.75, 0.3]}),
        (Variant.BASE, {"guidance_scale": 7.0, "infer_step": 5}, {}),
        # diffusers counts the interval from the noise, the original and this engine by the timestep itself
        (
            Variant.BASE,
            {"guidance_scale": 7.0, "infer_step": 5, "shift": 1.0, "cfg_interval_start": 0.1, "cfg_interval_end": 0.7},
            {"cfg_interval_start": 0.3, "cfg_interval_end": 0.9},
        ),
        (Variant.TURBO, {"audio_codes": CODES}, {"audio_codes": "".join(f"<|audio_code_{code}|>" for code in CODES)}),
        (Variant.TURBO, {"task": "cover", "src_audio": SOURCE}, {}),
        (Variant.TURBO, {"task": "cover", "reference_audio": REFERENCE}, {}),
        (Variant.TURBO, {"task": "repaint", "src_audio": SOURCE, "repainting_start": 0.4, "repainting_end": 0.8}, {}),
        (Variant.TURBO, {"task": "repaint", "src_audio": SOURCE}, {}),
        (Variant.BASE, {"task": "extract", "src_audio": SOURCE, "track_name": "vocals"}, {}),
        (Variant.BASE, {"task": "lego", "src_audio": SOURCE, "track_name": "bass", "repainting_end": 0.8}, {}),
        (Variant.BASE, {"task": "complete", "src_audio": SOURCE, "complete_track_classes": ("drums", "bass")}, {}),
    ],
    ids=str,
)
def test_latents_are_those_of_diffusers(
    variant: Variant, ours: dict[str, Any], theirs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(  # the pipeline draws from a global random state; the engine takes the mean
        OobleckDiagonalGaussianDistribution, "sample", OobleckDiagonalGaussianDistribution.mode
    )
    request = song(**ours)
    names = {"caption": "prompt", "infer_step": "num_inference_steps", "task": "task_type"}
    same = {names.get(name, name): value for name, value in (SONG | ours).items()}
    for name in ("instrumental", "duration_s", "seed", "use_adg", "infer_method", "timesteps", "audio_codes"):
        del same[name]
    for name in ("src_audio", "reference_audio"):
        same[name] = None if same[name] is None else torch.from_numpy(same[name].samples)
    noise = torch.randn(request.frames, 4, generator=torch.Generator().manual_seed(request.seed))
    found = pipeline(variant)(
        **{**same, "complete_track_classes": list(same["complete_track_classes"]), **theirs},
        audio_duration=request.prompt_duration_s,
        latents=noise[None],
        output_type="latent",
    ).audios
    expected = found[0].T.numpy()
    np.testing.assert_allclose(latents(request, variant), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"bpm": 120, "keyscale": "C major", "timesignature": "3", "duration_s": 61.9},
        {"bpm": None, "keyscale": " ", "timesignature": "", "lyrics": "", "caption": ""},
        {"task": "extract", "track_name": "backing_vocals", "src_audio": SOURCE},
        {"task": "lego", "src_audio": SOURCE},
        {"task": "complete", "complete_track_classes": ("drums", "bass"), "src_audio": SOURCE},
        {"audio_codes": (1, 2)},
    ],
    ids=str,
)
def test_texts_are_those_of_diffusers(changes: dict[str, Any]) -> None:
    request = song(**changes)
    task = task_of_prompt(request)
    made = pipeline(Variant.BASE)
    instruction = made._get_task_instruction(task, request.track_name, list(request.complete_track_classes))
    theirs = made._format_prompt(
        prompt=request.caption,
        lyrics=request.lyrics,
        vocal_language=request.vocal_language,
        audio_duration=request.prompt_duration_s,
        instruction=instruction,
        bpm=request.bpm,
        keyscale=request.keyscale,
        timesignature=request.timesignature,
    )
    assert (prompt_text(request, task), lyric_text(request)) == theirs
