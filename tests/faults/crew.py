"""Trials shared out to worker processes, each with a folder of its own."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from .cases import Workspace

T = TypeVar("T")
R = TypeVar("R")


class Crew:
    """Worker processes, forked from this one with everything imported."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def map(self, function: Callable[[Workspace, T], R], tasks: Iterable[T]) -> Iterator[R]:
        """``function(workspace, task)`` of each task, in order. What it raises is raised here."""
        yield from self._pool.imap(_run, ((function, task) for task in tasks))


@contextmanager
def crew(workers: int) -> Iterator[Crew]:
    """Workers for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        context = multiprocessing.get_context("fork")
        with context.Pool(workers, _begin, (Path(folder),)) as pool:
            yield Crew(pool)


_WORKSPACE: list[Workspace] = []


def _begin(folder: Path) -> None:
    _WORKSPACE[:] = [Workspace(folder.resolve() / str(os.getpid()))]


def _run(job: tuple[Callable[[Workspace, T], R], T]) -> R:
    function, task = job
    return function(_WORKSPACE[0], task)
