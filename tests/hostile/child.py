"""The process that runs cases: each line it reads is a case's id, each line it writes is what came of it, as JSON.

The first line that it writes says that it is ready.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import logging
import os
import shutil
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from .case import TINY, Case, Outcome, complaints
from .controls import CONTROLS
from .fuzz import case_called
from .server import PRINTED
from .watch import Watch

PRECIOUS = {"precious.txt": "mine", "x.wav": "mine too", "x.wav.json": "{}", "sub/deep.txt": "mine as well"}


def serve(base: Path) -> None:
    """Answer ids until standard input ends; everything that is written goes below ``base``."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What C libraries print, and loggers that hold the streams of the process's start, is seen too, and is no answer.
    printed = os.open(base / PRINTED, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    watch = Watch()
    watch.install()
    _prepare(base)
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        answers.write(json.dumps(_answer(line.strip(), watch, base)) + "\n")
        answers.flush()


def _prepare(base: Path) -> None:
    """Everything that the first command of a process pays for: imports, caches, the model."""
    for name in ("temp", "cache"):
        (base / name).mkdir(exist_ok=True)
    os.environ.update(TMPDIR=str(base / "temp"), XDG_CACHE_HOME=str(base / "cache"), HOME=str(base / "cache"))
    tempfile.tempdir = None
    _limit_memory()
    from acestep_batch import hydra_config
    from acestep_batch.cli import main
    from acestep_batch.engine import embedded

    # The product's own configuration is composed, and its small model built, once for all cases.
    hydra_config.compose_config = _remembering(hydra_config.compose_config)
    embedded.load_embedded_engine = functools.cache(embedded.load_embedded_engine)
    folder = base / "first"
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    (folder / "songs.csv").write_text("id,prompt\na,pop\n", encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if main(["manifest.path=songs.csv", *TINY]) != 0:
            raise RuntimeError("the run that warms the process up fails")


def _remembering(compose: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    known: dict[tuple[object, ...], DictConfig] = {}

    def remembered(name: str, overrides: Sequence[str] = ()) -> DictConfig:
        sources = GlobalHydra.instance().config_loader().get_search_path().get_path()
        if any(each.provider == "command-line" for each in sources):
            return compose(name, overrides)  # a case's own configuration
        key = (name, *overrides)
        if key not in known:
            known[key] = compose(name, overrides)
        return known[key]

    return remembered


def _limit_memory() -> None:
    """A bomb shall end in an exception, not with the machine."""
    if sys.platform != "win32":
        import resource

        most = 12 * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _answer(case_id: str, watch: Watch, base: Path) -> Mapping[str, object]:
    case = CONTROLS[case_id][0] if case_id in CONTROLS else case_called(case_id)
    folder = Path(tempfile.mkdtemp(prefix="case-", dir=base))
    work, outside = folder / "work", folder / "outside"
    work.mkdir()
    for name, content in PRECIOUS.items():
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text(content, encoding="utf-8")
    os.chdir(work)
    try:
        case.prepare(work)
        outcome = _run(case, watch, base, work)
        return {"complaints": complaints(case, outcome), "cpu_s": outcome.cpu_s, "peak_bytes": outcome.peak_bytes,
                "code": outcome.code, "err": outcome.err, "out": outcome.out}  # fmt: skip
    finally:
        os.chdir(base)
        shutil.rmtree(folder, ignore_errors=True)


def _run(case: Case, watch: Watch, base: Path, work: Path) -> Outcome:
    from acestep_batch.cli import main

    # What the product remembers of a file it remembers by its name, so that names are not the same in two cases.
    words = [
        word.replace("{outside}", str(work.parent / "outside")).replace("{work}", str(work)) for word in case.words
    ]
    root = work / case.root
    before = _tree(work.parent, root)
    out, err = io.StringIO(), io.StringIO()
    os.ftruncate(1, 0)
    resident, started = _start_measuring(), time.process_time()
    code: int | None = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _logged(err):
        watch.begin([root, base / "temp", base / "cache"])
        try:
            code = main(words) if case.instead is None else case.instead()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            err.write(traceback.format_exc())
        finally:
            watch.end()
    cpu_s, peak = time.process_time() - started, _peak_bytes() - resident
    err.write((base / PRINTED).read_text(encoding="utf-8", errors="backslashreplace"))
    after = _tree(work.parent, root)
    touched = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return Outcome(work, code, out.getvalue(), err.getvalue(), watch.wrote, watch.ran, watch.connected, touched,
                   cpu_s, peak)  # fmt: skip


@contextlib.contextmanager
def _logged(err: io.StringIO) -> Iterator[None]:
    """logging's last resort prints to the standard error of the process's start."""
    before, logging.lastResort = logging.lastResort, logging.StreamHandler(err)
    try:
        yield
    finally:
        logging.lastResort = before


def _tree(folder: Path, but: Path) -> dict[str, str]:
    """Every name below a folder with its kind and content, but for one subfolder."""
    found: dict[str, str] = {}
    for at, folders, files in os.walk(folder):
        here = Path(at)
        folders[:] = [name for name in folders if here / name != but]
        for name in (*folders, *files):
            path = here / name
            status = path.lstat()
            kind = stat.filemode(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                kind += str(path.readlink())
            elif stat.S_ISREG(status.st_mode) and status.st_size < 2**22:
                kind += hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(folder))] = kind
    return found


def _start_measuring() -> int:
    """Bytes that the process holds now; from here on its peak counts anew, where the system can do that."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status_bytes("VmRSS")


def _peak_bytes() -> int:
    return _status_bytes("VmHWM")


def _status_bytes(name: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    serve(Path(sys.argv[1]).resolve())
