"""L5: bytes, sizes, names and places of finished files changed; every change found and named, no false alarm."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

from acestep_batch import song_checks

from .cases import CASES, EDITED, SHORT, SWEEP, Case, Workspace, completed, songs
from .crew import Crew
from .damage import done, draw, findings, is_named
from .folders import version_folder
from .report import Job, Size, Trial

TRIALS = {"flip": 5000, "truncate": 500, "delete": 200, "swap": 200}
CLEAN = 100
CONTROLS = 60
_MANNERS = {
    "flip": "one byte changed",
    "truncate": "a file cut short",
    "delete": "a file deleted",
    "swap": "two files that change places",
}


@dataclass(frozen=True, slots=True)
class _Draw:
    """One change at random to a finished case."""

    case: Case
    kind: str
    seed: str
    is_blind: bool = False
    """Whether the check does not look at audio, as a control."""


def jobs(crew: Crew, seed: int, size: Size) -> Iterator[Job]:
    """The trials of the goal."""
    for kind, trials in TRIALS.items():
        yield Job("L5", f"{_MANNERS[kind]}, in runs and sweeps", partial(_damaged, crew, seed, size.of(trials), kind))
    yield Job("L5", "finished folders that nothing happened to", partial(_clean, crew, seed, size.of(CLEAN)))
    blind = partial(_damaged, crew, seed, size.for_controls(CONTROLS).of(CONTROLS), "flip", is_blind=True)
    yield Job("L5", "a check that does not look at audio", blind, is_control=True)


def _damaged(crew: Crew, seed: int, count: int, kind: str, is_blind: bool = False) -> Iterator[Trial]:
    cases = (SHORT, EDITED, SWEEP)
    draws = [_Draw(cases[n % len(cases)], kind, f"{seed}-{kind}-{n}", is_blind) for n in range(count)]
    yield from crew.map(_found, draws)


def _found(space: Workspace, asked: _Draw) -> Trial:
    folder = _own_copy(space, asked.case)
    damage = draw(folder, asked.kind, Random(asked.seed))
    with done(damage, folder), _blind_to_audio() if asked.is_blind else nullcontext():
        found = findings(folder)
    files = [damage.file, *([damage.other] if damage.other else [])]
    missed = tuple(f"{file} is not named" for file in files if not is_named(file, found))
    return Trial(f"{asked.case.name}, seed {asked.seed}: {damage}", missed)


def _own_copy(space: Workspace, case: Case) -> Path:
    """A finished run that this worker may damage."""
    place = space.folder / "damaged" / case.name
    if not place.exists():
        shutil.copytree(space.unbroken(case), place)
    version = version_folder(place)
    assert version is not None
    return version


@contextmanager
def _blind_to_audio() -> Iterator[None]:
    """Checks that do not look at audio files."""
    looks = song_checks._audio
    song_checks._audio = lambda *song: iter(())
    try:
        yield
    finally:
        song_checks._audio = looks


def _clean(crew: Crew, seed: int, count: int) -> Iterator[Trial]:
    random = Random(seed)
    cases = []
    for number in range(count):
        case = random.choice(CASES)
        rows = tuple({**row, "seed": random.randrange(2**32)} for row in songs(random.randint(1, 6)))
        cases.append(replace(case, name=f"clean {number}", rows=rows, earlier=(), duration_s=random.uniform(0.1, 0.3)))
    yield from crew.map(_unharmed, cases)


def _unharmed(space: Workspace, case: Case) -> Trial:
    space.reset(case)
    completed(space.run(case).wait())
    version = version_folder(space.out)
    assert version is not None
    return Trial(case.name, tuple(map(str, findings(version))))
