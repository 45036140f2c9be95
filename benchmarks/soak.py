"""Whether memory, descriptors, threads and speed stay flat over many songs in one process, and how long a resume takes.

    python -m benchmarks.soak [--songs 1000] [--seed 1] [--json FILE] [measure=false ...]

The songs are 0.1 s long, by the embedded model in two steps, so that what a run itself does for each song weighs most.
Goals: memory grows by less than 1 KB a song after the first 500, descriptors and threads not at all, the last tenth
takes at most 1.1 times as long as the first, and a resume that finds nothing to do takes at most 2 s for 10,000 songs.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import psutil

from acestep_batch.cli import main as run
from acestep_batch.hardware import detect

EVERY = 50
"""Songs between two samples."""
SETTLED = 500
"""Songs until caches and pools have their size."""
TEXTS = 100
MOST_BYTES_A_SONG = 1000
MOST_SLOWER = 1.1
MOST_RESUME_S = 2.0
WORDS = ["model=embedded", "hw=cpu", "lint=off", "report=false", "audio_duration=0.1", "infer_step=2",
         "output.formats=[wav]", "output.name=soak", "resume=true"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """The process after so many songs."""

    songs: int
    seconds: float
    """Of processor time: what else the machine does counts for nothing."""
    rss_bytes: int
    descriptors: int
    threads: int


class Sampler(logging.Handler):
    """Hears of every finished song, and looks at the process now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.songs = 0
        self.samples: list[Sample] = []
        self._process, self._began = psutil.Process(), time.process_time()

    def emit(self, record: logging.LogRecord) -> None:
        if not record.getMessage().startswith("["):
            return
        self.songs += 1
        if self.songs % EVERY == 0:
            seconds, rss = time.process_time() - self._began, self._process.memory_info().rss
            descriptors, threads = self._process.num_fds(), self._process.num_threads()
            self.samples.append(Sample(self.songs, seconds, rss, descriptors, threads))


@dataclass(frozen=True, slots=True)
class Soak:
    """What came of it."""

    songs: int
    samples: tuple[Sample, ...]
    resume_s: float

    @property
    def settled(self) -> list[Sample]:
        return [each for each in self.samples if each.songs > min(SETTLED, self.songs // 2)]

    @property
    def bytes_a_song(self) -> float:
        """The slope of a straight line through the memory of the settled samples."""
        return slope([each.songs for each in self.settled], [each.rss_bytes for each in self.settled])

    @property
    def slower(self) -> float:
        """How many times as long as the first tenth the last one took; the very first samples only warm up."""
        tenth = max(1, len(self.settled) // 10)
        return _pace(self.settled[-tenth - 1 :]) / _pace(self.settled[: tenth + 1])

    @property
    def is_flat(self) -> bool:
        """Whether all goals are met."""
        ends = {(each.descriptors, each.threads) for each in self.settled}
        return (
            self.bytes_a_song < MOST_BYTES_A_SONG
            and len(ends) == 1
            and self.slower <= MOST_SLOWER
            and self.resume_s <= MOST_RESUME_S
        )


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of the straight line with the least squares."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    upper = sum((one - mean_x) * (other - mean_y) for one, other in zip(x, y, strict=True))
    return upper / sum((one - mean_x) ** 2 for one in x)


def _pace(samples: Sequence[Sample]) -> float:
    return (samples[-1].seconds - samples[0].seconds) / (samples[-1].songs - samples[0].songs)


def write_manifest(path: Path, songs: int, seed: int) -> Path:
    """Rows of which no two are alike, with so few texts that the engine has encoded all of them by ``SETTLED``.

    It keeps up to 2 GiB of encodings, which would look like growth for as long as they grow.
    """
    random = Random(seed)
    words = ["folk", "jazz", "techno", "ambient", "banjo", "piano", "cello", "warm", "dark", "bright", "slow", "vinyl"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "prompt", "lyrics", "seed"])
        texts = [
            (
                ", ".join(random.sample(words, random.randint(2, 6))),
                "[verse]\n" + " ".join(random.choices(words, k=random.randint(1, 30))),
            )
            for _ in range(TEXTS)
        ]
        for number in range(songs):
            writer.writerow([f"song-{number:05d}", *texts[number % TEXTS], random.randrange(2**32)])
    return path


def soak(folder: Path, songs: int, seed: int, more: Sequence[str] = ()) -> Soak:
    """Make the songs in this process, then time a fresh one that finds them all made. Raises RuntimeError."""
    manifest = write_manifest(folder / "songs.csv", songs, seed)
    words = [*WORDS, *more, f"manifest.path={manifest}", f"output.root={folder / 'out'}"]
    sampler = Sampler()
    progress = logging.getLogger("acestep_batch.progress")
    progress.addHandler(sampler)
    try:
        code = run(words)
    finally:
        progress.removeHandler(sampler)
    if code != 0:
        raise RuntimeError(f"the run ended with {code}")
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "acestep_batch", *words], check=True, stdout=subprocess.DEVNULL)
    return Soak(songs, tuple(sampler.samples), time.perf_counter() - started)


def table(result: Soak) -> str:
    """Some of the samples, and the figures."""
    lines = [f"{'songs':>8}{'CPU s':>10}{'memory':>12}{'descriptors':>13}{'threads':>9}"]
    for each in result.samples[:: max(1, len(result.samples) // 10)]:
        memory = f"{each.rss_bytes / 1e6:.1f} MB"
        lines.append(f"{each.songs:>8,}{each.seconds:>10.1f}{memory:>12}{each.descriptors:>13}{each.threads:>9}")
    return "\n".join([
        *lines, "",
        f"memory: {result.bytes_a_song:+.0f} bytes a song (goal: below {MOST_BYTES_A_SONG})",
        f"descriptors: {_range(each.descriptors for each in result.settled)}, "
        f"threads: {_range(each.threads for each in result.settled)} (goal: constant)",
        f"speed: the last tenth took {result.slower:.2f} times the time of the first (goal: at most {MOST_SLOWER})",
        f"a resume that finds all {result.songs:,} songs done: {result.resume_s:.2f} s (goal: at most {MOST_RESUME_S})",
    ])  # fmt: skip


def _range(values: Iterable[int]) -> str:
    found = set(values)
    return f"{min(found)}" if len(found) == 1 else f"{min(found)} to {max(found)}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="of their prompts and seeds (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the samples here too")
    parser.add_argument("words", nargs="*", help="more of the run's command line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = soak(Path(folder), arguments.songs, arguments.seed, arguments.words)
    machine = str(detect())
    print(machine, table(result), sep="\n")
    if arguments.json:
        record = {"machine": machine, "seed": arguments.seed, "bytes_a_song": result.bytes_a_song,
                  "slower": result.slower, **asdict(result)}  # fmt: skip
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0 if result.is_flat else 1


if __name__ == "__main__":
    sys.exit(main())
