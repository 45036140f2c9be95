"""A run's or a sweep's folder: which one a command means, and what it says about itself."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from acestep_batch.lock import LOCKS, held
from acestep_batch.outputs.atomic import make_folder
from acestep_batch.outputs.folders import claim_version, run_folder, versions
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.outputs.records import json_text
from acestep_batch.problems import Problem, Refused, one_line, refuse
from acestep_batch.seals import write_sealed

RUN_FILE = "run.json"

_KINDS = ("run", "sweep", "cell")
_LARGEST_RUN_FILE_BYTES, _MOST_WORDS = 4 * 2**20, 1_000
_SOUND_SECTIONS = ("generation", "model", "lm", "manifest", "output")
_PLACE_KEYS = ("output.root", "generation.device_id")
"""Where the folder lies and which of equal GPUs works on it is no part of what it is."""


@dataclass(frozen=True, slots=True)
class Command:
    """The command line that made a folder, so that it can be repeated."""

    overrides: tuple[str, ...]
    """As typed."""
    multirun: bool
    config_dir: str | None
    config_name: str
    directory: str
    """The working directory, which relative paths start from."""


def key_facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """What two runs must share to be one: everything configured about songs, model, manifest and files.

    The hardware profile and the run's own options (such as ``limit``) may change from one start to the next.
    """
    facts = {
        f"{section}.{name}": value
        for section in _SOUND_SECTIONS
        for name, value in dict(config.get(section) or {}).items()
    }
    return {name: value for name, value in facts.items() if name not in _PLACE_KEYS}


def key_of(facts: Mapping[str, Any]) -> str:
    """The sha256 of the facts."""
    return hashlib.sha256(json_text(dict(sorted(facts.items()))).encode("utf-8")).hexdigest()


def read_run_file(folder: Path) -> dict[str, Any] | None:
    """What a folder says about itself; None where it is no run's folder. Raises Refused for a damaged file."""
    file = folder / RUN_FILE
    try:
        found = json.loads(read_plain_file(file, _LARGEST_RUN_FILE_BYTES))
        _check(found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        message = f"is not the run's own file as it was written ({one_line(error)})"
        raise refuse(str(file), message, "put it back, or start a new version with resume=false") from error
    return dict(found)


def _check(found: Mapping[str, Any]) -> None:
    """Raise ValueError, or LookupError or TypeError, for what this product never wrote."""
    if found["kind"] not in _KINDS or found["key"] != key_of(found["facts"]):
        raise ValueError("kind or key is wrong")
    command, swept = found["command"], found.get("swept", {})
    texts = [*command["overrides"], command["config_name"], command["directory"], *swept, *swept.values()]
    texts += [] if command["config_dir"] is None else [command["config_dir"]]
    if not isinstance(command["overrides"], list) or not isinstance(command["multirun"], bool):
        raise ValueError("the command is none")
    if len(texts) > _MOST_WORDS:
        raise ValueError(f"the command has more than {_MOST_WORDS:,} words")
    if any(not isinstance(text, str) or "\0" in text for text in texts):
        raise ValueError("the command or the swept values are no texts")


def find_version(root: Path, name: str, facts: Mapping[str, Any], kind: str, resume: bool | None) -> Path | None:
    """The version folder that a command goes on in; None where it begins one. Makes nothing.

    ``resume`` False always begins. Otherwise it is the newest with the same facts; where there is none, True refuses if
    there are others, and None begins.

    Raises:
        Refused: nothing to resume.
    """
    parent = _versions_folder(root, name)
    if resume is False or not parent.is_dir():
        return None
    others: list[tuple[Path, Mapping[str, Any]]] = []
    damaged: list[Problem] = []
    for version in versions(parent):
        try:
            own = read_run_file(version)
        except Refused as refused:
            damaged += refused.problems
            continue
        if own is None or own.get("kind") != kind:
            continue
        if own.get("key") == key_of(facts):
            refuse_links(version)
            return version
        others.append((version, own["facts"]))
    if damaged:  # any of them may be the one that is meant
        raise Refused(damaged)
    if resume and others:
        raise _nothing_to_resume(*others[0], facts)
    return None


def open_version(
    root: Path, name: str, facts: Mapping[str, Any], command: Command, kind: str, resume: bool | None
) -> Path:
    """``find_version``, and a new version folder where it finds none; processes that start together agree on one.

    Raises:
        Refused: nothing to resume, or the folder cannot be made.
    """
    parent = _versions_folder(root, name)
    if resume is False:
        return _described(claim_version(root, name), facts, command, kind)
    try:
        make_folder(parent)
    except OSError as error:
        message = f"no folder can be made there: {error.strerror}"
        raise refuse(str(parent), message, "choose another folder with output.root=") from error
    with held(parent / f"{LOCKS}.lock", wait_s=60):
        existing = find_version(root, name, facts, kind, resume)
        return existing or _described(claim_version(root, name), facts, command, kind)


def _versions_folder(root: Path, name: str) -> Path:
    """Where a run's versions lie. Raises Refused for a link there, and for a name that no file system takes."""
    parent = run_folder(root, name)
    try:
        _refuse_link(parent)
    except OSError as error:
        raise refuse("output.root", f"{parent}: {error.strerror}", "choose another folder with output.root=") from error
    return parent


def open_cell(folder: Path, facts: Mapping[str, Any], command: Command, swept: Mapping[str, str]) -> None:
    """Make a sweep's cell, unless it is there."""
    make_folder(folder)
    if read_run_file(folder) is None:
        _described(folder, facts, command, "cell", swept)


def _described(
    folder: Path, facts: Mapping[str, Any], command: Command, kind: str, swept: Mapping[str, str] | None = None
) -> Path:
    content = {"kind": kind, "key": key_of(facts), "command": asdict(command), "facts": dict(facts)}
    with suppress(FileExistsError):  # another shard was faster, and wrote the same
        write_sealed(folder / RUN_FILE, content if swept is None else {**content, "swept": dict(swept)})
    return folder


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Problem]:
    """What two configurations do not share, a line for each key."""
    return [
        Problem(name, f"was {_shown(before.get(name))}, is now {_shown(now.get(name))}")
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _shown(value: object) -> str:
    text = json_text(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def refuse_links(folder: Path) -> None:
    """Refuse a run's folder that is or holds a link, or a junction of Windows: what is written must stay there.

    ``output.root`` and what lies above it may be links; that is the choice of whoever gives it.
    """
    _refuse_link(folder)
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                _refuse_link(path)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)


def _refuse_link(path: Path) -> None:
    if path.is_symlink() or _is_junction(path):
        message = "is a link, and nothing below output.root is written through one"
        raise refuse(str(path), message, "put the files themselves there, or give their folder as output.root=")


def _is_junction(path: Path) -> bool:
    """Windows' other kind of link, which Python knows from 3.12 on."""
    known: Callable[[Path], bool] | None = getattr(os.path, "isjunction", None)
    return known is not None and known(path)


def _nothing_to_resume(newest: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> Refused:
    what = Problem(
        "resume=true",
        f"no version has this configuration; {newest} differs:",
        "leave resume=true out for a new version",
    )
    return Refused([what, *differences(before, now)])


def same_command(folder: Path) -> Command:
    """The command that made a folder.

    Raises:
        Refused: the folder is no run's.
    """
    found = read_run_file(folder)
    if found is None:
        raise refuse(str(folder), "is no run's folder", "give one such as outputs/demo/v0001")
    command = found["command"]
    return Command(
        tuple(command["overrides"]),
        command["multirun"],
        command["config_dir"],
        command["config_name"],
        command["directory"],
    )


def command_here(overrides: Sequence[str], multirun: bool, config_dir: str | None, config_name: str) -> Command:
    """A command typed in the present working directory."""
    return Command(tuple(overrides), multirun, config_dir, config_name, os.getcwd())  # noqa: PTH109
