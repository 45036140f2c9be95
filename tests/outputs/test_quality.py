"""Empty, silent and broken audio is told from a song."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from acestep_batch.outputs.quality import silent_or_broken

Song = Callable[..., NDArray[np.float32]]


def test_a_song_passes_however_loud_or_quiet(song: Song) -> None:
    for gain in (0.01, 1, 100):
        assert silent_or_broken(song() * np.float32(gain)) is None


def test_one_channel_is_enough(song: Song) -> None:
    audio = song()
    audio[0] = 0
    assert silent_or_broken(audio) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_broken_samples_are_counted(song: Song, bad: float) -> None:
    audio = song(1)
    audio[:, 10:13] = bad
    assert silent_or_broken(audio) == "6 of 96000 samples are not finite (NaN or infinite)"


def test_silence_is_named_with_its_level(song: Song) -> None:
    assert silent_or_broken(np.zeros((2, 10), np.float32)) == (
        "the audio is silent: its peak is digital silence, below -60 dBFS"
    )
    quiet = np.array([[0.00099, -0.00099], [0, 0]], np.float32)
    assert silent_or_broken(quiet) == "the audio is silent: its peak is -60 dBFS, below -60 dBFS"
    assert silent_or_broken(quiet * np.float32(1.02)) is None
    assert silent_or_broken(np.full((2, 10), 0.5, np.float32)) is not None
    assert silent_or_broken(np.zeros((2, 0), np.float32)) == "the audio is empty"
