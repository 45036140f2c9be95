"""The verb ``pick``: chosen songs of a run written as a manifest that is ready to run, or as a preset."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from acestep_batch.layers import typed_presets
from acestep_batch.outputs.atomic import write_text
from acestep_batch.outputs.records import json_text
from acestep_batch.picking import chosen, manifest_text, preset_text, retake_of, row_of, unique_ids
from acestep_batch.preflight import CELLS
from acestep_batch.problems import refuse, visible
from acestep_batch.run_plan import read_plan
from acestep_batch.run_records import run_records, sweep_records
from acestep_batch.words import parse_words

HELP = """\
python -m acestep_batch pick FOLDER id=ID ... [+preset=NAME] [variance=V] [to=FILE] [--preset FILE] [--json]

Writes chosen songs of a run or a sweep as a new manifest, with their exact parameters and seeds.

  id=ID          a song's id, or a row's for all its takes; as often as there are songs.
                 In a sweep: id=CELL/ID, where the id stands in several cells
  +preset=NAME   leave to this preset what it sets, such as more steps; all else stays
  variance=V     not the songs themselves but retakes of them: 0 the same song, 1 another one
  to=FILE        the manifest's file, a .yaml; else RUN_picks.yaml in the current folder
  --preset FILE  instead of a manifest, the one chosen song as a preset in the guide's JSON format

  --json         print the file, its songs and the command that renders them as JSON

Nothing is overwritten. The last line is the command that renders what was picked.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise refuse("pick", message, "`python -m acestep_batch pick --help`")


def run(words: Sequence[str], conf: Path) -> int:
    """Carry the verb out; ``conf`` holds the shipped presets. Returns the exit code."""
    parser = _Parser(prog="python -m acestep_batch pick", add_help=False, allow_abbrev=False)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--preset", type=Path)
    parser.add_argument("--config-dir", "-cd")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    flags = parser.parse_intermixed_args(words)
    if flags.help:
        print(HELP, end="")
        return 0
    if flags.folder is None:
        raise refuse("pick", "names no folder", "such as `python -m acestep_batch pick outputs/demo/v0001 id=7`")
    ids = [word.removeprefix("id=") for word in flags.words if word.startswith("id=")]
    others = parse_words("pick", [word for word in flags.words if not word.startswith("id=")], _WORDS)
    if not ids:
        raise refuse("pick", "chooses no song", "name songs with id=, as summary.csv has them")
    folder = Path(flags.folder)
    songs = chosen(_records(folder), ids)
    preset = others.get("+preset")
    decided = {} if preset is None else _preset(preset, conf, flags.config_dir)
    rows = [row_of(song, folder.as_posix(), decided) for song in songs]
    if preset is not None:
        rows = [{"id": row.pop("id"), "preset": preset, **row} for row in rows]
    if "variance" in others:
        rows = [retake_of(row, _variance(others["variance"])) for row in rows]
    if flags.preset is not None:
        return _write_preset(rows, flags.preset, folder, flags.json)
    return _write_manifest(unique_ids(rows), _target(others.get("to"), folder), folder, flags.json)


_WORDS = ("+preset", "variance", "to")


def _records(folder: Path) -> list[Mapping[str, Any]]:
    if (folder / CELLS).is_dir():
        return sweep_records(folder)
    return run_records(folder, read_plan(folder))


def _preset(name: str, conf: Path, own: str | None) -> Mapping[str, Any]:
    from acestep_batch.hydra_config import composer

    with composer(conf, own, "config") as opened:
        return typed_presets(opened.load_preset)(name)


def _variance(text: str) -> float:
    try:
        variance = float(text)
    except ValueError:
        variance = -1.0
    if not 0 <= variance <= 1:
        raise refuse(f"variance={text}", "is no share", "allowed: a number, 0 to 1")
    return variance


def _target(given: str | None, folder: Path) -> Path:
    """Where the manifest goes: as given, or the first name that is free."""
    if given is not None:
        if Path(given).suffix.lower() not in (".yaml", ".yml"):
            raise refuse(f"to={given}", "is a manifest in YAML", "give it a name that ends in .yaml")
        return Path(given)
    parts = folder.resolve().parts[-2:]
    first = Path(f"{'_'.join(parts)}_picks.yaml")
    number = 1
    while (free := first if number == 1 else first.with_stem(f"{first.stem}-{number}")).exists():
        number += 1
    return free


def _write_manifest(rows: Sequence[Mapping[str, Any]], target: Path, folder: Path, as_json: bool) -> int:
    command = f"python -m acestep_batch manifest.path={shlex.quote(str(target))}"
    about = f"{len(rows)} {'song' if len(rows) == 1 else 'songs'} of {visible(folder.as_posix())}"
    _write(target, manifest_text(rows, [f"{about}, with every parameter as it was used", f"render: {command}"]))
    return _told(f"{about}: {target}", target, rows, command, as_json)


def _write_preset(rows: Sequence[Mapping[str, Any]], target: Path, folder: Path, as_json: bool) -> int:
    if len(rows) != 1:
        raise refuse("--preset", f"takes one song, and {len(rows)} are chosen", "name one id=")
    description = f"song {rows[0]['id']} of {folder.as_posix()}, with its texts and seed"
    _write(target, preset_text(rows[0], target.stem, description) + "\n")
    command = f"python -m acestep_batch preset_file={shlex.quote(str(target))} manifest.path=null"
    return _told(f"{visible(description)}: {target}", target, rows, command, as_json)


def _told(line: str, target: Path, rows: Sequence[Mapping[str, Any]], command: str, as_json: bool) -> int:
    if as_json:
        found = {"file": str(target), "songs": [str(row["id"]) for row in rows], "command": command}
        print(json_text(found, indent=2))
    else:
        print(line)
        print(f"render: {command}")
    return 0


def _write(target: Path, text: str) -> None:
    try:
        write_text(target, text)
    except FileExistsError:
        raise refuse(str(target), "exists already, and nothing is overwritten", "choose another name") from None
    except OSError as error:
        raise refuse(str(target), f"cannot be written ({error.strerror or error})", "choose another folder") from error
