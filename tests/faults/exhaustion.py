"""L4: a device that runs out of memory, at every call of the engine in turn; every song is made, or fails alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from sine_engine import SineEngine

from acestep_batch.ledger import latest, read_ledger
from acestep_batch.outputs.audio_files import decoded

from . import broken
from .cases import Case, Workspace, songs
from .crew import Crew
from .errors import manners
from .folders import finished, run_folders, unsound
from .kills import Prepare, changed
from .report import Job, Size, Trial

TOGETHER = Case("9 songs in micro-batches of 4", songs(9), ("output.formats=[flac]", "hw.batch_size=4"))
CALLS = 6
"""Of the engine, in peace: denoising and decoding of three micro-batches."""
PATTERNS = 40
CONTROLS = 10


@dataclass(frozen=True, slots=True)
class Shortage:
    """Which calls of the engine run out of memory, counted from 1; with a share, each one at random."""

    first: int
    stays: bool = False
    share: float = 0.0
    seed: str = ""
    prepare: Prepare = broken.nothing

    def fits(self) -> Callable[..., bool]:
        """Whether the next call fits, whatever it is."""
        calls, random = iter(range(1, 10_000)), Random(self.seed)

        def fits(*_: object) -> bool:
            call = next(calls)
            if self.share:
                return random.random() >= self.share
            return call < self.first or (call > self.first and not self.stays)

        return fits


def jobs(crew: Crew, seed: int, size: Size) -> Iterator[Job]:
    """The trials of the goal."""
    calls = range(1, size.of(CALLS) + 1)
    random = Random(seed)
    at_random = [(random.uniform(0.1, 0.9), f"{seed}-{number}") for number in range(size.of(PATTERNS))]
    for what, shortages in (
        ("at one call of the engine", [Shortage(call) for call in calls]),
        ("from one call of the engine on", [Shortage(call, stays=True) for call in calls]),
        ("at random calls of the engine", [Shortage(0, share=share, seed=own) for share, own in at_random]),
    ):
        yield Job("L4", f"the device is out of memory {what}", partial(crew.map, _exhausted, shortages))
    controls = [Shortage(call, prepare=broken.gives_up_at_once) for call in range(1, CALLS + 1)]
    what = "a run that ends when memory does"
    yield Job("L4", what, partial(crew.map, _exhausted, controls), is_control=True)


def _exhausted(space: Workspace, shortage: Shortage) -> Trial:
    from starved_engine import StarvedEngine  # it imports torch, and with it this worker's later children have it

    unbroken = space.unbroken(TOGETHER)
    space.reset(TOGETHER)

    def engine(trace: Path) -> SineEngine:
        return StarvedEngine(shortage.fits())

    ended = space.run(TOGETHER, engine=engine, prepare=shortage.prepare).wait()
    failures = [*unsound(space.out), *manners(space, TOGETHER, ended), *_same_audio(space.out, unbroken)]
    records = latest(read_ledger(run_folders(space.out)[0]).records)
    if missing := {str(row["id"]) for row in TOGETHER.rows} - records.keys():
        failures.append(f"songs without a record: {missing}")
    failed = [record["error"] for record in records.values() if record["status"] != "ok"]
    failures += [f"failed for another reason: {error}" for error in failed if "OutOfMemoryError" not in error]
    if failed and not (shortage.stays or shortage.share):
        failures.append(f"one shortage cost a song: {failed}")
    kept = finished(space.out, unbroken)
    again = space.run(TOGETHER).wait()
    if again.code != 0 or again.has_traceback:
        failures.append(f"the resumed run ended with {again.code}: {again.err[-300:]}")
    failures += [*changed(kept), *_same_audio(space.out, unbroken)]
    if len(finished(space.out, unbroken)) != len(finished(unbroken, unbroken)):
        failures.append("songs are missing in the end")
    return Trial(f"{shortage}", tuple(failures), figures=(("songs failed alone", len(failed)),))


def _same_audio(root: Path, unbroken: Path) -> Iterator[str]:
    """Finished songs that do not sound as those of the unbroken run."""
    right = {path.name: decoded(path)[0] for path in finished(unbroken, unbroken)}
    for path in finished(root, unbroken):
        if decoded(path)[0] != right[path.name]:
            yield f"{path.name} does not sound as it should"
