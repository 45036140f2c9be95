"""Small file systems of a trial's own: a tmpfs that fills up, an ext4 in a file whose power can be cut. Needs root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .cases import Workspace

IMAGE_BYTES = 48 * 2**20


def no_tmpfs() -> str:
    """Why no tmpfs can be mounted here; empty where one can."""
    try:
        with Workspace.temporary() as space, tmpfs(space.out, "1m"):
            return ""
    except (OSError, subprocess.CalledProcessError):
        return "a tmpfs cannot be mounted (needs root)"


def no_loop() -> str:
    """Why no file can be mounted as a disk here; empty where one can."""
    try:
        with Workspace.temporary() as space:
            make_image(space.folder / "disk.img")
            with loop(space.folder / "disk.img", space.out):
                return ""
    except (OSError, subprocess.CalledProcessError):
        return "a file cannot be mounted as an ext4 disk (needs root, mkfs.ext4 and loop devices)"


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[None]:
    """A file system in memory of this size (such as ``8m``) at a folder that is made for it."""
    folder.mkdir()
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "faults"):
        yield


def resize(folder: Path, size: str) -> None:
    """Give a tmpfs another size."""
    _call("mount", "-o", f"remount,size={size}", folder)


def make_image(file: Path) -> None:
    """An empty ext4 in a file."""
    with file.open("wb") as image:
        image.truncate(IMAGE_BYTES)
    _call("mkfs.ext4", "-q", file)


@contextmanager
def loop(image: Path, folder: Path) -> Iterator[None]:
    """The ext4 of an image at a folder, which is made where it is missing."""
    folder.mkdir(exist_ok=True)
    with _mounted(folder, "-o", "loop", image):
        yield


@contextmanager
def _mounted(folder: Path, *how: str | Path) -> Iterator[None]:
    _call("mount", *how, folder)
    try:
        yield
    finally:
        _call("umount", folder)


def _call(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True)
