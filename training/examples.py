"""What the README shows of the embedded model: renders a manifest with the product's own command, and draws the songs.

    python -m training.examples --into docs/embedded

Writes a picture for each of ``PICTURES``, and an Ogg file for each of ``HEARD``. The same weights, library versions and
machine give the same bytes. It knows the songs' names in ``docs/embedded/songs.yaml``, and nothing of what they sound
like.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from acestep_batch.outputs.atomic import atomic_path, write_bytes
from acestep_batch.outputs.audio_files import read_audio, write_audio
from acestep_batch.outputs.formats import audio_format
from acestep_batch.report.pictures import palette, spectrogram
from training.prompts import understood
from training.tempo import SAMPLE_RATE, nearest

SONGS = Path(__file__).parents[1] / "docs" / "embedded" / "songs.yaml"
HEARD = ("rock", "jazz", "folk")
"""Songs that become Ogg files."""
PICTURES: Mapping[str, Sequence[str]] = {
    **{song: (song,) for song in HEARD},
    "guidance": ("guidance_1", "guidance_5", "guidance_15"),
    "seeds": ("seed_1", "seed_2", "seed_3"),
    "repaint": ("before", "after"),
}
"""Names of pictures, to the songs that stand in them from top to bottom."""

GRID = "few"
"""The tempi that the model was trained on; the number of a prompt stands for the nearest."""

_ZOOM = 2
_COLUMNS, _BANDS = 512, 80
"""Of a spectrogram as `acestep_batch.report.pictures` makes it."""
_LEFT, _RIGHT, _HEAD, _TICKS, _FOOT = 76, 16, 44, 16, 42
"""Pixels: beside, above and below a spectrogram, and below the last."""
_GROUND, _INK, _MUTED, _MARK = (13, 17, 20), (233, 239, 241), (163, 177, 184), (255, 154, 144)
"""An own dark ground, so that the picture is the same on a light page and on a dark one."""
_HERTZ = {100: "100 Hz", 1_000: "1 kHz", 10_000: "10 kHz"}


@dataclass(frozen=True, slots=True)
class Row:
    """A song in a picture."""

    label: str
    levels: NDArray[np.uint8]
    """As ``spectrogram`` has them: `[80, up to 512]`."""
    duration_s: float
    beat_s: float
    """Of the tempo that was asked for; its beats are ticked."""
    window_s: tuple[float, float] | None
    """What is marked."""


def picture(rows: Sequence[Row]) -> bytes:
    """A PNG file of the rows, one below the other, over one axis of seconds."""
    height = _HEAD + _BANDS * _ZOOM + _TICKS
    size = _LEFT + _COLUMNS * _ZOOM + _RIGHT, len(rows) * height + _FOOT
    sheet = Image.new("RGB", size, _GROUND)
    pen = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        _draw_row(sheet, pen, number * height, row)
    for second in range(int(rows[0].duration_s) + 1):
        text = f"{second} s" if second == 0 else str(second)
        pen.text((_at(rows[0], second), size[1] - _FOOT + 4), text, _MUTED, _font(20), anchor="ma")
    file = io.BytesIO()
    sheet.quantize(128, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def row_of(song: Mapping[str, Any], audio: NDArray[np.float32], window_s: tuple[float, float] | None) -> Row:
    """A song of the manifest, its prompt naming a tempo, and its samples `[2, N]` at ``SAMPLE_RATE``."""
    return Row(
        label=label(song),
        levels=spectrogram(audio, SAMPLE_RATE),
        duration_s=audio.shape[1] / SAMPLE_RATE,
        beat_s=60 / nearest(float(understood(song["prompt"])["bpm"]), GRID).bpm,
        window_s=window_s,
    )


def label(song: Mapping[str, Any]) -> str:
    """What its row of the manifest says: what was made anew, seed, guidance and prompt, as far as they stand there."""
    said = [f"{name} {song[name]}" for name in ("seed", "guidance_scale") if name in song]
    if window := window_of(song):
        said.append(f"{window[0]} to {window[1]} s made anew")
    return f"{', '.join(said)}:  {song['prompt']}"


def window_of(song: Mapping[str, Any]) -> tuple[float, float] | None:
    """From and to, in seconds, what a repaint makes anew."""
    return (song["repaint_start"], song["repaint_end"]) if song.get("task") == "repaint" else None


def _draw_row(sheet: Image.Image, pen: ImageDraw.ImageDraw, top: int, row: Row) -> None:
    pen.text((_LEFT, top + 12), row.label, _INK, _font(22))
    top += _HEAD
    bottom = top + _BANDS * _ZOOM
    image = Image.frombytes("P", row.levels.shape[::-1], np.ascontiguousarray(row.levels).tobytes())
    image.putpalette(palette())
    wide = image.convert("RGB").resize((_COLUMNS * _ZOOM, _BANDS * _ZOOM), Image.Resampling.NEAREST)
    sheet.paste(wide, (_LEFT, top))
    for hertz, text in _HERTZ.items():
        y = bottom - round(float(_height(hertz)) * _BANDS * _ZOOM)
        pen.text((_LEFT - 8, y), text, _MUTED, _font(18), anchor="rm")
    for beat in np.arange(0, row.duration_s, row.beat_s):
        pen.line((_at(row, beat), bottom + 2, _at(row, beat), bottom + 9), _MUTED, 2)
    for second in row.window_s or ():
        pen.line((_at(row, second), top - 6, _at(row, second), bottom + _TICKS - 2), _MARK, 3)


def _at(row: Row, second: float) -> int:
    """Where a moment lies, in pixels from the left."""
    return _LEFT + round(second / row.duration_s * _COLUMNS * _ZOOM)


def _height(hertz: float) -> float:
    """Where a frequency lies in a spectrogram, from 0 at the bottom to 1: mel = 2595 log10(1 + f / 700), as
    `acestep_batch.compare` has it, from 30 Hz to half the sample rate."""
    mel = [2595 * np.log10(1 + each / 700) for each in (30, hertz, SAMPLE_RATE / 2)]
    return float((mel[1] - mel[0]) / (mel[2] - mel[0]))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def render(manifest: Path, root: Path) -> Path:
    """Make the songs below ``root`` with the command that the README names; returns the folder of audio.

    Raises:
        subprocess.CalledProcessError: the run failed, and has said why.
    """
    settings = [f'output.root="{root.as_posix()}"', 'output.template="{id}"', "output.wav_subtype=float32"]
    settings += [f"output.sample_rate={SAMPLE_RATE}", "output.save_latents=true", "report=false", "measure=false"]
    words = ["model=embedded", "hw=cpu", f'manifest.path="{manifest.as_posix()}"', *settings]
    subprocess.run([sys.executable, "-m", "acestep_batch", *words], check=True)
    return root / manifest.stem / "v0001" / "audio"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.examples", description=__doc__)
    parser.add_argument("--into", type=Path, required=True)
    into = parser.parse_args(arguments).into
    manifest = yaml.safe_load(SONGS.read_text(encoding="utf-8"))["songs"]
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root:
        folder = render(SONGS, Path(root))
        audios = {song: read_audio(folder / f"{song}.wav")[0] for song in manifest}
    for name, songs in PICTURES.items():
        window_s = next(filter(None, (window_of(manifest[song]) for song in songs)), None)
        rows = [row_of(manifest[song], audios[song], window_s) for song in songs]
        write_bytes(into / f"{name}.png", picture(rows), replace=True)
    for song in HEARD:
        with atomic_path(into / f"{song}.ogg", replace=True) as path:
            write_audio(path, audios[song], SAMPLE_RATE, audio_format("ogg", "pcm16"))
    print(f"{into}: {sum(file.stat().st_size for file in into.iterdir()):,} bytes")


if __name__ == "__main__":
    main()
