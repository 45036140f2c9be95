"""Measures songs beside a run: a thread that hands their files to a worker process, one by one, and keeps the lines.

Neither rendering nor the ledger ever waits for it. The process is started when the first song comes, and serves all
runs of this process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from acestep_batch.loudness_copies import LoudnessCopy, write_copy
from acestep_batch.measure.workers import Measured, Workers
from acestep_batch.measurements import append_measurement, key_in, measured_file
from acestep_batch.outputs.formats import audio_format
from acestep_batch.problems import one_line
from acestep_batch.schema_run import Output
from acestep_batch.score_lines import Key
from acestep_batch.shard import Shard

log = logging.getLogger("acestep_batch")

_LOOK_S = 0.1
"""How often the end of a run looks whether somebody wants it sooner."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file to be measured."""

    song_id: str
    key: Key
    path: Path
    format: str
    asked_duration_s: float | None


@dataclass(slots=True)
class Measuring:
    """The songs of one run that are measured, in the order in which they come; what waits is a few names each."""

    folder: Path
    shard: Shard | None
    output: Output
    known: set[Key]
    """What is measured already, or is about to be."""
    _waiting: SimpleQueue[_Wanted | None] = field(default_factory=SimpleQueue)
    _is_over: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def add(self, record: Mapping[str, Any]) -> None:
        """A song is on the disk; measure it, unless it has no audio or sounds like one that is measured."""
        file, key = measured_file(record), key_in(record)
        if file is None or key is None or key in self.known:
            return
        self.known.add(key)
        asked = record.get("audio_duration")
        if asked == -1:  # its planner decided
            asked = record.get("planned_duration_s")
        path = self.folder / str(file["path"])
        asked_s = None if asked is None else float(asked)
        self._waiting.put(_Wanted(str(record["id"]), key, path, str(file["format"]), asked_s))
        if self._thread is None:
            self._thread = Thread(target=self._measure, name="measurements", daemon=True)
            self._thread.start()

    def finish(self, check: Callable[[], None]) -> None:
        """Wait until all is measured. ``check`` is called now and then, and ends it by what it raises."""
        self._waiting.put(None)
        while self._thread is not None and self._thread.is_alive():
            check()
            self._thread.join(_LOOK_S)

    def cancel(self) -> None:
        """Wait for what has begun; the next resume measures the others."""
        self._is_over.set()
        self._waiting.put(None)
        if self._thread is not None:
            self._thread.join()

    def _measure(self) -> None:
        while (wanted := self._waiting.get()) is not None and not self._is_over.is_set():
            measured = warm_workers().submit(wanted.path, wanted.asked_duration_s).result()
            if measured.error:
                log.warning("%s: %s", wanted.path, measured.error)
            try:
                copy = self._copy(wanted, measured)
                append_measurement(self.folder, self.shard, wanted.song_id, wanted.key, measured, copy)
            except OSError as error:  # a full disk: the records tell more about it than this can
                log.warning("what was measured cannot be kept (%s); resume the run", one_line(error))
                return

    def _copy(self, wanted: _Wanted, measured: Measured) -> LoudnessCopy | None:
        """The copy at the loudness that is asked for, where one is; what goes wrong is told, and resume tries again."""
        target, found, output = self.output.loudness_lufs, measured.measurement, self.output
        if target is None or found is None:
            return None
        encode = audio_format(wanted.format, output.wav_subtype)
        try:
            return write_copy(self.folder, wanted.path, found, target, output.true_peak_ceiling_dbtp, encode)
        except Exception as error:
            log.warning("%s: no copy at %g LUFS: %s", wanted.path, target, one_line(error))
            return None


@contextmanager
def measuring(
    folder: Path, shard: Shard | None, output: Output, known: set[Key], check: Callable[[], None]
) -> Iterator[Measuring]:
    """Measure what is added in the block; at its end all is, or where it ends by an exception, what has begun.

    ``check`` may raise, such as KeyboardInterrupt, where nobody wants to wait any longer.
    """
    found = Measuring(folder, shard, output, known)
    try:
        yield found
        found.finish(check)
    except BaseException:
        found.cancel()
        raise


_WARM: dict[int, Workers] = {}
"""This process's worker, by the process's id: a fork has none, whatever its parent has."""


def warm_workers() -> Workers:
    """One worker for all runs of this process: starting one takes most of a second. It ends with the process."""
    return _WARM.setdefault(os.getpid(), Workers(1))
