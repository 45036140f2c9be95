"""Files are measured beside the caller; killed workers, broken files and signals cost one answer at most."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import soundfile
from synthesised import RATE, song

from acestep_batch.measure.measurement import measure_file
from acestep_batch.measure.workers import DIED, Measured, Workers, measure_here

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("songs") / "song.flac"
    soundfile.write(found, song(6, 1), RATE)
    return found


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file that a worker begins and never finishes: a pipe that nobody writes into."""
    found = tmp_path / "endless.wav"
    os.mkfifo(found)
    return found


OTHERS: set[int] = set()
"""Processes that there were before the test: other tests of this process may have left a warm worker."""


@pytest.fixture(autouse=True)
def others() -> None:
    OTHERS.clear()
    OTHERS.update(each.pid for each in workers_of(psutil.Process()))


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    found = [each for each in process.children() if "spawn_main" in " ".join(each.cmdline())]
    return [each for each in found if each.pid not in OTHERS]


def reading(fifo: Path) -> int:
    """Returns as soon as a worker has opened the pipe to read it; the descriptor keeps it waiting."""
    return os.open(fifo, os.O_WRONLY)


def test_a_worker_measures_what_this_process_would(path: Path) -> None:
    with Workers(2) as workers:
        found = [workers.submit(path, 6.0) for _ in range(3)]
    expected = measure_file(path, 6.0)
    assert {each.result() for each in found} == {Measured(expected.measurement, expected.fingerprint)}
    assert workers_of(psutil.Process()) == []


def test_workers_load_neither_torch_nor_pandas() -> None:
    code = (
        "import sys; from pathlib import Path; from acestep_batch.measure import workers; before = set(sys.modules)\n"
        "workers.measure_here(Path('none.wav'), None)\n"
        "print(*(name for name in sys.modules if '.' not in name)); print(*(n for n in before if '.' not in n))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    loaded, by_the_caller = (set(line.split()) for line in result.stdout.splitlines())
    assert "scipy" in loaded
    assert loaded.isdisjoint({"torch", "pandas", "transformers", "hydra"})
    assert by_the_caller.isdisjoint({"scipy", "numpy", "pyloudnorm"})


def test_files_that_cannot_be_read_say_so(tmp_path: Path, path: Path) -> None:
    (tmp_path / "broken.flac").write_bytes(path.read_bytes()[:100])
    (tmp_path / "text.wav").write_text("no audio")
    for name in ("broken.flac", "text.wav", "missing.wav", "."):
        found = measure_here(tmp_path / name, None)
        assert found.measurement is None
        assert found.is_unreadable
        assert found.error.startswith("cannot be read: ")


@posix
def test_a_killed_worker_costs_its_own_file_alone(path: Path, endless: Path) -> None:
    with Workers(1) as workers:
        before, lost, after = (workers.submit(each) for each in (path, endless, path))
        descriptor = reading(endless)
        (worker,) = workers_of(psutil.Process())
        worker.kill()
        assert lost.result(60) == Measured(None, error=DIED)
        os.close(descriptor)
        assert after.result(60) == before.result(60)
        assert after.result(60).measurement is not None
        (other,) = workers_of(psutil.Process())
        assert other.pid != worker.pid
    assert workers_of(psutil.Process()) == []


@posix
def test_signals_do_not_end_a_worker_and_leaving_in_haste_cancels_what_has_not_begun(path: Path, endless: Path) -> None:
    workers = Workers(1)
    begun, waiting = workers.submit(endless), workers.submit(path)
    descriptor = reading(endless)
    (worker,) = workers_of(psutil.Process())
    for number in (signal.SIGINT, signal.SIGTERM):
        worker.send_signal(number)
    waiting.add_done_callback(lambda _: os.close(descriptor))  # then the worker's file ends
    with pytest.raises(KeyboardInterrupt), workers:
        raise KeyboardInterrupt
    assert waiting.cancelled()
    assert begun.result().is_unreadable
    assert not worker.is_running()


@posix
def test_a_killed_parent_leaves_no_process_behind(endless: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from acestep_batch.measure.workers import Workers\n"
        "Workers(1).submit(Path(sys.argv[1])).result()"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    parent = psutil.Popen([sys.executable, "-c", code, str(endless)], env=environment)
    descriptor = reading(endless)
    left = parent.children(recursive=True)
    assert workers_of(parent)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(left, timeout=30)
    os.close(descriptor)
    assert alive == []
