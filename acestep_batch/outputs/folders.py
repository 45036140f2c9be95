"""Version folders that two runs never share, and what can be said about the disk before any folder is made."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from acestep_batch.outputs.atomic import make_folder, sync_folder
from acestep_batch.outputs.names import MAX_FOLDER_CHARS, safe_name, shortened
from acestep_batch.problems import Problem, refuse

_VERSION = re.compile(r"v([0-9]{4,9})")


def run_folder(root: Path, name: str) -> Path:
    """Where the versions of a run lie: `<root>/<name made safe>`. Creates nothing."""
    return root / shortened(safe_name(name), MAX_FOLDER_CHARS)


def claim_version(root: Path, name: str) -> Path:
    """Create `<root>/<name>/v0001`, or the number after the highest there, and return it; gaps stay gaps.

    Creating the folder is the claim, so runs that start together each get their own.

    Raises Refused when the folder cannot be created.
    """
    folder = run_folder(root, name)
    try:
        make_folder(folder)
        matches = (_VERSION.fullmatch(entry.name) for entry in folder.iterdir())
        number = max((int(match[1]) for match in matches if match), default=0) + 1
        while not _created(version := folder / f"v{number:04d}"):
            number += 1
        sync_folder(folder)
    except OSError as error:
        message = f"no version folder can be made there: {error.strerror}"
        raise refuse(str(folder), message, "choose another folder with output.root=") from error
    return version


def versions(folder: Path) -> list[Path]:
    """The version folders in `folder`, the newest first."""
    found = [(int(match[1]), entry) for entry in folder.iterdir() if (match := _VERSION.fullmatch(entry.name))]
    return [entry for _, entry in sorted(found, reverse=True)]


def check_writable(root: Path) -> Problem | None:
    """Whether files could be created in `root`, or in the nearest folder above it that exists; writes nothing.

    Windows' access lists are not consulted: there only `claim_version` knows for sure.
    """
    folder = nearest_existing(root)
    remedy = "choose another folder with output.root="
    if not folder.is_dir():
        return Problem("output.root", f"{folder} is a file, not a folder", remedy)
    if not os.access(folder, os.W_OK | os.X_OK):
        return Problem("output.root", f"{folder} is not writable", remedy)
    return None


def free_bytes(root: Path) -> int:
    """Free space on the disk that holds `root`, or would. Raises OSError."""
    return shutil.disk_usage(nearest_existing(root)).free


def nearest_existing(path: Path) -> Path:
    """`path`, or the first thing above it that exists."""
    path = path.absolute()
    return next(candidate for candidate in (path, *path.parents) if _exists(candidate))


def _exists(path: Path) -> bool:
    """Like Path.exists, but what lies in a folder that may not be searched counts as missing."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def _created(folder: Path) -> bool:
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True
