"""Reads an audio file whole, as frames of channels; knows no formats, libsndfile does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

BLOCK_FRAMES = 65_536
"""What is read, filtered or transformed at once: temporary arrays stay small however long a song is."""


def read_frames(path: Path) -> tuple[NDArray[np.float32], int]:
    """The file's samples `[N, C]` float32, full scale 1, and its sample rate in Hz: 8 bytes for each stereo frame.

    The header's length is not trusted. Raises soundfile.LibsndfileError when the file cannot be read.
    """
    with soundfile.SoundFile(path) as file:
        blocks = [np.zeros((0, file.channels), np.float32)]
        blocks.extend(file.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True))
        return np.concatenate(blocks), file.samplerate
