"""R2: the same songs in other surroundings: fresh processes of the embedded model, compared bit for bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import acestep_batch
from acestep_batch.ledger import latest, read_ledger
from acestep_batch.outputs.audio_files import decoded

from .cases import Workspace
from .crew import Crew
from .folders import run_folders, stable
from .report import Job, Size, Trial

ROWS = (
    {"id": "one", "prompt": "folk, banjo, 90 BPM", "lyrics": "[verse]\nrain on the roof"},
    {"id": "two", "prompt": "techno, dark", "audio_duration": 1.5},
    {"id": "three", "prompt": "jazz, 雨の日", "seed": 7},
    {"id": "four", "prompt": "ambient", "takes": 2},
)
_WORDS = ("model=embedded", "hw=cpu", "lint=off", "infer_step=2", "audio_duration=1", "strict=true", "output.name=run",
          "output.formats=[wav]", "resume=true", "measure=false", "report=false")  # fmt: skip
_MAIN = "import sys; from acestep_batch.cli import main; sys.exit(main())"
_SHUFFLED = """
import os, random
scan, names = os.scandir, os.listdir
class Shuffled:
    def __init__(self, *path): self.found = scan(*path)
    def __enter__(self): return self
    def __exit__(self, *error): self.found.close()
    def __iter__(self): return iter(random.sample(entries := list(self.found), len(entries)))
    def close(self): self.found.close()
os.scandir = Shuffled
os.listdir = lambda *path: random.sample(found := names(*path), len(found))
"""
_HASHED_SEEDS = "import acestep_batch.plan as plan; plan.seed_of_id = lambda row: hash(row) % 2**32\n"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is different around a run."""

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    words: tuple[tuple[str, ...], ...] = ((),)
    """More of the command line, for each process in turn."""
    prefix: tuple[str, ...] = ()
    """A command that runs the command."""
    flags: tuple[str, ...] = ()
    """Of the interpreter."""
    code: str = ""
    """Runs in the process before the command."""
    is_code_in_both: bool = False
    """Whether the run that it is compared with has the code too."""
    folder: str = "out"
    directory: str = ""
    umask: int = 0o022
    is_reversed: bool = False
    is_killed: bool = False
    """Whether the first process is killed after its first record."""


ALL = (
    Surroundings("a fresh process"),
    Surroundings("another hash seed", {"PYTHONHASHSEED": "4711"}),
    Surroundings("another working directory", directory="/"),
    Surroundings("another time zone", {"TZ": "Pacific/Kiritimati"}),
    Surroundings("a locale without UTF-8", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    Surroundings("umask 077", umask=0o077),
    Surroundings("a clock two years ahead", prefix=("faketime", "-f", "+2y")),
    Surroundings("folders listed in another order", code=_SHUFFLED),
    Surroundings("two shards", words=(("shard=1/2",), ("shard=2/2",))),
    Surroundings("micro-batches of 4", words=(("hw.batch_size=4",),)),
    Surroundings("rows in reverse", is_reversed=True),
    Surroundings("killed and resumed", words=((), ()), is_killed=True),
    Surroundings("a long path", folder="/".join(["deep" * 10] * 2)),
    Surroundings("one processor", prefix=("taskset", "-c", "0")),
    Surroundings("one thread", {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}),
    Surroundings("four threads", {"OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "4"}),
    Surroundings("another home", {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent/cache"}),
    Surroundings("an optimised interpreter", flags=("-O",)),
    Surroundings("the lowest priority", prefix=("nice", "-n", "19")),
)
HASHED = Surroundings("seeds from Python's hash", {"PYTHONHASHSEED": "4711"}, code=_HASHED_SEEDS, is_code_in_both=True)
NOT_COMPARED = frozenset({"index", "files", "audio"})
"""Where a row stands in the manifest, and the file's name, which says so."""


def jobs(crew: Crew, seed: int, size: Size) -> Iterator[Job]:
    """The trials of the goal."""
    possible = [each for each in ALL if not each.prefix or shutil.which(each.prefix[0])]
    chosen = Random(seed).sample(possible, size.of(len(possible)))
    yield Job("R2", f"{len(possible)} surroundings, embedded model, strict", partial(crew.map, _made_there, chosen))
    yield Job("R2", HASHED.name, partial(crew.map, _made_there, [HASHED]), is_control=True)


def _made_there(space: Workspace, there: Surroundings) -> Trial:
    here = Surroundings("here", {"PYTHONHASHSEED": "0"}, code=there.code if there.is_code_in_both else "")
    reference = space.folder / ("reference with code" if here.code else "reference")
    if not reference.exists():
        failures = _run(space, here, reference)
        if failures:
            return Trial("in peace", tuple(failures))
    place = space.folder / "there"
    shutil.rmtree(place, ignore_errors=True)
    failures = _run(space, there, place)
    ours, theirs = _songs(place / there.folder), _songs(reference / here.folder)
    if ours.keys() != theirs.keys():
        failures.append(f"songs {sorted(ours)} are not {sorted(theirs)}")
    for song in sorted(ours.keys() & theirs.keys()):
        names = [name for name, value in ours[song].items() if value != theirs[song].get(name)]
        if names:
            failures.append(f"{song} differs in {', '.join(names)}")
    return Trial(there.name, tuple(failures))


def _run(space: Workspace, there: Surroundings, place: Path) -> list[str]:
    """Make the songs there; what went wrong."""
    root, manifest = place / there.folder, place / "songs.json"
    root.mkdir(parents=True)
    manifest.write_text(json.dumps(ROWS[::-1] if there.is_reversed else ROWS, ensure_ascii=False), encoding="utf-8")
    command = [*there.prefix, sys.executable, *there.flags, "-c", there.code + _MAIN, *_WORDS,
               f"manifest.path={manifest}", f"output.root={root}"]  # fmt: skip
    variables = {"PYTHONPATH": _checkout(), "XDG_CACHE_HOME": str(space.cache), **there.variables}
    failures = []
    for number, words in enumerate(there.words):
        said = place / f"{number}.log"
        with said.open("wb") as log:
            process = subprocess.Popen(
                [*command, *words], stdout=log, stderr=log, cwd=there.directory or None, umask=there.umask,
                env=os.environ | variables,
            )  # fmt: skip
            if there.is_killed and number == 0:
                _kill_at_first_record(process, root)
            code = process.wait(600)
        if code not in (0, -signal.SIGKILL if there.is_killed and number == 0 else 0):
            failures.append(f"ended with {code}: {said.read_text('utf-8', 'replace')[-300:]}")
    return failures


def _kill_at_first_record(process: subprocess.Popen[bytes], root: Path) -> None:
    while process.poll() is None:
        if any(path.stat().st_size for path in root.glob("run/v*/records.jsonl")):
            process.kill()
        time.sleep(0.002)


def _songs(root: Path) -> dict[str, dict[str, Any]]:
    """The records of a run, with the samples as they are in the files now, without what the place or time decides."""
    found = {}
    for folder in run_folders(root):
        for song, record in latest(read_ledger(folder).records).items():
            samples = [decoded(folder / name)[0] for name in record.get("files", ())]
            kept = {name: value for name, value in stable(record).items() if name not in NOT_COMPARED}
            found[song] = kept | {"samples": samples}
    return found


def _checkout() -> str:
    """Where the package lies that is tried."""
    return str(Path(acestep_batch.__file__).resolve().parents[1])
