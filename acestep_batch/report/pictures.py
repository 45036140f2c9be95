"""A song's audio to what is seen of it: the peaks of its waveform and a mel spectrogram, as one small PNG file.

The picture is the spectrogram, and the peaks stand in its text, so that a report made again reads no audio. Its name is
the hash of the samples: equal sound is drawn once, and a song made anew gets a picture of its own.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from acestep_batch.compare import mel_power
from acestep_batch.outputs.atomic import write_bytes
from acestep_batch.outputs.audio_files import read_audio

PEAKS = 256
"""Bars of a waveform."""
_WIDTH = 512
"""The most columns of a spectrogram; a short song has one for each of its windows."""
_LOUDEST_DB, _RANGE_DB = 0.0, 80.0
"""The levels that are drawn, the same for all songs, so that they can be compared: 0 dB is a sine at full scale."""
_FULL_SCALE_SINE = (2048 / 4) ** 2
"""Power of a sine's line in the transform of 2048 samples under a Hann window."""
_LEVELS = 64
"""Colours of a picture; more would not be seen, and would compress worse."""
_VERSION = "1"
_ANCHORS = (
    (8, 11, 22), (17, 33, 66), (19, 70, 106), (21, 112, 124),
    (44, 154, 124), (110, 192, 104), (190, 222, 100), (250, 246, 194),
)  # fmt: skip
"""From silent to loud, equally spaced: every step is lighter than the one before, in any light and to any eye."""


def waveform(audio: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Largest magnitude and root mean square in ``PEAKS`` equal parts of audio ``[C, N]``: ``[2, PEAKS]``, 255 being 1.

    Audio of fewer samples than parts repeats them.
    """
    edges = np.linspace(0, audio.shape[1], PEAKS + 1).astype(int)
    found = np.zeros((2, PEAKS))
    for part in range(PEAKS):
        start = min(edges[part], audio.shape[1] - 1)
        piece = audio[:, start : max(edges[part + 1], start + 1)]
        found[:, part] = np.abs(piece).max(), np.sqrt(np.mean(np.square(piece, dtype=np.float64)))
    return np.asarray(np.rint(np.clip(found, 0, 1) * 255), np.uint8)


def spectrogram(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.uint8]:
    """Levels of 80 mel bands over time, ``[80, up to 512]`` from 0 to 63: the loudest window of each column, low bands
    at the bottom, of audio ``[C, N]`` mixed to one channel."""
    power = mel_power(audio.mean(axis=0, keepdims=True), sample_rate)[0]
    columns = min(_WIDTH, len(power))
    starts = np.linspace(0, len(power), columns, endpoint=False).astype(int)
    loudest = np.maximum.reduceat(power, starts, axis=0) / _FULL_SCALE_SINE
    level = (10 * np.log10(np.maximum(loudest, 1e-12)) - _LOUDEST_DB) / _RANGE_DB + 1
    return np.asarray(np.rint(np.clip(level, 0, 1) * (_LEVELS - 1)), np.uint8).T[::-1]


def palette() -> list[int]:
    """The colours of the levels, as red, green and blue one after another."""
    places = np.linspace(0, len(_ANCHORS) - 1, _LEVELS)
    channels = [np.interp(places, range(len(_ANCHORS)), [anchor[each] for anchor in _ANCHORS]) for each in range(3)]
    return [int(value) for value in np.rint(np.stack(channels, axis=1)).ravel()]


def picture(audio: NDArray[np.float32], sample_rate: int) -> bytes:
    """The PNG file of audio ``[C, N]``, N at least 1."""
    levels = np.ascontiguousarray(spectrogram(audio, sample_rate))
    image = Image.frombytes("P", (levels.shape[1], levels.shape[0]), levels.tobytes())
    image.putpalette(palette())
    text = PngImagePlugin.PngInfo()
    text.add_text("waveform", f"{_VERSION}:{base64.b64encode(waveform(audio).tobytes()).decode('ascii')}")
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, pnginfo=text)
    return file.getvalue()


def peaks_in(path: Path) -> str | None:
    """The waveform of a picture, as base64 of ``waveform``'s bytes; None where the file holds none of this kind."""
    try:
        with Image.open(path) as image:
            version, _, peaks = str(getattr(image, "text", {}).get("waveform", "")).partition(":")
            image.load()
    except (OSError, SyntaxError, ValueError):  # Pillow's complaint about a damaged PNG is a SyntaxError
        return None
    return peaks if version == _VERSION and len(peaks) == _base64_length(2 * PEAKS) else None


def draw(song: Path, into: Path) -> str:
    """Make a song's picture unless it is there, whole and durable; returns its waveform, as ``peaks_in``.

    Raises:
        OSError, soundfile.LibsndfileError: the audio cannot be read, or the picture not written.
        ValueError: the audio has no samples.
    """
    known = peaks_in(into)
    if known is not None:
        return known
    audio, sample_rate = read_audio(song)
    if audio.shape[1] == 0:
        raise ValueError("the audio has no samples")
    write_bytes(into, picture(audio, sample_rate), replace=True)
    return peaks_in(into) or ""


def _base64_length(length: int) -> int:
    return -(-length // 3) * 4
