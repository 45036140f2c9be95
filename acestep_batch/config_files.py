"""Checks a configuration folder of the user's own before Hydra reads it: its files are data, and nothing more."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acestep_batch.manifest_rows import LARGEST_TEXT_BYTES, read_text
from acestep_batch.plain_yaml import load_yaml
from acestep_batch.problems import Problem, Refused, refuse

_MOST_FILES = 1_000
_PACKAGE = re.compile(r"^#\s*@package\s+(\S+)", re.MULTILINE)
_HEADER_CHARS = 512
"""Where Hydra looks for headers."""
_REMEDY = "check indentation and quotes near this line"


def check_config_folder(folder: Path, shipped: Path) -> None:
    """Refuse a folder whose YAML files could do more than give values.

    Hydra imports modules that a file's ``hydra.searchpath`` names, and builds what ``hydra.callbacks`` and
    ``hydra.job_logging`` name. Nothing of it has an effect on a run, so that files say no more of it than
    ``shipped``, the product's own config.yaml.

    Raises:
        Refused: there is no such folder, or every problem of its files.
    """
    if not folder.is_dir():
        raise refuse(f"--config-dir {folder}", "there is no such folder", "check the path")
    files = sorted(_yaml_files(folder))
    allowed = load_yaml(read_text(shipped, str(shipped)), str(shipped), _REMEDY)["hydra"]
    problems: list[Problem] = []
    for file in files:
        try:
            text = read_text(file, str(file), LARGEST_TEXT_BYTES)
            content = load_yaml(text, str(file), _REMEDY)
        except Refused as refused:
            problems.extend(refused.problems)
            continue
        if _has_wrong_header(text):
            problems.append(Problem(str(file), "begins with a header that is none", "write it as `# @package NAME`"))
        if content is not None and not isinstance(content, dict):
            problems.append(Problem(str(file), "holds no names with values", "write `name: value`"))
        elif content is not None and not isinstance(content.get("defaults", []), list):
            problems.append(Problem(str(file), "its defaults are no list", "write them as a list"))
        if file.parent == folder and _lacks_self(content):
            problems.append(Problem(str(file), "its defaults do not say where its own values stand", "add `- _self_`"))
        if _speaks_to_hydra(text, content, allowed):
            problems.append(Problem(str(file), "sets something of hydra, which has no effect on a run", "leave it out"))
    if problems:
        raise Refused(problems)


def _yaml_files(folder: Path) -> Iterator[Path]:
    """The YAML files in a folder and those below it, links to folders not followed."""
    seen = 0
    for at, _, names in os.walk(folder):
        seen += 1 + len(names)
        if seen > _MOST_FILES:
            raise refuse(f"--config-dir {folder}", f"holds more than {_MOST_FILES:,} files", "give a folder of its own")
        yield from (Path(at, name) for name in names if name.endswith(".yaml"))


def _has_wrong_header(text: str) -> bool:
    """Whether Hydra would fail on the lines before the first that is no header."""
    for line in text[:_HEADER_CHARS].splitlines():
        if re.match(r"\s*#\s*@", line):
            if len([word for word in line.strip().lstrip("#").strip().split(" ") if word]) != 2:
                return True
        elif line.strip():
            return False
    return False


def _lacks_self(content: Any) -> bool:
    """Whether Hydra would warn that the order of a file and its defaults is not said."""
    if not isinstance(content, dict) or not isinstance(content.get("defaults"), list):
        return False
    return len(content) > 1 and "_self_" not in content["defaults"]


def _speaks_to_hydra(text: str, content: Any, allowed: Any) -> bool:
    if any("hydra" in package for package in _PACKAGE.findall(text)):
        return True
    if not isinstance(content, dict):
        return False
    if any(str(key).startswith("hydra") and (key, value) != ("hydra", allowed) for key, value in content.items()):
        return True
    defaults = content.get("defaults")
    named = (
        [word for each in defaults for word in (each if isinstance(each, dict) else [each])]
        if isinstance(defaults, list)
        else []
    )
    return any("hydra" in str(word) for word in named)
