"""What a run ran on, for the record: versions, machine, code and model files."""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acestep_batch import __version__
from acestep_batch.engine.base import ENGINE_VERSION
from acestep_batch.engine.v1.lyrics import LIBRARIES
from acestep_batch.hardware import Machine
from acestep_batch.outputs.atomic import write_text
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.outputs.records import json_text

_PACKAGES = (
    "torch", "transformers", "diffusers", "tokenizers", "safetensors", "numpy", "soundfile", "mutagen", "hydra-core",
    "omegaconf", "pandas", "pyarrow", *LIBRARIES,
)  # fmt: skip


def describe_environment(machine: Machine, model: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that a later reader needs to tell whether two runs had the same ground to stand on.

    ``model`` says where the weights come from (``engine.load.model_facts``).
    """
    return {
        "acestep_batch": __version__,
        "engine_version": ENGINE_VERSION,
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
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "model": dict(model),
    }


def keep_environment(folder: Path, environment: Mapping[str, Any]) -> dict[str, str]:
    """Write the environment into a run's folder, unless it stands there, and return its file's name and sha256.

    The first is ``environment.json``; a run that goes on elsewhere gets another one, so that every record can name its
    own. Raises OSError.
    """
    text = json_text(environment, indent=2) + "\n"
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    for name in ("environment.json", f"environment-{digest[:12]}.json"):
        path = folder / name
        try:
            write_text(path, text)
        except FileExistsError:
            if read_plain_file(path) != text.encode("utf-8"):
                continue
        return {"file": name, "sha256": digest}
    raise FileExistsError(errno.EEXIST, "it was changed since it was written", str(path))


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
        _git(folder, "ls-files", "--error-unmatch", "--", "__init__.py")  # it may lie in somebody else's checkout
        commit = _git(folder, "rev-parse", "HEAD")
        # A lock on the index, which other ways to ask take, would stay behind if this process was killed.
        changed = _git(folder, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}-dirty" if changed else commit or None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
