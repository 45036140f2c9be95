"""What a report is made from: the records of a run's or sweep's folder, which are read and never judged here."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep_batch.preflight import CELLS
from acestep_batch.problems import Problem, Refused, refuse
from acestep_batch.run_folder import RUN_FILE, read_run_file
from acestep_batch.run_plan import PLAN, read_plan
from acestep_batch.run_records import run_records, sweep_records


@dataclass(frozen=True, slots=True)
class Source:
    """One run or sweep."""

    folder: Path
    """Absolute."""
    name: str
    """Such as ``demo v0001``."""
    key: str
    """The hash of its configuration, from ``run.json``."""
    command: str
    """The command line that made it, as far as it is known."""
    records: tuple[Mapping[str, Any], ...]
    """The records that count, their files named from the folder; those of a sweep with ``cell`` and ``sweep.KEY``."""


def read_sources(folders: Iterable[Path]) -> list[Source]:
    """Every folder once, in the order given.

    Raises:
        Refused: with everything that is wrong with any of them.
    """
    found: list[Source] = []
    problems: list[Problem] = []
    for folder in dict.fromkeys(each.resolve() for each in folders):
        try:
            found.append(read_source(folder))
        except Refused as refused:
            problems.extend(refused.problems)
        except OSError as error:
            problems.append(Problem(str(error.filename or folder), f"cannot be read ({error.strerror or error})"))
    if problems:
        raise Refused(problems)
    return found


def read_source(folder: Path) -> Source:
    """The run or sweep that a folder holds.

    Raises:
        Refused: it holds neither, or its plan or ``run.json`` is damaged.
        OSError: its records cannot be read.
    """
    folder = folder.resolve()
    is_sweep = (folder / CELLS).is_dir()
    if not is_sweep and not (folder / PLAN).is_file():
        raise refuse(str(folder), "is no run's folder", "give one such as outputs/demo/v0001")
    records = sweep_records(folder) if is_sweep else run_records(folder, read_plan(folder))
    described = read_run_file(folder) if (folder / RUN_FILE).is_file() else None
    name = f"{folder.parent.name} {folder.name}".strip()
    key = str((described or {}).get("key", ""))
    return Source(folder, name, key, _command((described or {}).get("command")), tuple(records))


def _command(command: object) -> str:
    if not isinstance(command, Mapping):
        return ""
    words = ["python", "-m", "acestep_batch", *(["-m"] if command.get("multirun") else [])]
    return shlex.join([*words, *map(str, command.get("overrides") or ())])
