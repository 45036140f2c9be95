"""Files of a run as they are read back: only plain ones, for a pipe or a device in their place might never end."""

from __future__ import annotations

import errno
import stat
from pathlib import Path


def read_plain_file(path: Path, most_bytes: int | None = None) -> bytes:
    """A file's content. Raises OSError, also where it is no plain file or has more bytes than ``most_bytes``."""
    check_plain_file(path, most_bytes)
    return path.read_bytes()


def check_plain_file(path: Path, most_bytes: int | None = None) -> None:
    """Raise OSError where a name is not that of a plain file, or of one with more bytes than ``most_bytes``."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is no plain file", str(path))
    if most_bytes is not None and status.st_size > most_bytes:
        raise OSError(errno.EFBIG, f"has {status.st_size:,} bytes, and {most_bytes:,} are the most", str(path))
