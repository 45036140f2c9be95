"""The log of a run: everything the product says while it works, in a file of the run's folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("acestep_batch")


class _RunLog(logging.FileHandler):
    """The run's log; where it cannot be written, such as on a full disk, the run goes on without it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Let the line go."""

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Everything the product logs goes to a file of the run as well."""
    handler = _RunLog(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(before)
        log.removeHandler(handler)
        handler.close()
