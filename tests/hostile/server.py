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
PATIENCE_S = 20


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

    def ask(self, case_id: str) -> dict[str, Any]:
        """What came of a case: its complaints, and what it took."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{case_id}\n")
        process.stdin.flush()
        try:
            line = self._reading.submit(process.stdout.readline).result(PATIENCE_S)
        except Late:
            line = ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        ended = process.poll()
        self._end()
        return {"complaints": ["did not end" if ended is None else f"killed the process ({ended})"], "cpu_s": 0.0,
                "peak_bytes": 0, "code": None}  # fmt: skip

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
        return self._process
