"""The `doctor` verb: what this machine can run, one line a check, one remedy a line."""

from __future__ import annotations

import argparse
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from acestep_batch.doctor_facts import Facts, gather
from acestep_batch.hardware import (
    GIB,
    Machine,
    gpu_problem,
    profile_for,
)
from acestep_batch.outputs.records import json_text
from acestep_batch.problems import Problem
from acestep_batch.schema_run import Output
from acestep_batch.scores.known import Found
from acestep_batch.v15_target import SMALL_GIB
from acestep_batch.words import parse_words

WIDTH = 96
LONG_SONG_BYTES = 240 * 48_000 * 2 * 2
"""Four minutes of 16-bit stereo at 48 kHz."""
WEIGHTS_BYTES = 8_280_000_000
"""Size of the v1 checkpoint as published."""


class Mark(StrEnum):
    """How a check came out; FAIL is kept for what stops even the embedded model."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    mark: Mark
    what: str
    remedy: str = ""


def run(argv: Sequence[str]) -> int:
    """Print the report; 0 when at least ``model=embedded`` can run here, else 2. Raises Refused for other words."""
    parser = argparse.ArgumentParser(prog="python -m acestep_batch doctor", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="key=value", help="output.root=DIR, model.path=DIR")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    flags = parser.parse_args(argv)
    values = parse_words("doctor", flags.words, ("output.root", "model.path"))
    report = checks(gather(Path(values.get("output.root", Output().root)), values.get("model.path")))
    lines = [{"mark": str(check.mark), "what": check.what, "remedy": check.remedy} for check in report]
    print(json_text({"checks": lines}, indent=2) if flags.json else render(report))
    return 2 if any(check.mark is Mark.FAIL for check in report) else 0


def checks(facts: Facts) -> list[Check]:
    """The report, most basic things first."""
    return [
        _machine(facts.machine),
        _torch(facts),
        *_devices(facts),
        _output(facts),
        *_encoders(facts.formats),
        *_checkpoint(facts.checkpoint, facts.checkpoint_problems),
        *_v15(facts),
        *_scores(facts.scores),
        *_compiler(facts),
    ]


def render(report: Sequence[Check]) -> str:
    """The report as plain ASCII text of at most 96 columns (paths and driver messages are not cut)."""
    lines: list[str] = []
    for check in report:
        lines += _wrapped(f"{check.mark:<6}", check.what)
        lines += _wrapped("      -> ", check.remedy) if check.remedy else []
    return "\n".join(lines).encode("ascii", "backslashreplace").decode()


def _wrapped(lead: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _machine(machine: Machine) -> Check:
    what = (
        f"machine: {machine.os} {machine.arch}, Python {machine.python}, {machine.cpu_count} CPUs ({machine.vector}), "
        f"{machine.memory_bytes / GIB:.1f} GiB memory"
    )
    if machine.memory_bytes < WEIGHTS_BYTES:
        return Check(Mark.WARN, what, f"less than the {_gb(WEIGHTS_BYTES)} of v1's weights: stay with model=embedded")
    return Check(Mark.OK, what)


def _torch(facts: Facts) -> Check:
    if facts.build is None:
        return Check(Mark.FAIL, "torch: not installed", "pip install torch")
    kind = f"CUDA {facts.build.cuda}" if facts.build.cuda else "without CUDA"
    what = f"torch: {facts.build.version}, {kind}"
    if fault := facts.torch_faults["cpu"]:
        return Check(Mark.FAIL, f"{what}, does not work: {fault}", "pip install --force-reinstall torch")
    return Check(Mark.OK, f"{what}, works on the CPU")


def _devices(facts: Facts) -> Iterator[Check]:
    machine, driver = facts.machine, facts.machine.driver
    names = {f"cuda:{index}": f"{gpu}, driver {driver.version}" for index, gpu in enumerate(machine.gpus)}
    names |= {"mps": "Apple silicon"} if machine.is_apple_silicon else {}
    for device, name in names.items():
        fault = facts.torch_faults.get(device, "")
        what = f"device: {device}, {name}" + (f", does not work: {fault}" if fault else "")
        yield Check(Mark.WARN, what, "`hw=cpu model=embedded` works at once") if fault else Check(Mark.OK, what)
    profile, note = profile_for(machine)
    problem = None if profile == "mac" else gpu_problem(machine, facts.build)
    if problem and facts.build:
        yield Check(Mark.WARN, f"device: {problem.message}", problem.remedy)
    yield Check(Mark.OK, f"profile: hw=auto is hw={profile} here" + (f" ({note})" if note else ""))


def _output(facts: Facts) -> Check:
    if facts.output_fault:
        return Check(Mark.FAIL, f"output: {facts.output_fault}", "choose another folder with output.root=DIR")
    songs = facts.free_bytes // LONG_SONG_BYTES
    what = f"output: {_gb(facts.free_bytes)} free in {facts.output_root}, about {songs:,} songs of 4 minutes as wav"
    if songs < 10:
        return Check(Mark.WARN, what, "free some space, or choose another disk with output.root=DIR")
    return Check(Mark.OK, what)


def _encoders(formats: Mapping[str, str | None]) -> Iterator[Check]:
    working = [name for name, fault in formats.items() if fault is None]
    remedy = "pip install --force-reinstall soundfile"
    if not working:
        yield Check(Mark.FAIL, f"audio: no format can be written ({'; '.join(map(str, formats.values()))})", remedy)
        return
    yield Check(Mark.OK, f"audio: {', '.join(working)}")
    for name, fault in formats.items():
        if fault is not None:
            yield Check(Mark.WARN, f"audio: no {name} ({fault})", f"leave it out of output.formats, or {remedy}")


def _checkpoint(folder: Path | None, problems: Sequence[Problem]) -> Iterator[Check]:
    """One line for all files that lack the same."""
    if folder is None:
        remedy = "python -m acestep_batch download model=v1, or name its folder with model.path=DIR"
        yield Check(Mark.WARN, "checkpoint: v1 is not in the Hugging Face cache", remedy)
        return
    if not problems:
        yield Check(Mark.OK, f"checkpoint: v1 in {folder}")
    for message, remedy in dict.fromkeys((problem.message, problem.remedy) for problem in problems):
        alike = [problem.where for problem in problems if (problem.message, problem.remedy) == (message, remedy)]
        files = ", ".join(where.removeprefix(f"{folder}{os.sep}") for where in alike)
        yield Check(Mark.WARN, f"checkpoint: in {folder} {message}: {files}", remedy)


def _v15(facts: Facts) -> Iterator[Check]:
    """One line for each checkpoint of 1.5 and each planner that is here, or one for none."""
    for name, folder in facts.v15.items():
        yield Check(Mark.OK, f"1.5: {name} in {folder}")
    if not facts.v15:
        how = "`download model=v15_turbo` and `download lm=1.7b` fetch it"
        yield Check(Mark.OK, f"1.5: nothing of it is in the Hugging Face cache; {how}")
    if facts.machine.memory_bytes < SMALL_GIB * GIB:
        what = f"1.5: {facts.machine.memory_bytes / GIB:.1f} GiB of memory are little for it"
        yield Check(Mark.WARN, what, "lm=0.6b is taken by itself; lm=none needs least")


def _scores(scores: Mapping[str, Found]) -> Iterator[Check]:
    """Scores are extras: one that is not here is nothing to mend, but its line says how to get it."""
    for name, found in scores.items():
        if found.problem:
            what = f"scores={name}: {found.problem}" + (f"; {found.remedy}" if found.remedy else "")
            yield Check(Mark.OK, what)
        else:
            yield Check(Mark.OK, f"scores={name}: {found.weights or 'there'}")


def _compiler(facts: Facts) -> Iterator[Check]:
    if facts.machine.gpus and facts.compile_obstacle:
        yield Check(Mark.WARN, "compile: torch_compile falls back to eager", facts.compile_obstacle)
    elif facts.machine.gpus:
        yield Check(Mark.OK, "compile: torch_compile can be used")


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB"
