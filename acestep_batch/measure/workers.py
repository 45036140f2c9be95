"""Measures files in other processes, so that nobody waits; no file and no dying process takes the caller down."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Self

from acestep_batch.measure.columns import Measurement

log = logging.getLogger(__name__)

DIED = "the process that measured it died; was it killed for want of memory?"
NICENESS = 10
"""Rendering goes first where both want the same processor."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a file: its numbers and its fingerprint, or why there are none."""

    measurement: Measurement | None
    fingerprint: bytes = b""
    error: str = ""
    is_unreadable: bool = False
    """The file itself is why; otherwise measuring it again may succeed."""


@dataclass(slots=True)
class Workers:
    """`count` processes, started when the first file comes; each measures one file at a time.

    Use it as a context: at its end everything submitted is finished; when it is left through an exception, what has
    not begun is cancelled. Each process has a pool of its own, so that one that dies takes its own file along and no
    other; the next file gets a new process.
    """

    count: int = 1
    _threads: ThreadPoolExecutor = field(init=False)
    _own: threading.local = field(default_factory=threading.local)
    _pools: set[ProcessPoolExecutor] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(self.count, thread_name_prefix="measure", initializer=_deafen)

    def submit(self, path: Path, asked_duration_s: float | None = None) -> Future[Measured]:
        """Measure a file that is whole; the future never raises but for its own cancellation."""
        own = path.absolute()  # a process keeps the directory that it was started in
        return self._threads.submit(self._measure, own, asked_duration_s)

    def close(self, cancel: bool = False) -> None:
        """Wait for what was submitted, or with `cancel` for what has begun, then end the processes. May be repeated."""
        self._threads.shutdown(wait=True, cancel_futures=cancel)
        for pool in self._pools:
            pool.shutdown()
        self._pools.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)

    def _measure(self, path: Path, asked_duration_s: float | None) -> Measured:
        """In a thread of its own, which does nothing but wait for its process."""
        try:
            return self._pool().submit(measure_here, path, asked_duration_s).result()
        except BrokenExecutor:
            self._drop()
            log.warning("%s: %s", path, DIED)
            return Measured(None, error=DIED)
        except Exception as error:  # no process can be started, for one
            log.exception("%s could not be measured", path)
            return Measured(None, error=f"{type(error).__name__}: {error}")

    def _pool(self) -> ProcessPoolExecutor:
        """This thread's process."""
        pool: ProcessPoolExecutor | None = getattr(self._own, "pool", None)
        if pool is None:
            context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks and the GPU's state
            pool = self._own.pool = ProcessPoolExecutor(1, context, initializer=become_worker)
            with self._lock:
                self._pools.add(pool)
        return pool

    def _drop(self) -> None:
        pool = self._own.__dict__.pop("pool")
        pool.shutdown()
        with self._lock:
            self._pools.discard(pool)


def _deafen() -> None:
    """Keep signals from this thread, and so from the processes that it starts: until one has set itself up as a worker,
    a Ctrl-C, which a terminal sends to all of them, would end it."""
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # starting it later would let signals in again
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))


def become_worker() -> None:
    """Set this process up as a worker: signals are its parent's business, and it does not outlive it."""
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """A worker would wait for ever for the next file of a parent that was killed: it holds the pipe's other end too."""
    wait([sentinel])
    os._exit(1)


def measure_here(path: Path, asked_duration_s: float | None) -> Measured:
    """Measure a file in this process; whatever goes wrong is part of the answer."""
    import soundfile

    from acestep_batch.measure.measurement import measure_file  # only workers load scipy

    try:
        heard = measure_file(path, asked_duration_s)
    except (OSError, soundfile.LibsndfileError) as error:
        return Measured(None, error=f"cannot be read: {error}", is_unreadable=True)
    except Exception as error:  # MemoryError, or a mistake in a measure
        return Measured(None, error=f"cannot be measured: {type(error).__name__}: {error}")
    return Measured(heard.measurement, heard.fingerprint)
