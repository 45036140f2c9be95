"""What machine this is and which hardware profile suits it, without torch: psutil and the driver's own library."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from acestep_batch.nvml import Driver, DriverState, Gpu, has_nvidia_card, load_library, read_driver
from acestep_batch.problems import Problem

GIB = 2**30
WORKS_AT_ONCE = "`model=embedded` works at once"
TORCH_PAGE = "pytorch.org/get-started/locally"


class CpuVector(StrEnum):
    """The widest vector instructions that torch's CPU kernels can use."""

    AVX512 = "AVX512"
    AVX2 = "AVX2"
    NEON = "NEON"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine, as far as a run needs to know it."""

    os: str
    """``Linux``, ``Windows`` or ``Darwin``."""
    arch: str
    """As the system names it: ``x86_64``, ``AMD64``, ``arm64``, ``aarch64``."""
    python: str
    cpu_count: int
    memory_bytes: int
    vector: CpuVector
    driver: Driver

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """The visible CUDA devices, in the order of ``device_id``."""
        return self.driver.gpus

    @property
    def is_apple_silicon(self) -> bool:
        """Whether torch's MPS device can exist here."""
        return self.os == "Darwin" and self.arch == "arm64"

    def __str__(self) -> str:
        gpus = ", ".join(str(gpu) for gpu in self.gpus) or "no CUDA device"
        return (
            f"{self.os} {self.arch}, Python {self.python}, {self.cpu_count} CPUs ({self.vector}), "
            f"{self.memory_bytes / GIB:.1f} GiB memory, {gpus}"
        )


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """The installed torch: its version and the CUDA version it was built for, None for a build without CUDA."""

    version: str
    cuda: str | None


def detect() -> Machine:
    """This machine, from the operating system and the NVIDIA driver; ``CUDA_VISIBLE_DEVICES`` is respected."""
    import psutil

    return Machine(
        os=platform.system(),
        arch=platform.machine(),
        python=platform.python_version(),
        cpu_count=psutil.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        vector=cpu_vector(platform.machine()),
        driver=read_driver(load_library(), has_nvidia_card(), os.environ.get("CUDA_VISIBLE_DEVICES")),
    )


def cpu_vector(arch: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> CpuVector:
    """The vector class of a processor of this architecture; ``cpuinfo`` is read on Linux only."""
    if arch.lower() in ("arm64", "aarch64"):
        return CpuVector.NEON
    if sys.platform == "win32":
        import ctypes

        # PF_AVX512F_INSTRUCTIONS_AVAILABLE and PF_AVX2_INSTRUCTIONS_AVAILABLE of winnt.h
        present = ctypes.windll.kernel32.IsProcessorFeaturePresent
        return CpuVector.AVX512 if present(41) else CpuVector.AVX2 if present(40) else CpuVector.NONE
    text = cpuinfo.read_text(encoding="ascii", errors="replace") if cpuinfo.is_file() else ""
    match = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    flags = match.group(1).split() if match else []
    return CpuVector.AVX512 if "avx512f" in flags else CpuVector.AVX2 if "avx2" in flags else CpuVector.NONE


def torch_build() -> TorchBuild | None:
    """The installed torch, read from its files and not imported; None where it is not installed."""
    try:
        distribution = importlib.metadata.distribution("torch")
    except importlib.metadata.PackageNotFoundError:
        return None
    version_file = Path(str(distribution.locate_file("torch/version.py")))
    return parse_torch_version(version_file.read_text(encoding="utf-8")) if version_file.is_file() else None


def parse_torch_version(text: str) -> TorchBuild:
    """Read the source of ``torch/version.py``: ``__version__ = '2.13.0+cpu'``, ``cuda: Optional[str] = None``."""
    values: Mapping[str, str | None] = {
        name: value or None
        for name, value in re.findall(r"^(\w+)\s*(?::[^=]*)?=\s*(?:['\"]([^'\"]*)['\"]|None)", text, re.MULTILINE)
    }
    return TorchBuild(values.get("__version__") or "unknown", values.get("cuda"))


@dataclass(frozen=True, slots=True)
class Card:
    """The card that a GPU profile was written for."""

    profile: str
    title: str
    name: re.Pattern[str]
    least_gib: float
    """What the driver reports for the full card is never less; ECC and firmware take up to a tenth."""


CARDS = (
    Card("h100", "H100 (80 GiB)", re.compile(r"\bG?H[128]00"), 75),
    Card("a100", "A100 (40 GiB)", re.compile(r"\bA100"), 39),
    Card("rtx4090", "RTX 4090 (24 GiB)", re.compile(r"\b4090"), 22),
    Card("a5000", "RTX A5000 (24 GiB)", re.compile(r"\bA5000\b"), 22),
)
"""Larger cards first: a card that no pattern names is treated as the first of those whose memory it has."""


def profile_for(machine: Machine, device_id: int = 0) -> tuple[str, str]:
    """The profile that ``hw=auto`` means here and a note, empty when nothing needs saying.

    Returns one of ``cpu, a5000, rtx4090, a100, h100, mac``. ``device_id`` counts the visible devices; one that is
    not there is judged as the first.
    """
    if machine.is_apple_silicon:
        return "mac", ""
    if not machine.gpus:
        driver = machine.driver
        found = driver.state in (DriverState.MISSING, DriverState.HIDDEN)
        return "cpu", f"{driver.state}: the cpu profile is used" if found else ""
    gpu = machine.gpus[device_id if device_id < len(machine.gpus) else 0]
    memory_gib = gpu.memory_bytes / GIB
    for card in CARDS:
        if card.name.search(gpu.name) and memory_gib >= card.least_gib:
            return card.profile, ""
    for card in CARDS:
        # Of the two with 24 GiB, an unknown card gets the cautious one: eager and shorter.
        if memory_gib >= card.least_gib and card.profile != "rtx4090":
            return card.profile, f"{gpu} has no profile of its own, treated as {card.title}"
    return "a5000", f"{gpu} is smaller than every profile's card, treated as RTX A5000 (24 GiB): keep songs short"


def card_warning(profile: str, machine: Machine, device_id: int = 0) -> str | None:
    """What to say about a GPU profile on another or a smaller card than its own; None when they match."""
    card = next((card for card in CARDS if card.profile == profile), None)
    if card is None or device_id >= len(machine.gpus):
        return None
    gpu = machine.gpus[device_id]
    if gpu.memory_bytes / GIB < card.least_gib:
        return f"hw={profile}: {gpu} is smaller than the profile's {card.title}; long songs may run out of memory"
    if not card.name.search(gpu.name):
        return f"hw={profile}: {gpu} is not the profile's {card.title}; its limits were not written for this card"
    return None


def device_problem(device: str, machine: Machine, build: TorchBuild | None, device_id: int = 0) -> Problem | None:
    """Why a real run on ``cpu``, ``cuda`` or ``mps`` cannot start here; None when nothing stands against it."""
    if device == "cuda":
        return gpu_problem(machine, build, device_id)
    if device == "mps" and not machine.is_apple_silicon:
        return Problem(
            "device",
            f"MPS (hw=mac) needs Apple silicon (Darwin on arm64), and this is {machine.os} on {machine.arch}",
            f"use hw=auto; {WORKS_AT_ONCE}",
        )
    return _no_torch(machine) if build is None else None


def gpu_problem(machine: Machine, build: TorchBuild | None, device_id: int = 0) -> Problem | None:
    """Why CUDA cannot be used: no GPU, no driver, a torch without CUDA, no torch; None when it can.

    The first obstacle is reported, in the order in which a person has to clear them.
    """
    driver = machine.driver
    fault = f"{driver.state} ({driver.fault})" if driver.fault else str(driver.state)
    match driver.state:
        case DriverState.NO_GPU:
            return _problem(fault, "use a machine with one, or hw=cpu, where v1 is slow")
        case DriverState.HIDDEN:
            return _problem(fault, "unset it, or name a device in it")
        case DriverState.MISSING:
            return _problem(fault, _driver_remedy(machine))
    if device_id >= len(driver.gpus):
        last = len(driver.gpus) - 1
        return _problem(f"device_id={device_id} is not there: 0 to {last} are visible", "choose one of them")
    if build is None:
        return _no_torch(machine)
    if build.cuda is None:
        return _problem(
            f"the installed torch {build.version} is a build without CUDA"
            + (" (what plain PyPI gives on Windows)" if machine.os == "Windows" else ""),
            f"replace it by a CUDA build: {_cuda_build_remedy(machine)}",
        )
    if driver.cuda and _major(driver.cuda) < _major(build.cuda):
        return _problem(
            f"driver {driver.version} supports CUDA {driver.cuda}, but torch {build.version} is built for {build.cuda}",
            f"update the NVIDIA driver, or install torch for CUDA {_major(driver.cuda)}: {_cuda_build_remedy(machine)}",
        )
    return None


def compile_obstacle(device: str, system: str) -> str | None:
    """Why torch.compile cannot work on this device, or None when nothing is known against it."""
    if device == "mps":
        return "it is not supported on MPS"
    if device == "cuda":
        if find_spec("triton") is not None:
            return None
        return f"Triton is missing: pip install {'triton-windows' if system == 'Windows' else 'triton'}"
    compilers = ("cl",) if system == "Windows" else ("c++", "g++", "clang++")
    if any(shutil.which(name) for name in compilers):
        return None
    return f"it needs a C++ compiler on the CPU ({' or '.join(compilers)})"


def _problem(message: str, remedy: str) -> Problem:
    return Problem("device", message, f"{remedy}; {WORKS_AT_ONCE}")


def _no_torch(machine: Machine) -> Problem:
    remedy = _cuda_build_remedy(machine) if machine.gpus else "pip install torch"
    return Problem("device", "torch is not installed", f"{remedy}; after that {WORKS_AT_ONCE}")


def _cuda_build_remedy(machine: Machine) -> str:
    return f"choose Stable, {machine.os}, Pip and CUDA at {TORCH_PAGE} and run the command it shows"


def _driver_remedy(machine: Machine) -> str:
    if machine.os == "Windows":
        return "install the NVIDIA driver from nvidia.com/drivers and restart"
    return (
        "install the NVIDIA driver (Ubuntu: sudo ubuntu-drivers install) and restart; "
        "in a container, start it with GPU access (docker run --gpus all)"
    )


def _major(cuda: str) -> int:
    return int(cuda.partition(".")[0])
