"""Stage 5: renders the prompts of a dataset with the product's own engine, into a dataset that evaluators can score.

    python -m training.generate HELD_OUT --into DIR

Every song has the settings of a preset of the product, the length of a clip and a seed of its own. The first prompts
come three times, the second time with the same seed and the third with another: what the scores of seeds compare.
The same command goes on where it was stopped, from the last shard of 64 songs that is whole.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from acestep_batch.engine.base import SETTINGS, SongRequest
from acestep_batch.engine.embedded import load_trained_engine
from acestep_batch.engine.v1.limits import NATIVE_SAMPLE_RATE, SAMPLES_PER_FRAME
from acestep_batch.engine.v1.pipeline import V1Engine
from acestep_batch.outputs.atomic import make_folder
from acestep_batch.schema import SONG
from training import shards
from training.analysis import FULL_SCALE, Analysis
from training.clips import read_clips
from training.layout import write_layout
from training.made import Made, layout_hashes, read_made, write_made
from training.progress import CHECKPOINTS, default_device
from training.shards import LISTING, SHARD_CLIPS, Clip

LAYOUT = "layout"
FRAMES = 128
DURATION_S = (FRAMES + 0.5) * SAMPLES_PER_FRAME / NATIVE_SAMPLE_RATE
"""Half a frame more than a clip has: cut to whole frames, it is the clip's length."""
PRESETS = Path(__file__).parents[1] / "conf" / "preset"


def settings_of(preset: str, overrides: list[str]) -> dict[str, Any]:
    """Engine settings: the schema's defaults, a preset's values, and ``NAME=VALUE`` words."""
    settings = {name: parameter.default for name, parameter in SONG.items() if name in SETTINGS}
    values = yaml.safe_load((PRESETS / f"{preset}.yaml").read_text(encoding="utf-8"))
    values |= {name: yaml.safe_load(value) for name, value in (word.split("=", 1) for word in overrides)}
    if unknown := sorted(set(values) - set(settings)):
        raise SystemExit(f"{', '.join(unknown)}: no setting of a song")
    return settings | values


def render(engine: V1Engine, settings: dict[str, Any], clip: Clip, seed: int) -> NDArray[np.int16]:
    """The samples ``[2, 524288]`` of one prompt, as a dataset keeps them."""
    asked = {"prompt": clip.prompt, "lyrics": clip.lyrics, "seed": seed, "audio_duration": DURATION_S}
    (song,) = engine.render([SongRequest(**settings | asked)], NATIVE_SAMPLE_RATE)
    samples: NDArray[np.int16] = np.rint(np.clip(song.audio, -1, 1) * (FULL_SCALE - 1)).astype(np.int16)
    return samples


def begin(folder: Path, listed: list[Clip], made: Made) -> None:
    """Write the listing of what will be in ``folder``; exits where something else is there."""
    if (folder / "manifest.json").exists():
        raise SystemExit(f"{folder} is a rendered dataset; take another folder")
    if (folder / LISTING).exists() and (read_made(folder) != made or shards.read_clips(folder) != listed):
        raise SystemExit(f"{folder} has songs of other weights, settings or prompts; take another folder")
    make_folder(folder)
    write_made(made, folder)
    shards.write_clips(folder, listed)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.generate", description=__doc__)
    parser.add_argument("held_out", type=Path, help="dataset whose prompts are rendered")
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--count", type=int, default=96, help="how many of its prompts")
    parser.add_argument("--seed", type=int, default=1, help="of the first song; every next one has the next")
    parser.add_argument("--thrice", type=int, default=4, help="how many prompts come three times")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another setting of all songs")
    parser.add_argument(
        "--weights", type=Path, help="folder in the packaged layout; without it, the checkpoints are taken"
    )
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    parser.add_argument("--device", default=default_device())
    given = parser.parse_args(arguments)
    dataset = read_clips(given.held_out)
    clips = dataset.listed[: given.count]
    asked = [(clip, given.seed + number) for number, clip in enumerate(clips)]
    asked += [(clip, seed + other) for other in (0, len(clips)) for clip, seed in asked[: given.thrice]]
    listed = [replace(clip, clip=number, seed=seed) for number, (clip, seed) in enumerate(asked)]
    folder = given.weights
    if folder is None:
        folder = given.checkpoints / LAYOUT
        write_layout(given.checkpoints, folder)
    settings = settings_of(given.preset, given.set)
    made = Made(layout_hashes(folder), given.preset, tuple(given.set), dataset.manifest.seed, len(clips))
    begin(given.into, listed, made)
    engine = load_trained_engine(folder, given.device, torch.float32, compile_transformer=False)
    analysis, begun, rendered = Analysis(), time.monotonic(), 0
    for shard, first in enumerate(range(0, len(listed), SHARD_CLIPS)):
        if shards.is_whole(given.into, shard):
            continue
        songs = []
        for clip in listed[first : first + SHARD_CLIPS]:
            songs.append(render(engine, settings, clip, clip.seed))
            rendered += 1
            to_go_s = (time.monotonic() - begun) / rendered * (len(listed) - clip.clip - 1)
            print(f"song {clip.clip + 1} of {len(listed)}, to go {to_go_s:.0f} s", flush=True)
        shards.write_shard(given.into, shard, np.stack([analysis.mel(song) for song in songs]), np.stack(songs))


if __name__ == "__main__":
    main()
