"""What a run ran on, for the record: versions, machine, code and model files."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from acestep_batch import __version__
from acestep_batch.hardware import Machine

_PACKAGES = (
    "torch", "transformers", "diffusers", "tokenizers", "safetensors", "numpy", "soundfile", "mutagen", "hydra-core",
    "omegaconf", "pandas", "pyarrow", "py3langid", "num2words", "pypinyin", "cutlet", "fugashi", "unidic-lite",
    "hangul-romanize",
)  # fmt: skip


def describe_environment(machine: Machine, engines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything that a later reader needs to tell whether two runs had the same ground to stand on."""
    return {
        "acestep_batch": __version__,
        "git_commit": git_commit(Path(__file__).parent),
        "packages": {name: version for name in _PACKAGES if (version := _version(name)) is not None},
        "machine": {
            "os": machine.os,
            "arch": machine.arch,
            "python": machine.python,
            "cpu_count": machine.cpu_count,
            "cpu_vector": str(machine.vector),
            "memory_bytes": machine.memory_bytes,
            "gpus": [{"name": gpu.name, "memory_bytes": gpu.memory_bytes} for gpu in machine.gpus],
            "driver": machine.driver.version or None,
        },
        "engines": [dict(engine) for engine in engines],
    }


def peak_process_bytes() -> int:
    """The most memory that this process has held so far, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def git_commit(folder: Path) -> str | None:
    """The commit of the checkout that holds ``folder``, with ``-dirty`` for changed files; None outside of one."""
    if not any((parent / ".git").exists() for parent in folder.resolve().parents):
        return None
    try:
        # An installed package may lie inside somebody else's checkout, whose commit says nothing about it.
        subprocess.run(
            ["git", "ls-files", "--error-unmatch", "--", "__init__.py"],
            cwd=folder, capture_output=True, timeout=10, check=True,
        )  # fmt: skip
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=folder, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
