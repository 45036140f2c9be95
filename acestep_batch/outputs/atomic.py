"""Files that appear under their final name whole and on disk, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"
"""Every unfinished file begins with this; no finished file does. A killed run may leave some behind."""

_FULLFSYNC_UNKNOWN = {errno.EINVAL, errno.ENOTSUP, errno.ENOTTY}
_FOLDER_SYNC_UNKNOWN = {errno.EBADF, errno.EINVAL}


@contextmanager
def atomic_path(final: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `final`, with its suffix; when the block ends well, it becomes `final`.

    The temporary file is synced, renamed, and the folder is synced: after the block the file survives a power cut.
    If the block raises, the temporary file is removed and nothing stands under the final name.

    Raises:
        FileExistsError: `final` exists and `replace` is false. No race can overwrite it where the file system
            has hard links (and on Windows, whose rename never overwrites).
        OSError: a step failed; the file must then be taken as not written.
    """
    temporary = final.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}{final.suffix}")
    try:
        yield temporary
        sync_file(temporary)
        if replace:
            temporary.replace(final)
        else:
            _rename_to_new_name(temporary, final)
        sync_folder(final.parent)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename = str(final)
        # A second failure while tidying up must not hide the first.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_bytes(final: Path, data: bytes, *, replace: bool = False) -> None:
    """Write a whole file durably. Raises FileExistsError unless `replace`, OSError when a step fails."""
    with atomic_path(final, replace=replace) as temporary:
        temporary.write_bytes(data)


def write_text(final: Path, text: str, *, replace: bool = False) -> None:
    """`write_bytes` of UTF-8 text; line ends are kept as they are."""
    write_bytes(final, text.encode("utf-8"), replace=replace)


def link_or_copy(source: Path, final: Path) -> None:
    """A second name for a file, or a copy of it where the file system has no hard links; durable either way.

    Raises FileExistsError when `final` exists, OSError when a step fails.
    """
    try:
        os.link(source, final)
    except FileExistsError:
        raise
    except OSError:
        with atomic_path(final) as temporary:
            shutil.copyfile(source, temporary)
    else:
        sync_folder(final.parent)


def make_folder(path: Path) -> None:
    """Create a folder and what it lacks above it, each durably; an existing folder is left alone.

    Raises OSError, also when a file stands in the way.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Force a file's content to the disk. Raises OSError; after that the content cannot be trusted."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        with naming(path):
            sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the system in the block name the file, which those of a write or a sync do not by themselves."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def sync_descriptor(descriptor: int) -> None:
    """fsync; on macOS the call that also empties the drive's cache, which its fsync leaves alone."""
    if sys.platform == "darwin":
        import fcntl

        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
        except OSError as error:
            if error.errno not in _FULLFSYNC_UNKNOWN:
                raise
    os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Force a folder's entries to the disk, so that a rename in it survives a power cut. Does nothing on Windows."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            sync_descriptor(descriptor)
    except OSError as error:
        # Some network file systems know no sync of folders; PostgreSQL tolerates the same two codes.
        if error.errno not in _FOLDER_SYNC_UNKNOWN:
            raise
    finally:
        os.close(descriptor)


def _rename_to_new_name(temporary: Path, final: Path) -> None:
    """Rename without ever overwriting: Windows' rename refuses by itself, POSIX' does not, but its link does."""
    if os.name == "nt":
        temporary.rename(final)
        return
    try:
        os.link(temporary, final)
    except FileExistsError:
        raise
    except OSError as error:
        # FAT, some network and phone file systems have no hard links; there a check must do.
        if final.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final)) from error
        temporary.rename(final)
    else:
        temporary.unlink()
