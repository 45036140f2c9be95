"""What rendering costs and what the engine saves: stages, savings, share of the machine's peak, songs per hour.

    python -m benchmarks.engine [--device cuda] [--quick] [--json FILE]

On the CPU a mid-size model with drawn weights renders 20 s of audio in float32; with `--device cuda` one of the
published size renders 60 s in bfloat16. Nothing is downloaded. Times are the least of several runs, the ways that are
compared taken in turns.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from acestep_batch.engine.base import SongRequest
from acestep_batch.engine.v1.batching import branches, model_calls
from acestep_batch.engine.v1.limits import guided_steps, latent_frames
from acestep_batch.engine.v1.resample import resample
from acestep_batch.engine.v1.sampling import denoise
from acestep_batch.engine.v1.transformer import ACEStepTransformer2DModel
from acestep_batch.hardware import detect
from benchmarks.engine_model import MID, PUBLISHED, Model, build_model, make_request
from benchmarks.engine_variants import comparisons
from benchmarks.engine_work import Seconds, call_flops, fastest, large_product, timed

FILE_PARAMETERS = 3_305_659_264
"""Of the published transformer, as its file has them."""
NATIVE_RATE, SAMPLE_RATE = 44100, 48000
SONGS_OF_ONE_TEXT = 4
PEAK_RUNS = 8
OFFICIAL = {"A100": (27.27, 12.27), "RTX 4090": (34.48, 15.63), "RTX 3090": (12.76, 6.48)}
"""Seconds of audio a second at 27 and 60 steps, batch 1: the README of ACE-Step v1, "Hardware Performance"."""
WITHOUT_A_RATIO = (
    ("3", "rotary positions without copies", "not taken: float32 as in the reference, and a few percent of a call"),
    ("6", "songs of a batch do not mix", "taken: noise, momentum and omega mean are per song"),
    ("8", "no file writing or garbage collection", "taken: the engine returns arrays"),
    ("10", "no zero-length steps", "nothing to take in text to music: only Heun with repaint has them"),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What one run of the benchmark renders."""

    device: str
    dtype: torch.dtype
    duration_s: float
    steps: tuple[int, ...]
    """The first is that of the stages; songs per hour are measured for all."""
    batches: tuple[int, ...]
    runs: int


CPU = Setting("cpu", torch.float32, 20.0, (10,), (1, 2, 4, 8), 3)
CPU_QUICK = Setting("cpu", torch.float32, 5.0, (4,), (1, 2), 1)
GPU = Setting("cuda", torch.bfloat16, 60.0, (27, 60), (1, 2, 4, 8, 16), 5)
GPU_QUICK = Setting("cuda", torch.bfloat16, 20.0, (27,), (1, 4), 1)


def stages(model: Model, request: SongRequest, device: str) -> dict[str, Seconds]:
    """One song, stage by stage, its texts not known yet."""
    decoder, taken = model.decoder, {}
    conditioning, taken["text"] = timed(lambda: model.conditioner().conditioning([request], branches(request)), device)
    latents, taken["diffusion"] = timed(lambda: denoise(model.transformer, conditioning, [request]), device)
    mel, taken["latent decoder"] = timed(lambda: decoder.decode_mel(latents), device)
    channels = mel[0].to(next(decoder.vocoder.parameters()))
    waveform, taken["vocoder"] = timed(lambda: decoder.vocoder(channels, decoder.at_once.mel_frames), device)
    _, taken["resampling"] = timed(lambda: resample(waveform.float().cpu(), NATIVE_RATE, SAMPLE_RATE), device)
    return taken


def least_stages(model: Model, request: SongRequest, setting: Setting) -> dict[str, Seconds]:
    """The least seconds of each stage in several songs, after one that does not count."""
    songs = [stages(model, request, setting.device) for _ in range(setting.runs + 1)][1:]
    return {name: Seconds(*(min(s[name][i] for s in songs) for i in range(2))) for name in songs[0]}


def savings(model: Model, setting: Setting, tokens: int) -> Iterator[dict[str, Any]]:
    """The measured entries, naive over ours; on the CPU in processor time, elsewhere in wall time."""
    songs = [make_request(seed, setting.duration_s, setting.steps[0]) for seed in range(SONGS_OF_ONE_TEXT)]
    for pair in comparisons(model, songs, latent_frames(setting.duration_s), tokens):
        on, off = fastest([pair.on, pair.off], setting.runs, setting.device)
        ratio = off.cpu / on.cpu if setting.device == "cpu" else off.wall / on.wall
        yield {"entry": pair.entry, "saving": pair.title, "of": pair.part, "on": on, "off": off, "ratio": ratio}


def loop_flops(model: Model, request: SongRequest, tokens: int) -> int:
    """Floating-point operations of one song's denoising loop."""
    frames, n_branches = latent_frames(request.audio_duration), len(branches(request))
    guided = len(guided_steps(request))
    alone = model_calls(request) - n_branches * guided
    single, joint = (call_flops(model.transformer, batch, frames, tokens) for batch in (1, n_branches))
    return alone * single + guided * joint


def loop_and_peak(model: Model, request: SongRequest, setting: Setting, tokens: int) -> tuple[float, float]:
    """Floating-point operations a second of the denoising loop and of a large matrix product, taken in turns."""
    conditioning = model.conditioner().conditioning([request], branches(request))
    product, product_flops = large_product(setting.device, setting.dtype)
    loop, peak = fastest(
        [lambda: denoise(model.transformer, conditioning, [request]), product], PEAK_RUNS, setting.device
    )
    return loop_flops(model, request, tokens) / loop.wall, product_flops / peak.wall


def throughput(model: Model, setting: Setting) -> Iterator[dict[str, Any]]:
    """Whole songs with one text and different seeds, for each number of steps and batch size."""
    engine = model.engine()
    engine.render([make_request(0, setting.duration_s, 1)], SAMPLE_RATE)
    for steps in setting.steps:
        for batch in setting.batches:
            songs = [make_request(seed, setting.duration_s, steps) for seed in range(batch)]
            row: dict[str, Any] = {"steps": steps, "batch": batch}
            try:
                _, taken = timed(lambda songs=songs: engine.render(songs, SAMPLE_RATE), setting.device)  # type: ignore[misc]
            except torch.OutOfMemoryError:
                yield {**row, "songs_per_hour": None, "audio_per_second": None, "seconds": None}
                continue
            per_second = batch / taken.wall
            speed = {"songs_per_hour": 3600 * per_second, "audio_per_second": setting.duration_s * per_second}
            yield {**row, **speed, "seconds": taken}


def unused_share() -> float:
    """The published file's parameters over those that are read."""
    with torch.device("meta"):
        transformer = ACEStepTransformer2DModel.from_config({})
    read: int = sum(parameter.numel() for parameter in transformer.parameters())
    return FILE_PARAMETERS / read


@torch.inference_mode()
def measure(setting: Setting) -> dict[str, Any]:
    """Everything, printed as it is known, and returned."""
    sizes = MID if setting.device == "cpu" else PUBLISHED
    model = build_model(sizes, setting.device, setting.dtype)
    request = make_request(1, setting.duration_s, setting.steps[0])
    tokens = model.conditioner().conditioning([request], branches(request)).keys[0].shape[2]
    millions = {name: round(count / 1e6, 1) for name, count in model.parameter_counts().items()}
    name = "CPU" if setting.device == "cpu" else torch.cuda.get_device_name()
    machine = f"{detect()}; torch {torch.__version__}, {name}, {torch.get_num_threads()} CPU threads"
    print(f"{machine}\n{sizes.title}, million parameters: {', '.join(f'{n} {m}' for n, m in millions.items())}")
    print(f"{setting.duration_s:g} s, {request.infer_step} Euler steps, {tokens} text vectors, {setting.dtype}\n")

    taken = least_stages(model, request, setting)
    print(stage_table(taken), end="\n\n", flush=True)

    loop, peak = loop_and_peak(model, request, setting, tokens)
    print(f"a large matrix product {peak / 1e9:.0f} Gflop/s, the loop {loop / 1e9:.0f} Gflop/s: {loop / peak:.0%}\n")

    print(f"{'entry':7}{'saving':41}{'of':18}{'ours':>10}{'naive':>11}{'ratio':>9}")
    saved = []
    for row in savings(model, setting, tokens):
        saved.append(row)
        print(saving_line(row, on_cpu=setting.device == "cpu"), flush=True)
    unused = unused_share()
    print(f"{'9':7}{'unused parameters not loaded':41}{'published file':18}{'':>21}{unused:>9.2f}")
    print("\n".join(f"{entry:7}{title:41}{reason}" for entry, title, reason in WITHOUT_A_RATIO), end="\n\n")

    print(f"{'steps':>6}{'batch':>7}{'songs per hour':>16}{'audio s per s':>15}")
    speeds = []
    for row in throughput(model, setting):
        speeds.append(row)
        known = row["seconds"] is not None
        speed = f"{row['songs_per_hour']:>16.0f}{row['audio_per_second']:>15.2f}" if known else "   out of memory"
        print(f"{row['steps']:>6}{row['batch']:>7}{speed}", flush=True)
    if setting.device != "cpu":
        print("\nThe README of ACE-Step v1 (27 and 60 steps, batch 1), audio s per s:")
        print("\n".join(f"  {card}: {fast} and {slow}" for card, (fast, slow) in OFFICIAL.items()))
    return {
        "machine": machine,
        "million_parameters": millions,
        "stages": taken,
        "flops_per_second": {"loop": loop, "matrix product": peak, "share": loop / peak},
        "savings": saved,
        "parameters_in_file_over_read": unused,
        "throughput": speeds,
        "official_readme_v1": {} if setting.device == "cpu" else OFFICIAL,
    }


def stage_table(taken: dict[str, Seconds]) -> str:
    """Wall and processor seconds of each stage and of all."""
    rows = {**taken, "all": Seconds(*(sum(part[i] for part in taken.values()) for i in range(2)))}
    lines = [f"{name:16}{seconds.wall:>9.2f} s{seconds.cpu:>12.2f} s" for name, seconds in rows.items()]
    return "\n".join([f"{'stage':16}{'wall':>11}{'processor':>14}", *lines])


def saving_line(row: dict[str, Any], on_cpu: bool) -> str:
    """One entry; the seconds are those that its ratio is made of."""
    ours, naive = (row[side].cpu if on_cpu else row[side].wall for side in ("on", "off"))
    return f"{row['entry']:7}{row['saving']:41}{row['of']:18}{ours:>8.3f} s{naive:>9.3f} s{row['ratio']:>9.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--quick", action="store_true", help="short songs, few runs: whether it works, not how fast")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    arguments = parser.parse_args()
    if arguments.device == "cuda":
        if not torch.cuda.is_available():
            parser.error("--device cuda: torch sees no CUDA device here; without it the CPU is measured")
        record = measure(GPU_QUICK if arguments.quick else GPU)
    else:
        record = measure(CPU_QUICK if arguments.quick else CPU)
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2, default=Seconds._asdict) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
