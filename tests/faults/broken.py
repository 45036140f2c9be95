"""The product broken on purpose, in a child that is about to run it: the same trials must then find failures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from acestep_batch import attempts, execute, lock, run_work, runner
from acestep_batch.engine.base import Engine
from acestep_batch.ledger import Ledger
from acestep_batch.outputs import publish, records
from acestep_batch.plan import Song
from acestep_batch.problems import one_line


def nothing() -> None:
    """The product as it is."""


def writes_in_place() -> None:
    """Audio is written under its final name from the first byte."""

    @contextmanager
    def final_at_once(final: Path) -> Iterator[Path]:
        yield final

    publish.atomic_path = final_at_once


def forgets_its_records() -> None:
    """A run that goes on takes every song for unfinished."""
    run_work.read_ledger = lambda folder: Ledger(())


def retries_syncs() -> None:
    """A sync that failed is tried a second time, and taken for done then."""
    once = os.fsync

    def stubborn(descriptor: int) -> None:
        try:
            once(descriptor)
        except OSError:
            once(descriptor)

    os.fsync = stubborn


def swallows_ledger_errors() -> None:
    """A record that cannot be written is forgotten."""
    append = execute.append_record

    def careless(*arguments: Any) -> None:
        with suppress(OSError):
            append(*arguments)

    execute.append_record = careless


def forgets_latents() -> None:
    """What was rendered and could not be written is thrown away."""
    runner.save_latents = lambda *arguments: None


def gives_up_at_once() -> None:
    """Songs whose denoising goes wrong fail together, whatever it was."""

    def denoise(engine: Engine, songs: Sequence[Song], on_batch: attempts.OnBatch) -> list[attempts.Attempt]:
        try:
            made = engine.denoise([song.request() for song in songs], on_batch(songs))
        except Exception as error:
            return [attempts.Attempt(song, 0.0, error=one_line(error)) for song in songs]
        return [attempts.Attempt(song, 0.0, len(songs), denoised=own) for song, own in zip(songs, made, strict=True)]

    runner.denoise = denoise


def locks_nothing() -> None:
    """Every lock is had for the asking."""

    class Open:
        def __init__(self, file: Path) -> None:
            pass

        def acquire(self, timeout: float) -> None:
            pass

        def release(self) -> None:
            pass

    lock.FileLock = Open


def syncs_nothing() -> None:
    """Every sync is taken for done."""
    os.fsync = lambda descriptor: None


def syncs_no_records() -> None:
    """Audio is synced, and the line that says so is not."""
    records.sync_descriptor = lambda descriptor: None
