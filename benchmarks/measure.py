"""What measuring costs: every measure on a minute of audio, whole files with their memory, and songs among each other.

    python -m benchmarks.measure [--runs 3] [--json FILE]

The audio is synthesised: noise under chords and hits at -14 LUFS, stereo, 48 kHz. The least of several runs counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from acestep_batch.hardware import detect
from acestep_batch.measure.frames import BANDS_PER_S, band_powers, mono
from acestep_batch.measure.loudness import loudness
from acestep_batch.measure.measurement import measure_samples
from acestep_batch.measure.peaks import levels
from acestep_batch.measure.reading import read_frames
from acestep_batch.measure.rhythm import tempo
from acestep_batch.measure.silence import silence
from acestep_batch.measure.similarity import BANDS, FRAMES_PER_S, fingerprint, nearest
from acestep_batch.measure.spectrum import spectrum
from acestep_batch.measure.stereo import stereo
from acestep_batch.measure.tonality import key
from benchmarks.startup import Measurement as Process
from benchmarks.startup import measure as measure_process
from benchmarks.startup import table as process_table

RATE = 48_000
BLOCK_S = 10
FILE_MINUTES = (1, 4, 10)
CROWDS = (100, 1_000)
MEASURE_ONE = (
    "import sys, pathlib; from acestep_batch.measure.measurement import measure_file as f; f(pathlib.Path({!r}))"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor and wall seconds of one thing, and its share of the whole measurement's processor seconds."""

    name: str
    processor_s: float
    wall_s: float
    share: float


def synthesised(seconds: float) -> NDArray[np.float32]:
    """`[N, 2]` at 48 kHz: a chord for every second, a hit for every half, noise; different in both channels."""
    draws = np.random.default_rng(1)
    time_s = np.arange(RATE) / RATE
    parts = []
    for _ in range(max(1, round(seconds))):
        hertz = 440 * 2 ** (draws.choice(np.arange(-24, 12), 3) / 12)
        chord = np.sin(2 * np.pi * hertz[:, None] * time_s).sum(axis=0) * np.exp(-2 * time_s)
        hits = draws.standard_normal(RATE) * np.exp(-(time_s % 0.5) / 0.02)
        parts.append(0.15 * chord + 0.2 * hits)
    whole = np.concatenate(parts)[:, None] + 0.02 * draws.standard_normal((len(parts) * RATE, 2))
    return whole.astype(np.float32)[: round(seconds * RATE)]


def costs(samples: NDArray[np.float32], path: Path, runs: int) -> list[Cost]:
    """Each measure alone, then reading the file and the whole measurement, of `[N, 2]` at 48 kHz in a file."""
    channel = mono(samples)
    bands = band_powers(channel, RATE)
    ways: dict[str, Callable[[], object]] = {
        "reading the file": lambda: read_frames(path),
        "loudness, loudness range": lambda: loudness(samples, RATE),
        "peaks, true peak, clipping": lambda: levels(samples),
        "silence": lambda: silence(samples, RATE),
        "stereo": lambda: stereo(samples),
        "spectrum": lambda: spectrum(channel, RATE),
        "one channel, band powers": lambda: band_powers(mono(samples), RATE),
        "tempo, from band powers": lambda: tempo(bands, BANDS_PER_S),
        "fingerprint, from band powers": lambda: fingerprint(bands, BANDS_PER_S),
        "key": lambda: key(channel, RATE),
        "all of a file": lambda: measure_samples(*read_frames(path)),
    }
    found = {name: least(way, runs) for name, way in ways.items()}
    whole = found["all of a file"][0]
    return [Cost(name, processor, wall, processor / whole) for name, (processor, wall) in found.items()]


def least(way: Callable[[], object], runs: int) -> tuple[float, float]:
    """The least processor and wall seconds of several runs."""
    processor, wall = [], []
    for _ in range(runs):
        before = time.process_time(), time.perf_counter()
        way()
        processor.append(time.process_time() - before[0])
        wall.append(time.perf_counter() - before[1])
    return min(processor), min(wall)


def processes(folder: Path, runs: int) -> Iterator[Process]:
    """Whole files, each measured by a new process, as a worker does it but for its start."""
    yield measure_process("python -c pass", ["-c", "pass"], runs)
    yield measure_process("import", ["-c", "import acestep_batch.measure.measurement"], runs)
    for minutes in FILE_MINUTES:
        path = folder / f"{minutes}.flac"
        write(path, 60 * minutes)
        yield measure_process(f"{minutes} min", ["-c", MEASURE_ONE.format(str(path))], runs)


def write(path: Path, seconds: float) -> NDArray[np.float32]:
    """A FLAC of so many seconds, made of repeats of ten; returns its samples."""
    block = synthesised(min(seconds, BLOCK_S))
    samples = np.tile(block, (-(-round(seconds * RATE) // len(block)), 1))[: round(seconds * RATE)]
    soundfile.write(path, samples, RATE, subtype="PCM_24")
    return samples


def crowd(count: int, runs: int) -> tuple[float, float]:
    """Processor and wall seconds to compare so many songs of 4 minutes with each other."""
    draws = np.random.default_rng(1)
    length = 240 * FRAMES_PER_S * BANDS
    prints = {str(n): draws.integers(-40, 40, length, np.int8).tobytes() for n in range(count)}
    return least(lambda: nearest(prints), runs)


def table(found: Sequence[Cost]) -> str:
    """The costs as aligned text."""
    lines = [f"{'':32}{'processor':>12}{'wall':>12}{'share':>9}"]
    lines += [f"{one.name:32}{one.processor_s:>10.3f} s{one.wall_s:>10.3f} s{one.share:>8.0%}" for one in found]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measure", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="runs of each measure (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    arguments = parser.parse_args()
    machine = str(detect())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        per_minute = costs(write(folder / "minute.flac", 60), folder / "minute.flac", arguments.runs)
        print(machine, "", "a minute of audio", table(per_minute), "", sep="\n", flush=True)
        files = list(processes(folder, arguments.runs))
    print("whole files, each in a new process", process_table(files), "", sep="\n")
    crowds = {count: crowd(count, arguments.runs) for count in CROWDS}
    for count, (processor, wall) in crowds.items():
        print(f"{count:,} songs of 4 minutes among each other: {processor:.2f} s processor, {wall:.2f} s wall")
    if arguments.json:
        record = {
            "machine": machine,
            "per_minute": [asdict(one) for one in per_minute],
            "files": [asdict(one) for one in files],
            "crowds": {count: {"processor_s": each[0], "wall_s": each[1]} for count, each in crowds.items()},
        }
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
