"""Signals while songs are rendered."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from acestep_batch.interrupts import Stopped, interrupts


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_is_noted_and_gives_the_exit_code(number, code):
    before = signal.getsignal(number)
    with interrupts() as asked:
        asked.check()
        signal.raise_signal(number)
        assert asked.code == code
        with pytest.raises(Stopped):
            asked.check()
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_the_second_signal_ends_the_process_at_once(name, code):
    program = f"""
import signal
from acestep_batch.interrupts import interrupts
with interrupts():
    signal.raise_signal(signal.{name})
    print("still here", flush=True)
    signal.raise_signal(signal.{name})
    print("never")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (code, "still here\n")
    assert "once more to stop at once" in ended.stderr
