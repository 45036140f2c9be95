"""L3: power cuts. The disk as it is at one moment is all that is left; every song that was acknowledged is on it.

The output folder is an ext4 in a file. At a moment that the seed chooses the writer is stopped and the file is copied:
what the writer's system still held in memory is not in the copy. The kernel may write back while it is copied, and a
real disk may lie about what it has; neither is tried.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from acestep_batch.ledger import latest, read_ledger
from acestep_batch.outputs.audio_files import decoded

from . import broken
from .cases import LONG, Workspace
from .crew import Crew
from .folders import differences, finished, run_folders, unsound
from .kills import Prepare, changed
from .mounts import loop, make_image, no_loop
from .report import Job, Size, Trial

CUTS = 200
CONTROLS = 10
ANNOUNCED = re.compile(r"^\[\d+/\d+\] (\S+) seed \d+: [0-9.]+ s in", re.MULTILINE)
"""How the command says that a song is finished."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A power cut whose moment follows from the seed."""

    seed: str
    prepare: Prepare = broken.nothing


def jobs(crew: Crew, seed: int, size: Size) -> Iterator[Job]:
    """The trials of the goal."""
    reason = no_loop()
    cuts = [Cut(f"{seed}-{number}") for number in range(size.of(CUTS))]
    yield Job("L3", "power cuts of an ext4 disk", partial(crew.map, _cut, cuts), skipped=reason)
    for prepare, what in (
        (broken.syncs_nothing, "nothing synced"),
        (broken.syncs_no_records, "audio synced, records not"),
    ):
        controls = [Cut(f"{seed}-{number}", prepare) for number in range(size.for_controls(CONTROLS).of(CONTROLS))]
        yield Job("L3", what, partial(crew.map, _cut, controls), is_control=True, skipped=reason)


def _cut(space: Workspace, cut: Cut) -> Trial:
    unbroken = space.unbroken(LONG)
    duration_s = space.duration_s(LONG)
    space.reset(LONG)
    disk, left = space.folder / "disk.img", space.folder / "left.img"
    make_image(disk)
    with loop(disk, space.out):
        running = space.run(LONG, prepare=cut.prepare)
        time.sleep(Random(cut.seed).uniform(0.2, 1.1) * duration_s)
        os.kill(running.pid, signal.SIGSTOP)
        said = (space.folder / "log.out").read_text(encoding="utf-8")
        shutil.copyfile(disk, left)
        running.wait(kill_after_s=0)
    acknowledged = set(ANNOUNCED.findall(said))
    with loop(left, space.out):
        failures = [*_lost(space.out, unbroken, acknowledged), *unsound(space.out)]
        kept = finished(space.out, unbroken)
        again = space.run(LONG).wait()
        if again.code != 0 or again.has_traceback:
            failures.append(f"the resumed run ended with {again.code}: {again.err[-300:]}")
        failures += [*changed(kept), *differences(space.out, unbroken)]
    figures = (("songs acknowledged before the cut", len(acknowledged)),)
    return Trial(f"seed {cut.seed}", tuple(failures), figures=figures)


def _lost(root: Path, unbroken: Path, acknowledged: set[str]) -> Iterator[str]:
    """Acknowledged songs that are not there with the samples they should have."""
    (reference,) = run_folders(unbroken)
    right = latest(read_ledger(reference).records)
    folders = run_folders(root)
    found = latest(read_ledger(folders[0]).records) if folders else {}
    for song in sorted(acknowledged):
        if song not in found or found[song]["status"] != "ok":
            yield f"{song} was acknowledged and has no record"
            continue
        for name in found[song]["files"]:
            path = folders[0] / name
            if not path.exists() or decoded(path)[0] != right[song]["pcm_sha256"]:
                yield f"{song} was acknowledged, and {name} is lost"
