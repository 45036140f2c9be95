"""The runs that faults are tried on, composed as the command line does it, and the folder of one worker."""

from __future__ import annotations

import importlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from sine_engine import SineEngine

from acestep_batch import cli
from acestep_batch.engine import load
from acestep_batch.hardware import Machine, detect, profile_for
from acestep_batch.hydra_config import Composer, Layers, composer
from acestep_batch.run_folder import command_here
from acestep_batch.session import run_layers

from .children import Child, Ended, Work, start
from .syscalls import Decide, Do

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A command, and what its folder holds before."""

    name: str
    rows: tuple[Row, ...]
    words: tuple[str, ...] = ()
    earlier: tuple[Row, ...] = ()
    """The manifest with which the folder was finished once; then the case is what an edited one does to it."""
    multirun: bool = False
    duration_s: float = 0.1


def songs(count: int) -> tuple[Row, ...]:
    """Rows of which the last but one sounds like the first."""
    rows = [{"id": f"song-{number}", "prompt": f"folk, {60 + number} BPM", "seed": number} for number in range(count)]
    if count > 2:
        rows[-2] |= {"prompt": rows[0]["prompt"], "seed": 0}
    return tuple(rows)


def edited(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The first row with another seed, the second gone, one more at the end."""
    return ({**rows[0], "seed": 1000}, *rows[2:], {"id": "new", "prompt": "jazz", "seed": 1001})


LONG = Case("20 songs in micro-batches of 3", songs(20), ("output.formats=[flac]", "hw.batch_size=3"))
SHORT = Case("4 songs as wav and ogg", songs(4), ("output.formats=[wav,ogg]", "hw.batch_size=2"))
EDITED = Case("an edited manifest", edited(songs(4)), ("output.formats=[flac]", "hw.batch_size=2"), songs(4))
SWEEP = Case("a sweep of 2 cells", songs(2), ("output.formats=[wav]", "guidance_scale=5,7"), multirun=True)
CASES = (LONG, SHORT, EDITED, SWEEP)
MEASURED = Case(
    "4 songs, measured, and copied at another loudness",
    songs(4),
    ("output.formats=[flac]", "hw.batch_size=2", "measure=true", "output.loudness_lufs=-14"),
    duration_s=0.5,
)
ALONE = Case("8 songs one by one", songs(8), ("output.formats=[wav]", "hw.batch_size=1"))
HEAVY = Case("8 songs of 5 s", songs(8), ALONE.words, duration_s=5.0)

_SHORT = (
    "model=embedded",
    "hw=cpu",
    "lint=off",
    "measure=false",
    "report=false",
    "audio_duration=0.1",
    "infer_step=2",
    "resume=true",
    "output.name=run",
)


for _name in (
    "email.parser", "encodings.utf_16_le", "encodings.utf_8_sig", "pandas.core.arrays.arrow.extension_types",
    "pandas.io.formats.csvs", "pyarrow.parquet", "rich._emoji_codes", "ssl",
):  # fmt: skip
    importlib.import_module(_name)  # what every run would import again in its own child


class TracingEngine(SineEngine):
    """Notes every micro-batch that it has denoised, a line of seeds and scales, in a file outside of the run."""

    def __init__(self, trace: Path) -> None:
        super().__init__()
        self.trace = trace

    def denoise(self, requests, on_step=None):
        made = super().denoise(requests, on_step)
        with self.trace.open("a", encoding="ascii") as file:
            file.write(" ".join(f"{request.seed}@{request.guidance_scale:g}" for request in requests) + "\n")
        return made


class Workspace:
    """One worker's folder: always the same paths, so that equal runs write equal bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out, self.logs, self.trace = folder / "out", folder / "log", folder / "trace.txt"
        self.manifest, self.cache = folder / "songs.json", folder / "cache"
        self._durations_s: dict[str, float] = {}
        folder.mkdir(parents=True, exist_ok=True)

    @staticmethod
    @contextmanager
    def temporary() -> Iterator[Workspace]:
        """A workspace for the time of the block."""
        with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
            yield Workspace(Path(folder).resolve())

    def reset(self, case: Case) -> None:
        """Put everything back to where the case begins."""
        for each in (self.out, self.cache):
            shutil.rmtree(each, ignore_errors=True)
        self.trace.unlink(missing_ok=True)
        if case.earlier:
            shutil.copytree(self._earlier(case), self.out)
        self.manifest.write_text(json.dumps(case.rows), encoding="utf-8")

    def run(
        self,
        case: Case,
        decide: Decide | None = None,
        engine: Callable[[Path], SineEngine] = TracingEngine,
        prepare: Callable[[], object] = lambda: None,
        words: Sequence[str] = (),
        logs: str = "log",
        watched: Path | None = None,
    ) -> Child:
        """Start the case's command.

        Args:
            decide: about its mutating calls below ``watched``, or else below the output root.
            engine: made with the file of the trace.
            prepare: called in the child before the command.
            words: more of the command line.
            logs: name of the files of its output.
        """
        work = self.work(case, engine, prepare, words)
        variables = {"XDG_CACHE_HOME": str(self.cache)}
        return start(work, self.folder / logs, variables, None if decide is None else (watched or self.out, decide))

    def work(
        self,
        case: Case,
        engine: Callable[[Path], SineEngine] = TracingEngine,
        prepare: Callable[[], object] = lambda: None,
        words: Sequence[str] = (),
    ) -> Work:
        """The command as a function of the child, with the command line's own handling of errors around it."""
        typed = (
            *_SHORT,
            f"audio_duration={case.duration_s}",
            *case.words,
            f"manifest.path={self.manifest}",
            f"output.root={self.out}",
            *words,
        )
        layers, common = _composed(typed, case.multirun)
        command = command_here(typed, case.multirun, None, "config")

        def composed(arguments: Sequence[str]) -> int:
            return run_layers(layers, common, command, _machine(), cli.data_folder("manifests"))

        def work() -> int:
            load.load_engine = lambda key: engine(self.trace)
            cli._run = composed
            prepare()
            return cli.main([])

        return work

    def duration_s(self, case: Case) -> float:
        """How long the case takes in peace while its calls are watched."""
        if case.name not in self._durations_s:
            self.reset(case)
            ended = completed(self.run(case, lambda call: Do.GO_ON).wait())
            self._durations_s[case.name] = ended.seconds
            self.reset(case)
        return self._durations_s[case.name]

    def batches(self) -> list[str]:
        """The micro-batches that were denoised, each as its seeds."""
        return self.trace.read_text(encoding="ascii").splitlines() if self.trace.exists() else []

    def unbroken(self, case: Case) -> Path:
        """The case carried out in peace, once; its output root, elsewhere."""
        place = self.folder / "unbroken" / case.name
        if not place.exists():
            self.reset(case)
            completed(self.run(case).wait())
            place.parent.mkdir(exist_ok=True)
            shutil.copytree(self.out, place)
        return place

    def _earlier(self, case: Case) -> Path:
        place = self.folder / "earlier" / case.name
        if not place.exists():
            before = replace(case, rows=case.earlier, earlier=())
            self.reset(before)
            completed(self.run(before).wait())
            place.parent.mkdir(exist_ok=True)
            self.out.rename(place)
        return place


def completed(ended: Ended) -> Ended:
    """The child, which must have done everything; raises RuntimeError with its last words otherwise."""
    if ended.code != 0 or ended.has_traceback:
        raise RuntimeError(f"a run in peace ended with {ended.code}:\n{ended.out[-1000:]}\n{ended.err[-3000:]}")
    return ended


@cache
def _composed(typed: tuple[str, ...], multirun: bool) -> tuple[list[Layers], Layers | None]:
    return _composer().sweep(typed, multirun, profile_for(_machine())[0])


@cache
def _machine() -> Machine:
    return detect()


@cache
def _composer() -> Composer:
    """Hydra's configuration, open as long as this process lives: rows load presets from it."""
    return _OPEN.enter_context(composer(cli.data_folder("conf"), None, "config"))


_OPEN = ExitStack()
