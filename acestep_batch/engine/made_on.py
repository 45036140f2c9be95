"""What a song is made on, as far as it can move the last bits: torch, the processors, the number of threads."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import torch


def made_on(device: torch.device, threads: int) -> dict[str, Any]:
    """For the record: torch's version and build, the CPU with the kernels that torch takes on it, the GPU, threads.

    Noise is drawn on the CPU, so that it matters on a GPU too.
    """
    return {
        "torch": torch.__version__,
        "cpu": f"{cpu_name()}, {torch.backends.cpu.get_cpu_capability()} kernels",
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": threads,
    }


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name; on Linux with its family and model, for some virtual machines hide the name."""
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
            return answer.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return platform.machine()
    text = cpuinfo.read_text(encoding="ascii", errors="replace") if cpuinfo.is_file() else ""
    found = dict(re.findall(r"^(model name|cpu family|model|CPU implementer|CPU part)\s*: *(.*)$", text, re.MULTILINE))
    if "model name" in found:
        return f"{found['model name'].strip()} (family {found.get('cpu family')}, model {found.get('model')})"
    if "CPU part" in found:
        return f"{platform.machine()} {found.get('CPU implementer')} {found['CPU part']}"
    return platform.processor() or platform.machine()
