"""What cannot be rendered is an error, what the checkpoint leaves out is a note; nothing is corrected in silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diffusion_support import song, tone
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.engine.v15.constants import task_instruction
from acestep_batch.engine.v15.dtypes import DTYPES, dtype_name
from acestep_batch.engine.v15.limits import errors, notes
from acestep_batch.engine.v15.request import Waveform, latent_frames
from acestep_batch.engine.v15.tasks import TASKS, tasks_of
from acestep_batch.engine.v15.variant import Variant

SOURCE = tone(2.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "retake"}, "task 'retake' is not one of text2music, cover"),
        ({"task": "lego", "src_audio": SOURCE}, "task lego needs a base checkpoint"),
        ({"task": "repaint"}, "task repaint needs src_audio"),
        ({"task": "cover"}, "task cover needs src_audio, reference_audio or audio_codes"),
        ({"src_audio": SOURCE}, "task text2music takes no src_audio"),
        ({"task": "cover", "src_audio": SOURCE, "audio_codes": (1,)}, "exclude each other"),
        ({"audio_codes": ()}, "audio_codes is empty"),
        ({"audio_codes": (0, 64_000)}, "64000 is not in 0 to 63999"),
        ({"audio_codes": (-1,)}, "-1 is not in 0 to 63999"),
        ({"task": "cover", "src_audio": tone(0.01)}, "src_audio is shorter than one latent frame"),
        ({"reference_audio": Waveform(np.zeros((2, 0), np.float32))}, "reference_audio is shorter"),
        ({"duration_s": 0.0}, "duration 0.0 s is shorter"),
        ({"task": "repaint", "src_audio": SOURCE, "repainting_start": 2.0}, "outside the source of 2 s"),
        ({"task": "repaint", "src_audio": SOURCE, "repainting_start": -1.0}, "outside the source"),
        ({"task": "repaint", "src_audio": SOURCE, "repainting_end": 2.5}, "beyond the source"),
        ({"task": "repaint", "src_audio": SOURCE, "repainting_start": 1.0, "repainting_end": 1.01}, "no latent frame"),
        ({"task": "repaint", "src_audio": SOURCE, "repainting_start": 1.0, "repainting_end": 0.5}, "no latent frame"),
        ({"track_name": "theremin"}, "track 'theremin' is not one of woodwinds"),
        ({"infer_method": "heun"}, "infer_method 'heun' is not one of ode, sde"),
        ({"infer_step": 0}, "infer_step 0 is below 1"),
        ({"shift": 0.0}, "shift 0.0 is not above 0"),
        ({"shift": float("nan")}, "shift nan is not above 0"),
        ({"cfg_interval_start": 0.8, "cfg_interval_end": 0.3}, "cfg_interval 0.8 to 0.3"),
        ({"audio_cover_strength": 1.5}, "audio_cover_strength 1.5 is not in 0 to 1"),
        ({"timesteps": (0.0,)}, "timesteps has no value above 0"),
        ({"timesteps": (1.0, 0.0, 0.5)}, "outside 0 to 1, or a 0 before its end"),
        ({"timesteps": (1.2, 0.5)}, "outside 0 to 1"),
        ({"timesteps": (0.5, 0.9)}, "does not fall"),
        ({"timesteps": tuple(1 - i / 25 for i in range(25))}, "has 25 values; a turbo checkpoint knows 20"),
    ],
    ids=str,
)
def test_what_cannot_be_rendered_is_an_error(changes: dict[str, Any], message: str) -> None:
    found = errors(song(**changes), Variant.TURBO)
    assert any(message in each for each in found), found


def test_all_errors_are_told_at_once() -> None:
    assert len(errors(song(task="repaint", shift=-1.0, infer_step=0), Variant.TURBO)) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guidance_scale": 7.0}, "guidance_scale 7.0 is ignored"),
        ({"use_adg": True}, "use_adg is ignored"),
        ({"infer_step": 20}, "infer_step 20 is ignored: a turbo checkpoint always takes 8 steps"),
        ({"shift": 1.4}, "shift 1.4 is rendered as 1.0"),
        ({"timesteps": (0.97, 0.5), "infer_step": 2}, "timesteps are rendered as 0.954545, 0.5"),
        ({"timesteps": (0.9, 0.5)}, "infer_step 8 is ignored: timesteps are given, and are 2 steps"),
        ({"audio_codes": (1, 2)}, "the song lasts 0.4 s, as long as its 2 codes"),
        ({"audio_cover_strength": 0.4}, "audio_cover_strength 0.4 is ignored"),
        ({"repainting_end": 1.0}, "repainting_start and repainting_end are ignored"),
        ({"track_name": "bass"}, "track_name bass is ignored by task text2music"),
        ({"complete_track_classes": ("bass",)}, "complete_track_classes are ignored"),
    ],
    ids=str,
)
def test_what_the_checkpoint_leaves_out_is_a_note(changes: dict[str, Any], message: str) -> None:
    request = song(**changes)
    assert errors(request, Variant.TURBO) == []
    (found,) = notes(request, Variant.TURBO)
    assert message in found


@pytest.mark.parametrize("variant", [Variant.BASE, Variant.SFT])
def test_base_and_sft_take_steps_shift_and_guidance_as_they_are(variant: Variant) -> None:
    request = song(infer_step=50, shift=1.4, guidance_scale=7.0, use_adg=True)
    assert errors(request, variant) == notes(request, variant) == []


def test_a_song_without_fault_has_neither_errors_nor_notes() -> None:
    assert errors(song(), Variant.TURBO) == notes(song(), Variant.TURBO) == []
    covered = song(task="cover", audio_codes=(1, 2, 3, 4, 5), audio_cover_strength=0.5)
    assert errors(covered, Variant.TURBO) == notes(covered, Variant.TURBO) == []


def test_extract_lego_and_complete_need_a_base_checkpoint() -> None:
    assert tasks_of(Variant.BASE) == tuple(TASKS)
    assert tasks_of(Variant.TURBO) == tasks_of(Variant.SFT) == ("text2music", "cover", "repaint")


def test_tracks_stand_in_capitals() -> None:
    assert task_instruction("complete", ("drums", "bass")) == "Complete the input track with DRUMS | BASS:"
    assert task_instruction("lego") == "Generate the track based on the audio context:"


@given(frames=st.integers(1, 15_000))
def test_whole_frames_are_neither_more_nor_less(frames: int) -> None:
    assert latent_frames(frames / 25) == frames
    assert latent_frames(frames / 25 + 0.001) == frames + 1


def test_types_follow_the_device() -> None:
    parts = ("diffusion", "text encoder", "vae", "planner")
    assert [dtype_name("auto", "mps", part) for part in parts] == ["float16", "float16", "float16", "float32"]
    assert {dtype_name("auto", "cuda:1", part) for part in parts} == {"bfloat16"}
    assert {dtype_name("auto", "cpu", part) for part in parts} == {"float32"}
    assert [dtype_name(each, "mps", "planner") for each in DTYPES[1:]] == list(DTYPES[1:])
    with pytest.raises(ValueError, match="'fp8' is not one of auto, float32"):
        dtype_name("fp8", "cuda", "vae")
