"""Stage 2: batches follow from seed and step, training goes on where it was, and learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from acestep_batch.engine.v1.vocoder import VocoderConfig
from training.clips import read_clips
from training.codec import load_codec
from training.progress import load
from training.vocoder import batch_of, loss_of, magnitudes_of, samples_of, train

pytestmark = pytest.mark.slow


def test_a_batch_follows_from_seed_and_step(dataset: Path, checkpoints: Path) -> None:
    clips, (codec, _) = read_clips(dataset), load_codec(checkpoints)
    mel, magnitudes = batch_of(clips, codec, 0, 3)
    assert mel.shape == (16, 128, 64)
    assert magnitudes.shape == (16, 64, 1025)
    assert torch.equal(batch_of(clips, codec, 0, 3)[0], mel)
    assert not torch.equal(batch_of(clips, codec, 0, 4)[0], mel)


def test_magnitudes_lie_where_the_log_mel_frames_lie(dataset: Path) -> None:
    clips = read_clips(dataset)
    magnitudes = magnitudes_of(samples_of(clips.audio(0)[0, 0], 16, 64)[None])[0]
    filters = VocoderConfig().mel_transform().mel_scale.fb
    mel = (magnitudes @ filters).clamp(min=1e-5).log().T
    kept = clips.mel(0)[0, 0, :, 16:80].astype(np.float32)
    loud = kept > -5.0  # 16 bits of sample and of log-mel say little of the rest
    np.testing.assert_allclose(mel.numpy()[loud], kept[loud], atol=0.05)


def test_training_that_was_stopped_goes_on_where_it_was_and_learns(
    dataset: Path, checkpoints: Path, tmp_path: Path
) -> None:
    clips, (codec, _) = read_clips(dataset), load_codec(checkpoints)
    whole = train(clips, codec, tmp_path / "whole.pt", 0, 3, 1.0, "cpu")
    for step in (1, 2, 3):
        parts = train(clips, codec, tmp_path / "parts.pt", 0, 3, 1e-9, "cpu")  # time for one step
        assert load(tmp_path / "parts.pt")["step"] == step
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    mel, magnitudes = batch_of(clips, codec, 0, 9)
    losses = [
        loss_of(each, mel, magnitudes).item()
        for each in (train(clips, codec, tmp_path / "new.pt", 0, 1, 1, "cpu"), whole)
    ]
    assert losses[1] < losses[0]
