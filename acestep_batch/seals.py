"""Seals: a file's sha256 inside itself, or in the run's list of seals, so that a byte that changed later is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.outputs.records import json_text, write_json

SEALS = "seals.json"
"""The sha256 of files that are written with a run's plan, by name; sealed itself."""

SEALED = ("config.yaml", "overrides.yaml", "manifest.jsonl", "plan.jsonl")
"""Those files."""

_SEAL = "seal_sha256"
"""The last key of a file that is sealed in itself: the sha256 of its JSON without it."""

_WRONG = "is not as it was written"


def record_sha256(record: Mapping[str, Any]) -> str:
    """The sha256 of a record's JSON, keys in their order."""
    return hashlib.sha256(json_text(record).encode("utf-8")).hexdigest()


def write_sealed(path: Path, content: Mapping[str, Any], *, replace: bool = False) -> None:
    """Write indented JSON that holds its own seal. Raises FileExistsError unless ``replace``, and OSError."""
    write_json(path, {**content, _SEAL: record_sha256(content)}, replace=replace)


def read_sealed(path: Path) -> dict[str, Any]:
    """The content of a file of ``write_sealed``, if every byte is as it was written.

    Raises:
        ValueError: it is not.
        OSError: the file cannot be read.
    """
    data = read_plain_file(path)
    content = json.loads(data)
    if not isinstance(content, dict) or data != (json_text(content, indent=2) + "\n").encode("utf-8"):
        raise ValueError(_WRONG)
    if content.pop(_SEAL, None) != record_sha256(content):
        raise ValueError(_WRONG)
    return content


def write_seals(folder: Path, texts: Mapping[str, str]) -> None:
    """Seal files of a folder by their texts, which are, or are about to be, written there as UTF-8, by name.

    Raises KeyError for one of ``SEALED`` that is missing.
    """
    seals = {name: hashlib.sha256(texts[name].encode("utf-8")).hexdigest() for name in SEALED}
    write_sealed(folder / SEALS, seals, replace=True)


def broken_seals(folder: Path) -> dict[str, str]:
    """What is wrong with the sealed files of a folder, by name; without their seals, nothing is known of any."""
    fault = ""
    try:
        seals = read_sealed(folder / SEALS)
        fault = "" if seals.keys() == set(SEALED) else _WRONG
    except FileNotFoundError:
        fault = "is missing"
    except (OSError, ValueError, RecursionError) as error:
        fault = f"cannot be read ({error})" if isinstance(error, OSError) else _WRONG
    if fault:
        return {SEALS: fault, **dict.fromkeys(SEALED, f"cannot be checked without {SEALS}")}
    found = {name: _fault(folder / name, str(seals[name])) for name in SEALED}
    return {name: fault for name, fault in found.items() if fault}


def _fault(path: Path, sha256: str) -> str:
    try:
        return "" if hashlib.sha256(read_plain_file(path)).hexdigest() == sha256 else _WRONG
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
