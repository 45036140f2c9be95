"""What a person sees while a run goes: bars in a terminal, lines in a log, and an ETA measured from finished songs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from acestep_batch.engine.base import StepCallback
from acestep_batch.engine.v1.batching import model_calls
from acestep_batch.engine.v1.limits import song_frames
from acestep_batch.engine.v15.request import latent_frames
from acestep_batch.engine.v15.song import V15Song
from acestep_batch.plan import CheckedRow, Song
from acestep_batch.record import Outcome
from acestep_batch.stall import Stages, reported

log = logging.getLogger(__name__)

ROW_REPORT_S = 1.0
"""Seconds of silent checking after which rows are counted aloud."""


class RunConsole(Console):
    """A console that a run outlives: when its reader goes away, it falls silent and the songs go on."""

    def on_broken_pipe(self) -> None:
        """Let rich point standard output at nothing, but do not exit."""
        with suppress(SystemExit):
            super().on_broken_pipe()


@dataclass(slots=True)
class Pace:
    """How fast songs come, from those that have finished: seconds per unit of work."""

    remaining: float
    done: float = 0.0
    seconds: float = 0.0

    def finish(self, work: float, seconds: float) -> None:
        """Take in a song that took ``seconds``."""
        self.remaining -= work
        self.done += work
        self.seconds += seconds

    @property
    def eta_s(self) -> float | None:
        """Seconds to go; None before the first song is finished."""
        return self.remaining * self.seconds / self.done if self.done else None


def work_of(song: Song) -> float:
    """A song's share of the work: frames times calls of the model."""
    request = song.request()
    if isinstance(request, V15Song):
        frames = request.asked.frames or latent_frames(request.planner.longest_s)
        return frames * max(request.asked.infer_step, len(request.asked.timesteps))
    return song_frames(request) * model_calls(request)


def _length_s(outcome: Outcome) -> float:
    """As planned; of a song whose planner decided, of its audio."""
    rendered = outcome.rendered
    if rendered is None or outcome.song.generation.audio_duration > 0:
        return outcome.song.longest_s
    return float(rendered.audio.shape[-1] / rendered.sample_rate)


def clock(seconds: float | None) -> str:
    """``1:02:03`` or ``2:03``; dashes while nothing is known."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@dataclass(slots=True)
class RunProgress:
    """Draws a run; a Watcher of the runner."""

    console: Console
    pace: Pace
    total: int
    bars: Progress
    songs_bar: TaskID
    steps_bar: TaskID
    stages: Stages
    done: int = 0
    failed: int = 0

    def batch(self, songs: Sequence[Song]) -> StepCallback:
        """A micro-batch starts; returns what counts its steps."""
        title = ", ".join(song.id for song in songs)
        self.bars.reset(self.steps_bar, description=title[:28], total=1)

        self.stages.begin(f"the first step of {len(songs)} x {songs[0].longest_s:g} s", time.monotonic())

        def on_step(done: int, total: int) -> None:
            kind = "a denoising step" if done < total else "decoding and writing"
            self.stages.begin(f"{kind} of {len(songs)} x {songs[0].longest_s:g} s", time.monotonic())
            self.bars.update(self.steps_bar, completed=done, total=total)

        return on_step

    def finished(self, outcome: Outcome) -> None:
        """A song is on disk, or has failed; the next one's steps go on meanwhile."""
        self.done += 1
        self.failed += bool(outcome.error)
        self.pace.finish(work_of(outcome.song), outcome.seconds)
        eta = clock(self.pace.eta_s)
        self.bars.update(self.songs_bar, completed=self.done, eta=f"{eta} to go")
        song = outcome.song
        state = (
            f"FAILED: {outcome.error}" if outcome.error else f"{_length_s(outcome):.1f} s in {outcome.seconds:.1f} s"
        )
        self._say(f"[{self.done}/{self.total}] {song.id} seed {song.seed}: {state}, {eta} to go")

    def _say(self, line: str) -> None:
        log.info("%s", line)
        if not self.console.is_terminal or line.find("FAILED") >= 0:
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def run_progress(console: Console, songs: Sequence[Song]) -> Iterator[RunProgress]:
    """Bars for songs and steps in a terminal, a line for each song elsewhere."""
    bars = Progress(
        TextColumn("{task.description:<28}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[eta]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    stages = Stages()

    def say(line: str) -> None:
        log.warning("%s", line)
        console.print(f"slow: {line}", markup=False, highlight=False, soft_wrap=True)

    with bars, reported(stages, say):
        songs_bar = bars.add_task("songs", total=len(songs), eta=f"{clock(None)} to go")
        steps_bar = bars.add_task("steps", total=1, eta="")
        pace = Pace(sum(work_of(song) for song in songs))
        yield RunProgress(console, pace, len(songs), bars, songs_bar, steps_bar, stages)


def watch_rows(console: Console) -> Callable[[Iterable[CheckedRow], Callable[[], float]], Iterator[CheckedRow]]:
    """Counts the rows of a long manifest aloud; a short one is checked in silence."""

    def watch(rows: Iterable[CheckedRow], share: Callable[[], float]) -> Iterator[CheckedRow]:
        interval = ROW_REPORT_S if console.is_terminal else 10 * ROW_REPORT_S
        next_report = time.monotonic() + interval
        for number, row in enumerate(rows, 1):
            if number % 256 == 0 and time.monotonic() >= next_report:
                next_report += interval
                console.print(
                    f"checked {number:,} rows ({share():.0%})",
                    end="\r" if console.is_terminal else "\n",
                    highlight=False,
                )
            yield row

    return watch
