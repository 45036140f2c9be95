"""The `resume` verb: finish what a run's or sweep's folder lacks, or say what that is and why."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from acestep_batch.cells import Cell, Place, typed_run
from acestep_batch.compose import Run, build_run
from acestep_batch.hardware import detect, profile_for
from acestep_batch.hydra_config import composer
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.plain_yaml import load_yaml
from acestep_batch.preflight import CELLS, manifest_path
from acestep_batch.problems import Problem, Refused, one_line, refuse
from acestep_batch.reading import truth
from acestep_batch.run_folder import RUN_FILE, Command, read_run_file, refuse_links, same_command
from acestep_batch.run_plan import PLAN, read_plan
from acestep_batch.seals import broken_seals
from acestep_batch.session import run_cells, run_layers

ALLOWED = "output.allow_outside=true"
_LEAVES = "output.allow_outside"
_PUT_BACK = "put it back, or start a new version"
_LARGEST_CONFIG_BYTES = 4 * 2**20

HELP = """\
python -m acestep_batch resume FOLDER [--explain] [--as-planned] [--json] [shard=I/N]
                               [output.allow_outside=true]

Finishes a run or a sweep: makes the songs that are missing, failed or damaged, and touches no other.
The manifest is read again, so that an edited row is made again (what it had before moves to
superseded/). A song counts as done only if its audio is there and its samples are those recorded.

  --explain      say which songs would be made, and why; make nothing
  --as-planned   take the songs as they were planned, whatever manifest and configuration are now
  --json         end with one JSON object on standard output, and say all else on standard error
  shard=I/N      make every N-th micro-batch only, beside other processes
  output.allow_outside=true   needed again for a run that was started with it: a run's folder can
                 come from anybody, and what it says alone leads nowhere else
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise refuse("resume", message, "`python -m acestep_batch resume --help`")


def run(words: Sequence[str], conf: Path, manifests: Path) -> int:
    """Carry the verb out; ``conf`` and ``manifests`` are the product's own folders."""
    parser = _Parser(prog="python -m acestep_batch resume", add_help=False, allow_abbrev=False)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--explain", action="store_true")
    parser.add_argument("--as-planned", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    flags = parser.parse_intermixed_args(words)
    if flags.help:
        print(HELP, end="")
        return 0
    if flags.folder is None:
        raise refuse("resume", "names no folder", "such as `python -m acestep_batch resume outputs/demo/v0001`")
    for word in flags.words:
        if word != ALLOWED and not word.startswith("shard="):
            message = f"is neither shard=I/N nor {ALLOWED}"
            raise refuse(f"resume {word}", message, "`python -m acestep_batch resume --help`")
    shard = next((word.removeprefix("shard=") for word in flags.words if word != ALLOWED), None)
    command = same_command(Path(flags.folder))
    refuse_links(Path(flags.folder))
    folder = Path(flags.folder).resolve()
    described = read_run_file(folder) or {}
    if described.get("kind") == "cell":
        raise refuse(str(folder), "is one cell of a sweep", f"resume the sweep: {folder.parent.parent}")
    if flags.as_planned:
        return _as_planned(
            folder, command, flags.explain, shard, manifests, may_leave=ALLOWED in flags.words, as_json=flags.json
        )
    extra = [] if shard is None else [f"shard={shard}"]
    return _again(
        folder, command, flags.explain, extra, conf, manifests, may_leave=ALLOWED in flags.words, as_json=flags.json
    )


def _check_leave(folder: Path, leaves: bool, may_leave: bool) -> None:
    """Refuse a run that may write outside of its folder, unless whoever resumes it says so."""
    if leaves and not may_leave:
        message = "its run may write to other folders (output.allow_outside)"
        raise refuse(str(folder), message, f"if that is meant: python -m acestep_batch resume {folder} {ALLOWED}")


def _again(
    folder: Path,
    command: Command,
    explain: bool,
    extra: Sequence[str],
    conf: Path,
    manifests: Path,
    *,
    may_leave: bool,
    as_json: bool,
) -> int:
    """Compose the command once more, from the directory where it was typed."""
    if not Path(command.directory).is_dir():
        message = f"the directory of its command is gone: {command.directory}"
        raise refuse(str(folder), message, "resume it with --as-planned")
    here = Path.cwd()
    os.chdir(command.directory)
    if Path.cwd() == here and folder.is_relative_to(here):  # from elsewhere, only the whole path leads there
        folder = folder.relative_to(here)
    machine = detect()
    with composer(conf, command.config_dir, command.config_name) as opened:
        layers, common = opened.sweep([*_lasting(command), *extra], command.multirun, profile_for(machine)[0])
        for other in _later_commands(folder, command):
            layers += opened.sweep([*_lasting(other), *extra], True, profile_for(machine)[0])[0]
        _check_leave(folder, any(truth(each.config["output"]["allow_outside"]) for each in layers), may_leave)
        manifest = manifest_path(typed_run(layers[0]), manifests)
        if manifest is not None and not manifest.exists():
            raise refuse(
                str(manifest), "the run's manifest is gone", "put it back, or resume the run with --as-planned"
            )
        return run_layers(layers, common, command, machine, manifests, into=folder, explain=explain, as_json=as_json)


def _lasting(command: Command) -> list[str]:
    """The words of a command that say what its songs are, and not how it was started."""
    return [word for word in command.overrides if not word.startswith(("resume=", "shard="))]


def _later_commands(folder: Path, first: Command) -> list[Command]:
    """The commands that added cells to a sweep later, typed in the same directory with the same configuration."""
    cells = sorted((folder / CELLS).iterdir()) if (folder / CELLS).is_dir() else []
    found = [same_command(cell) for cell in cells if (cell / RUN_FILE).is_file()]
    place = (first.directory, first.config_dir, first.config_name)
    return list(
        dict.fromkeys(
            each for each in found if each != first and (each.directory, each.config_dir, each.config_name) == place
        )
    )


def _as_planned(
    folder: Path,
    command: Command,
    explain: bool,
    shard: str | None,
    manifests: Path,
    *,
    may_leave: bool,
    as_json: bool,
) -> int:
    """Take configuration and songs from the folder alone."""
    cells = folder / CELLS
    is_sweep = cells.is_dir()
    found = []
    folders = [each for each in sorted(cells.iterdir()) if (each / RUN_FILE).is_file()] if is_sweep else [folder]
    for each in folders:
        own = read_run_file(each) or {"facts": {}}
        _check_seals(each)
        run, plan = replace(_stored_run(each, shard), swept=own.get("swept", {})), tuple(read_plan(each))
        _check_leave(folder, run.output.allow_outside or bool(own["facts"].get(_LEAVES)), may_leave)
        if plan:  # no row of a cell may have been valid
            found.append(Cell(run, each.name if is_sweep else "", own["facts"], plan))
    if not found:
        raise refuse(str(folder / PLAN), "holds no song that was planned", "resume it without --as-planned")
    place = Place(command, Path(found[0].run.output.root), folder.parent.name, {}, "run", True, folder)
    return run_cells(found, place, detect(), manifests, (), explain, as_json)


def _check_seals(folder: Path) -> None:
    """Refuse a plan that is not as it was written: with ``--as-planned`` it is all that says what to make."""
    broken = [
        Problem(str(folder / name), fault, "take it from a copy, or resume without --as-planned")
        for name, fault in broken_seals(folder).items()
    ]
    if broken:
        raise Refused(broken)


def _stored_run(folder: Path, shard: str | None) -> Run:
    """The run that a folder's ``config.yaml`` describes.

    Raises:
        Refused: it cannot be read.
    """
    file = folder / "config.yaml"
    try:
        config = load_yaml(read_plain_file(file, _LARGEST_CONFIG_BYTES).decode("utf-8"), str(file), _PUT_BACK)
        values = {**config, "resume": True, "shard": shard, "dry_run": False}
        base = dict(config["generation"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise refuse(str(file), f"cannot be read ({one_line(error)})", _PUT_BACK) from error
    try:
        return build_run(values, base, {}, None, {}, _no_presets)
    except Refused as refused:
        wrong = [Problem(f"{file}: {each.where}", each.message, each.remedy or _PUT_BACK) for each in refused.problems]
        raise Refused(wrong) from refused


def _no_presets(name: str) -> NoReturn:
    raise refuse(f"preset {name}", "songs that are planned need none")
