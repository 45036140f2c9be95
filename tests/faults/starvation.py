"""L4: disks that are really full, limits on files, descriptors and memory: nothing is lost, nothing rendered twice."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from acestep_batch.run_plan import read_plan

from . import broken
from .cases import ALONE, HEAVY, Case, TracingEngine, Workspace
from .crew import Crew
from .errors import manners
from .folders import differences, finished, run_folders, unsound
from .kills import Prepare, changed
from .mounts import no_tmpfs, resize, tmpfs
from .report import Job, Size, Trial

DISKS, LIMITS = 50, 20
DISK_KIB = range(100, 420)
"""From less than the audio needs to a little more than everything needs."""
ROOMY = "64m"
DISK = -1
BALLAST = "ballast"
CONTROLS = 10


@dataclass(frozen=True, slots=True)
class Want:
    """What becomes scarce once so many songs are denoised and the next one is."""

    songs: int
    kind: int
    """Of ``setrlimit``; DISK for the disk."""
    amount: int
    """What is left of the disk or of memory, and how large a file may be, in bytes; how many more descriptors there may
    be, fewer than none where some are to be given back first."""
    prepare: Prepare = broken.nothing

    def begin(self, space: Workspace) -> None:
        """Let it be scarce from now on, for this process or on the workspace's disk."""
        if self.kind == DISK:
            _fill(space.out / BALLAST, self.amount)
            return
        if self.kind == resource.RLIMIT_AS:
            _hoard(self.amount)
            return
        limit = self.amount
        if self.kind == resource.RLIMIT_NOFILE:
            limit += sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1  # not the listing's own
        resource.setrlimit(self.kind, (limit, resource.getrlimit(self.kind)[1]))


def _hoard(left: int) -> None:
    """Let this process take no more memory from the system, and use up all it has but so many bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(),) * 2)
    with contextlib.suppress(MemoryError):
        while True:
            _HOARD.append(bytearray(_BLOCK))
    del _HOARD[len(_HOARD) - left // _BLOCK :]


_HOARD: list[bytearray] = []
_BLOCK = 2**16


def jobs(crew: Crew, seed: int, size: Size) -> Iterator[Job]:
    """The trials of the goal."""
    random = Random(seed)
    reason = no_tmpfs()
    disks = random.sample(DISK_KIB, size.of(DISKS))
    yield Job("L4", "a file system of too few KiB", partial(crew.map, _small_disk, disks), skipped=reason)
    for what, kind, full, amounts in (
        ("a disk that fills", DISK, DISKS, range(0, 48 * 1024, 1024)),
        ("a limit on the size of files (RLIMIT_FSIZE)", resource.RLIMIT_FSIZE, LIMITS, range(500, 38_000, 500)),
        ("a limit on open files (RLIMIT_NOFILE)", resource.RLIMIT_NOFILE, LIMITS, range(-12, 2)),
        ("a limit on memory (RLIMIT_AS)", resource.RLIMIT_AS, LIMITS, range(0, 2**24, 2**18)),
    ):
        wants = [Want(random.randrange(1, 6), kind, random.choice(amounts)) for _ in range(size.of(full))]
        own_reason = reason if kind == DISK else ""
        yield Job("L4", f"{what} while songs are made", partial(crew.map, _scarce, wants), skipped=own_reason)
    controls = [Want(2, DISK, 0, broken.forgets_latents) for _ in range(size.for_controls(CONTROLS).of(CONTROLS))]
    what = "latents that are not kept"
    yield Job("L4", what, partial(crew.map, _scarce, controls), is_control=True, skipped=reason)


def _small_disk(space: Workspace, kib: int) -> Trial:
    unbroken = space.unbroken(ALONE)
    space.reset(ALONE)
    with tmpfs(space.out, f"{kib}k"):
        return _starved(space, ALONE, unbroken, f"{kib} KiB", partial(resize, space.out, ROOMY))


def _scarce(space: Workspace, want: Want) -> Trial:
    case = HEAVY if want.kind == resource.RLIMIT_AS else ALONE
    unbroken = space.unbroken(case)
    space.reset(case)

    class ScarceEngine(TracingEngine):
        def denoise(self, requests, on_step=None):
            made = super().denoise(requests, on_step)
            if len(self.batches) == want.songs + 1:
                want.begin(space)
            return made

    relieve = partial((space.out / BALLAST).unlink, missing_ok=True)
    with tmpfs(space.out, "8m") if want.kind == DISK else nullcontext():
        return _starved(space, case, unbroken, f"{want}", relieve, want.prepare, ScarceEngine, want.kind)


def _fill(ballast: Path, left: int) -> None:
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(ballast, max(0, ballast.stat().st_size - left))


def _starved(
    space: Workspace,
    case: Case,
    unbroken: Path,
    name: str,
    relieve: Callable[[], object],
    prepare: Prepare = broken.nothing,
    engine: Callable[[Path], TracingEngine] = TracingEngine,
    kind: int = DISK,
) -> Trial:
    """Run in want, relieve the want, and go on."""
    ended = space.run(case, engine=engine, prepare=prepare).wait()
    failures = [*unsound(space.out), *manners(space, case, ended)]
    if ended.code == 0:
        failures += [f"ended with 0, but {each}" for each in differences(space.out, unbroken)]
    kept, rendered = finished(space.out, unbroken), space.batches()
    seeds = _kept_seeds(space)
    relieve()
    again = space.run(case).wait()
    if again.code != 0 or again.has_traceback:
        failures.append(f"the resumed run ended with {again.code}: {again.err[-300:]}")
    failures += [*changed(kept), *differences(space.out, unbroken)]
    twice = {batch for batch in space.batches()[len(rendered) :] if batch in rendered}
    if twice_kept := {batch for batch in twice if int(batch.split("@")[0]) in seeds}:
        failures.append(f"denoised again though their latents were kept: {twice_kept}")
    # One may have been written when the records could not be, and one denoised beside it; keeping takes memory itself.
    if len(twice) > 2 and kind != resource.RLIMIT_AS:
        failures.append(f"denoised again: {twice}")
    figures = (("songs denoised again", len(twice)), ("latents kept", len(seeds)))
    return Trial(name, tuple(failures), int(ended.code != 0), figures)


def _kept_seeds(space: Workspace) -> set[int]:
    """The seeds of the songs whose latents were kept."""
    kept = {path.stem for place in (space.out, space.cache) for path in place.rglob("latents/*.npz")}
    plans = [each for folder in run_folders(space.out) for each in read_plan(folder)]
    return {each.song.seed for each in plans if each.identity in kept}
