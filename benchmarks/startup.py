"""How long starting and validating takes: import, --help and dry runs, each as a fresh process.

    python -m benchmarks.startup [--runs 5] [--million] [--json FILE]

Every line is the median of several runs, with its ratio to `python -c pass` and the peak memory of the process
and its children. `--million` adds one dry run of a manifest of 1,000,000 rows against its limits of 60 s and 2 GB.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from acestep_batch.hardware import detect

MILLION = 1_000_000
MILLION_LIMIT_S = 60.0
MILLION_LIMIT_BYTES = 2_000_000_000
SAMPLE_S = 0.02
SONG_S = 0.1
"""So short that the audio of a million songs (about 20 GB) fits on most disks; a dry run checks that."""

GENRES = ["lo-fi", "jazz", "techno", "folk", "ambient", "disco", "blues", "reggae", "metal", "house"]
MOODS = ["mellow", "happy", "sad", "dreamy", "tense", "calm", "angry", "warm", "dark", "bright"]
INSTRUMENTS = ["piano", "guitar", "cello", "flute", "organ", "banjo", "violin", "trumpet", "drums", "harp"]
TEXTURES = ["vinyl", "tape hiss", "reverb", "echo", "dry mix", "stereo", "mono", "live room", "choir", "hand claps"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One command: its median wall time and the highest peak memory of its runs."""

    name: str
    seconds: float
    slowest_s: float
    cpu_s: float
    """Median processor time, which other work on the machine hardly changes; 0 on Windows, which does not tell."""
    peak_bytes: int
    """Resident memory of the process and its children, sampled every 20 ms: a lower bound."""
    runs: int


def measure(name: str, arguments: Sequence[str], runs: int) -> Measurement:
    """Run ``python *arguments`` several times; raises RuntimeError with its last words if one run fails."""
    seconds, cpu, peaks = zip(*(_run_once(arguments) for _ in range(runs)), strict=True)
    return Measurement(name, statistics.median(seconds), max(seconds), statistics.median(cpu), max(peaks), runs)


def _run_once(arguments: Sequence[str]) -> tuple[float, float, int]:
    """Wall seconds, processor seconds and peak bytes of one process."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        cpu_before = _children_cpu_s()
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=subprocess.STDOUT)
        with _peak_memory(psutil.Process(process.pid)) as peaks:
            process.wait()
            seconds = time.perf_counter() - start
        if process.returncode != 0:
            log.seek(0)
            raise RuntimeError(f"python {' '.join(arguments)} ended with {process.returncode}:\n{log.read()[-2000:]}")
    return seconds, _children_cpu_s() - cpu_before, max(peaks)


def _children_cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


@contextmanager
def _peak_memory(process: psutil.Process) -> Iterator[list[int]]:
    """Samples in the background, so that the clock stops with the process and not with the next sample."""
    peaks: list[int] = []
    ended = threading.Event()

    def sample() -> None:
        peaks.append(_resident_bytes(process))
        while not ended.wait(SAMPLE_S):
            peaks.append(_resident_bytes(process))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield peaks
    finally:
        ended.set()
        sampler.join()


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def write_manifest(path: Path, rows: int) -> Path:
    """A CSV of up to a million text-to-music rows, all valid, no two prompts or lyrics alike."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "prompt", "lyrics", "audio_duration", "infer_step", "guidance_scale", "seed"])
        writer.writerows(_row(index) for index in range(rows))
    return path


def _row(index: int) -> list[object]:
    genre, mood, instrument, texture = (
        words[index // 10**place % 10] for place, words in enumerate((GENRES, MOODS, INSTRUMENTS, TEXTURES))
    )
    prompt = f"{genre}, {mood}, {instrument}, {texture}, {60 + index // 10_000} BPM"
    lyrics = f"[verse]\n{mood} rain is falling on number {index}\nand the {instrument} plays a slow refrain"
    return [f"song-{index:07d}", prompt, lyrics, SONG_S, 27, 15, index]


def dry_run(manifest: Path) -> list[str]:
    """The command line that validates a manifest with the embedded model."""
    return ["-m", "acestep_batch", "dry_run=true", "model=embedded", "hw=cpu", f"manifest.path={manifest}"]


def measurements(folder: Path, runs: int, million: bool) -> Iterator[Measurement]:
    """All measurements, the bare interpreter first; manifests are written into the folder."""
    yield measure("python -c pass", ["-c", "pass"], runs)
    yield measure("import acestep_batch.cli", ["-c", "import acestep_batch.cli"], runs)
    yield measure("--help", ["-m", "acestep_batch", "--help"], runs)
    for rows in (100, 10_000):
        yield measure(f"dry run, {rows:,} rows", dry_run(write_manifest(folder / f"{rows}.csv", rows)), runs)
    if million:
        yield measure(f"dry run, {MILLION:,} rows", dry_run(write_manifest(folder / "million.csv", MILLION)), 1)


def table(results: Sequence[Measurement]) -> str:
    """The results as aligned text; the first one is the unit of the ratios."""
    lines = [f"{'':26}{'median':>10}{'slowest':>10}{'processor':>12}{'ratio':>8}{'peak memory':>14}{'runs':>6}"]
    for one in results:
        ratio = one.seconds / results[0].seconds
        times = f"{one.seconds:>8.3f} s{one.slowest_s:>8.3f} s{one.cpu_s:>10.3f} s{ratio:>8.1f}"
        lines.append(f"{one.name:26}{times}{one.peak_bytes / 1e6:>11.0f} MB{one.runs:>6}")
    return "\n".join(lines)


def within_limits(million: Measurement) -> bool:
    """Whether a million rows kept their limits of time and memory."""
    return million.seconds < MILLION_LIMIT_S and million.peak_bytes < MILLION_LIMIT_BYTES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each command (default 5)")
    parser.add_argument("--million", action="store_true", help="also validate 1,000,000 rows in under 60 s and 2 GB")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    arguments = parser.parse_args()
    machine = str(detect())
    with tempfile.TemporaryDirectory() as folder:
        results = list(measurements(Path(folder), arguments.runs, arguments.million))
    print(machine, table(results), sep="\n")
    if arguments.json:
        record = {"machine": machine, "results": [asdict(one) for one in results]}
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if arguments.million and not within_limits(results[-1]):
        print(f"FAIL: a million rows need less than {MILLION_LIMIT_S:.0f} s and {MILLION_LIMIT_BYTES / 1e9:.0f} GB")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
