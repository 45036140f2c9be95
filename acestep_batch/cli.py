"""The command line: a verb, or a run that Hydra composes; problems become lines and exit codes.

Exit codes: 0 done, 1 some songs failed, 2 refused before any work, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from acestep_batch import __version__
from acestep_batch.problems import FAILED, INTERRUPTED, OK, REFUSED, Refused, refuse
from acestep_batch.shown import print_problems

VERBS = ("doctor", "download", "inspect", "pick", "presets", "report", "resume", "verify")

PACKAGE = Path(__file__).resolve().parent


def data_folder(name: str) -> Path:
    """``conf`` or ``manifests``: inside the installed package, or beside it in a checkout."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a redirected Windows console cannot say every title
            stream.reconfigure(errors="backslashreplace")
    try:
        if arguments and arguments[0] in VERBS:
            return _verb(arguments[0], arguments[1:])
        return _run(arguments)
    except Refused as refused:
        print_problems(refused.problems)
        return REFUSED
    except BrokenPipeError:
        # The reader (head, less) has gone; what is left to print goes nowhere, also at exit.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
        return OK
    except OSError as error:  # a full disk, a lost folder: what is finished stays
        print(f"error: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return FAILED
    except MemoryError:
        print("error: out of memory; what is finished stays, resume the run", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _verb(verb: str, words: Sequence[str]) -> int:
    if verb == "doctor":
        from acestep_batch import doctor

        return doctor.run(words)
    if verb == "download":
        from acestep_batch import download_v15

        return download_v15.run(words)
    if verb == "inspect":
        from acestep_batch import inspection

        return inspection.run(words)
    if verb == "pick":
        from acestep_batch import pick

        return pick.run(words, data_folder("conf"))
    if verb == "report":
        from acestep_batch import reporting

        return reporting.run(words)
    if verb == "verify":
        from acestep_batch import verify

        return verify.run(words)
    if verb == "resume":
        from acestep_batch import resume

        return resume.run(words, data_folder("conf"), data_folder("manifests"))
    from acestep_batch import presets

    return presets.run(words, data_folder("conf"))


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints have our form."""

    def error(self, message: str) -> NoReturn:
        raise refuse("command line", message, "`python -m acestep_batch --help`")


def _parser() -> argparse.ArgumentParser:
    """Hydra's own flags, as far as a run knows them."""
    parser = _Parser(prog="python -m acestep_batch", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--version", action="version", version=f"acestep_batch {__version__}")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cfg", "-c", choices=("job", "hydra", "all"))
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--package", "-p")
    parser.add_argument("--info", "-i", nargs="?", const="all",
                        choices=("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"))  # fmt: skip
    parser.add_argument("--hydra-help", action="store_true")
    parser.add_argument("--shell-completion", "-sc", action="store_true")
    parser.add_argument("--config-dir", "-cd")
    parser.add_argument("--config-name", "-cn", default="config")
    return parser


def _run(arguments: Sequence[str]) -> int:
    flags = _parser().parse_intermixed_args(arguments)
    if flags.resolve and not flags.cfg:
        raise refuse("--resolve", "only means something with --cfg", "--cfg job --resolve")
    if flags.multirun and (flags.cfg or flags.info):
        raise refuse("-m", "cannot stand beside --cfg or --info", "give the values of one cell")
    if flags.json and (flags.cfg or flags.info):
        raise refuse("--json", "goes with a run, and --cfg and --info start none", "drop it")
    if flags.help:
        from acestep_batch.reference import help_text

        print(help_text(data_folder("conf")))
        return OK
    from acestep_batch.config_files import check_config_folder
    from acestep_batch.hardware import detect, profile_for
    from acestep_batch.hydra_compose import show
    from acestep_batch.hydra_config import composer

    machine = detect()
    asked = [re.fullmatch(r"(?:generation\.)?device_id=(\d+)", word) for word in flags.overrides]
    auto_hw, note = profile_for(machine, next((int(match[1]) for match in asked if match), 0))
    is_auto = not any(word.startswith("hw=") and word != "hw=auto" for word in flags.overrides)
    notes = [f"hw=auto: {note}"] if note and is_auto else []

    if flags.hydra_help or flags.shell_completion:
        if flags.config_dir is not None:
            check_config_folder(Path(flags.config_dir), data_folder("conf") / "config.yaml")
        show(data_folder("conf"), arguments)
        return OK
    with composer(data_folder("conf"), flags.config_dir, flags.config_name) as open_composer:
        if flags.cfg or flags.info:
            overrides = open_composer.resolved(flags.overrides, auto_hw)
        else:
            from acestep_batch.run_folder import command_here
            from acestep_batch.session import run_layers

            cells, common = open_composer.sweep(flags.overrides, flags.multirun, auto_hw)
            command = command_here(flags.overrides, flags.multirun, flags.config_dir, flags.config_name)
            manifests = data_folder("manifests")
            return run_layers(cells, common, command, machine, manifests, notes, as_json=flags.json)
    kept = [word for word in arguments if word not in flags.overrides]
    show(data_folder("conf"), [*overrides, *kept])
    return OK
