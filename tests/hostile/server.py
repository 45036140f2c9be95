"""Asks the child process what comes of a case; one that hangs or kills it is answered for, the next has a new one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
PATIENCE_S, START_S = 30.0, 120.0
"""What one input, and the start of a process, may take on a machine that is busy with others."""
PRINTED = "printed"
"""The file below a child's folder that its standard output and standard error lead to."""


class Child:
    """A watched process, started when it is first asked."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._base = tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True)
        self._reading = ThreadPoolExecutor(1)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def ask(self, case_id: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """What came of a case: its complaints, and what it took."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{case_id}\n")
        process.stdin.flush()
        if line := self._line(patience_s):
            answer: dict[str, Any] = json.loads(line)
            return answer
        ended = self._ended()
        complaint = "did not end" if ended is None else f"killed the process ({ended}): {self._last_words()}"
        return {"complaints": [complaint], "cpu_s": 0.0, "peak_bytes": 0, "code": None}

    def _line(self, patience_s: float) -> str:
        """The next line that the process writes; empty where none comes."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            return self._reading.submit(self._process.stdout.readline).result(patience_s)
        except Late:
            return ""

    def _ended(self) -> int | None:
        """How the process ended by itself, which may take a moment after its last line; None where it had not."""
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        ended = self._process.poll()
        self._end()
        return ended

    def _last_words(self) -> str:
        with suppress(OSError):
            return (Path(self._base.name) / PRINTED).read_text(encoding="utf-8", errors="replace")[-1000:]
        return ""

    def close(self) -> None:
        """End the process, and clear up after it."""
        self._end()
        self._reading.shutdown()
        self._base.cleanup()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONIOENCODING": "utf-8",
            "HF_HUB_OFFLINE": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hostile.child", self._base.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, encoding="utf-8",
        )  # fmt: skip
        if not self._line(START_S):
            raise RuntimeError(f"the watched process does not start: {self._last_words()}")
        return self._process
