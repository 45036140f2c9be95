"""The rendered dataset's files: how they are named, written and read.

    DIR/manifest.json      version, clips, seed, grid, full_prompts, recipe (see `training.recipe`)
    DIR/clips.jsonl        a line for each clip, in order
    DIR/mel_0000.npy       float16 [64, 2, 128, 1024], natural log-mel of left and right
    DIR/audio_0000.npy     int16 [64, 2, 524288] at 44.1 kHz

The last shard holds what is left. Of a shard the mel file is written last: where it stands, the shard is whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acestep_batch.outputs.atomic import atomic_path, make_folder, write_text
from acestep_batch.problems import refuse
from training.prompts import Tags
from training.tempo import nearest

VERSION = 1
SHARD_CLIPS = 64
LISTING = "clips.jsonl"


@dataclass(frozen=True, slots=True)
class Clip:
    """A line of `clips.jsonl`."""

    clip: int
    seed: int
    prompt: str
    lyrics: str
    bpm: float
    key: str
    """As in `C# minor`."""
    lead: str
    accompaniment: str
    drums: bool
    genre: str
    mood: str
    beats_per_bar: int

    @property
    def tags(self) -> Tags:
        """What the clip is: another prompt for it can be drawn from these."""
        tonic, mode = self.key.split()
        return Tags(
            lead=self.lead,
            accompaniment=self.accompaniment,
            drums=self.drums,
            genre=self.genre,
            mood=self.mood,
            tempo=nearest(self.bpm, "many"),
            tonic=tonic,
            mode=mode,
            beats_per_bar=self.beats_per_bar,
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    version: int
    clips: int
    seed: int
    grid: str
    full_prompts: bool
    recipe: str
    shard_clips: int = SHARD_CLIPS


def mel_path(folder: Path, shard: int) -> Path:
    return folder / f"mel_{shard:04d}.npy"


def audio_path(folder: Path, shard: int) -> Path:
    return folder / f"audio_{shard:04d}.npy"


def is_whole(folder: Path, shard: int) -> bool:
    return mel_path(folder, shard).exists()


def write_listing(folder: Path, manifest: Manifest, clips: list[Clip]) -> None:
    """What describes the dataset, before any shard. Replaces an earlier listing."""
    write_clips(folder, clips)
    write_text(folder / "manifest.json", f"{json.dumps(asdict(manifest), indent=2)}\n", replace=True)


def write_clips(folder: Path, clips: list[Clip]) -> None:
    """The list of clips alone, as a model's songs have it. Replaces an earlier one."""
    make_folder(folder)
    write_text(folder / LISTING, "".join(f"{json.dumps(asdict(clip))}\n" for clip in clips), replace=True)


def write_shard(folder: Path, shard: int, mel: NDArray[np.float16], audio: NDArray[np.int16]) -> None:
    """Both files of a shard; replaces what a run that was stopped left of it."""
    for path, array in ((audio_path(folder, shard), audio), (mel_path(folder, shard), mel)):
        with atomic_path(path, replace=True) as temporary, temporary.open("wb") as file:
            np.save(file, array)


def read_manifest(folder: Path) -> Manifest | None:
    """None where there is none. Raises `Refused` where it is not one of this version."""
    path = folder / "manifest.json"
    if not path.exists():
        return None
    try:
        manifest = Manifest(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise refuse(str(path), f"is not the manifest of a dataset: {error}", "take another folder") from error
    if manifest.version != VERSION:
        raise refuse(f"{path}: version", f"{manifest.version} is not {VERSION}", "render the dataset again")
    return manifest


def read_clips(folder: Path) -> list[Clip]:
    """Every clip that is listed. Raises `Refused` where the list cannot be read."""
    path = folder / LISTING
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise refuse(str(path), f"cannot be read: {error}", "render the dataset first") from error
    return [_clip(path, number, line) for number, line in enumerate(lines, start=1)]


def whole_shards(folder: Path, clips: list[Clip]) -> Iterator[tuple[list[Clip], NDArray[Any], NDArray[Any]]]:
    """Clips, mel and audio of every shard that is whole, in order; arrays are mapped, not read.

    A folder without a manifest, such as a model's, has shards of 64.
    """
    manifest = read_manifest(folder)
    size = manifest.shard_clips if manifest else SHARD_CLIPS
    for shard in range(-(-len(clips) // size)):
        if is_whole(folder, shard):
            mel = np.load(mel_path(folder, shard), mmap_mode="r")
            audio = np.load(audio_path(folder, shard), mmap_mode="r")
            yield clips[shard * size :][: len(mel)], mel, audio


def _clip(path: Path, number: int, line: str) -> Clip:
    try:
        return Clip(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise refuse(f"{path}:{number}", f"is not a clip: {error}", "render the dataset again") from error
