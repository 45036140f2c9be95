"""``python -m acestep_batch presets``: the groups, and every preset with its values as overrides."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path

from acestep_batch.outputs.records import json_text
from acestep_batch.parameter import plain_number
from acestep_batch.problems import visible
from acestep_batch.schema import GROUPS


def run(words: Sequence[str], conf: Path) -> int:
    """Print groups and presets, the shipped ones and those of ``--config-dir``; returns the exit code."""
    from acestep_batch.hydra_config import composer

    parser = argparse.ArgumentParser(prog="python -m acestep_batch presets", description=__doc__)
    parser.add_argument("--config-dir", "-cd", help="a folder with presets of your own in DIR/preset/")
    parser.add_argument("--json", action="store_true", help="print groups and presets as JSON")
    flags = parser.parse_args(words)
    folders = [conf, *([Path(flags.config_dir)] if flags.config_dir else [])]

    def described(name: str) -> str:
        return _description([folder / "preset" / f"{name}.yaml" for folder in folders])

    with composer(conf, flags.config_dir, "config") as opened:
        if flags.json:
            presets = {
                name: {"description": described(name), "values": dict(opened.load_preset(name))}
                for name in opened.options("preset")
            }
            groups = {group: list(opened.options(group)) for group in GROUPS}
            print(json_text({"groups": groups, "presets": presets}, indent=2))
            return 0
        for group in GROUPS:
            plus = "+" if group == "preset" else ""
            print(f"{plus}{group}=  {', '.join(opened.options(group))}")
        for name in opened.options("preset"):
            values = visible(" ".join(f"{key}={_text(value)}" for key, value in opened.load_preset(name).items()))
            print(f"\n{visible(name)}: {described(name)}")
            print(textwrap.fill(values, 96, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))
    return 0


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return plain_number(value) if isinstance(value, int | float) else str(value)


def _description(files: Sequence[Path]) -> str:
    """What the comments of a preset's file say; the first of ``files`` that is there counts."""
    text = next((file.read_text(encoding="utf-8") for file in files if file.is_file()), "")
    comments = [line[1:].strip() for line in text.splitlines() if line.startswith("#")]
    return visible(" ".join(comment for comment in comments if not comment.startswith("@")))
