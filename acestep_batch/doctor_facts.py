"""What the `doctor` verb asks this machine: disk, torch, codecs, weights; nothing is judged here."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from acestep_batch.engine.checkpoint import find_checkpoint, missing_files
from acestep_batch.engine.v15.planner_files import PLANNERS
from acestep_batch.engine.v15.weights import find_model, find_planner
from acestep_batch.hardware import Machine, TorchBuild, compile_obstacle, detect, gpu_problem, torch_build
from acestep_batch.models import MODELS
from acestep_batch.outputs.audio_files import available_formats
from acestep_batch.outputs.folders import check_writable, free_bytes, nearest_existing
from acestep_batch.problems import Problem
from acestep_batch.scores.known import Found, find_score, names

PROBE_TIMEOUT_S = 120
_PROBE = """
import sys, torch
for device in sys.argv[1:]:
    try:
        ones = torch.ones(8, device=device)
        fault = "" if int((ones + ones).sum()) == 16 else "adds wrongly"
    except Exception as error:
        fault = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    print(device, fault, sep="|", flush=True)
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the report is made of, gathered once."""

    machine: Machine
    build: TorchBuild | None
    torch_faults: Mapping[str, str]
    """For each device that was tried, why torch could not add numbers on it; empty where it could."""
    formats: Mapping[str, str | None]
    """For each audio format why it cannot be written; None where it can."""
    output_root: Path
    output_fault: str
    free_bytes: int
    checkpoint: Path | None
    checkpoint_problems: Sequence[Problem]
    compile_obstacle: str | None
    """Why torch.compile cannot work on a CUDA device here."""
    v15: Mapping[str, Path] = field(default_factory=dict)
    """What of 1.5 is in the Hugging Face cache, by how a command names it."""
    scores: Mapping[str, Found] = field(default_factory=dict)
    """Models that judge songs, by name."""


def gather(output_root: Path, model_path: str | None) -> Facts:
    """Ask the machine. torch is tried in a process of its own, where a broken installation can do no harm."""
    machine, build = detect(), torch_build()
    devices = ["cpu", *(f"cuda:{index}" for index in range(len(machine.gpus)))]
    devices += ["mps"] if machine.is_apple_silicon else []
    if gpu_problem(machine, build):
        devices = [device for device in devices if not device.startswith("cuda")]
    checkpoint = find_checkpoint(Path(model_path) if model_path else None)
    return Facts(
        machine=machine,
        build=build,
        torch_faults=torch_faults(devices) if build else {},
        formats=available_formats(),
        output_root=output_root.absolute(),
        output_fault=write_fault(output_root),
        free_bytes=free_bytes(output_root),
        checkpoint=checkpoint,
        checkpoint_problems=missing_files(checkpoint) if checkpoint else (),
        compile_obstacle=compile_obstacle("cuda", machine.os),
        v15=cached_v15(),
        scores={name: find_score(name, None) for name in names()},
    )


def write_fault(root: Path) -> str:
    """Why no file can be made in the folder, or in the nearest one above it that exists; empty when one just was."""
    if problem := check_writable(root):
        return problem.message
    folder = nearest_existing(root)
    try:
        # Access bits do not tell of read-only disks everywhere, nor of Windows' access lists.
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{folder} is not writable ({error.strerror or error})"


def torch_faults(devices: Sequence[str]) -> dict[str, str]:
    """Why the installed torch cannot add numbers on each of the devices; empty where it can."""
    command = [sys.executable, "-c", _PROBE, *devices]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return dict.fromkeys(devices, f"no answer within {PROBE_TIMEOUT_S} s")
    answers = {
        device: fault for device, bar, fault in (line.partition("|") for line in answer.stdout.splitlines()) if bar
    }
    last_words = [f"python ended with {answer.returncode}", *filter(None, map(str.strip, answer.stderr.splitlines()))][
        -1
    ]
    return {device: answers.get(device, last_words) for device in devices}


def cached_v15() -> dict[str, Path]:
    """Checkpoints of 1.5 and planners that are in the Hugging Face cache, by how a command names them."""
    found = {
        f"model={name}": find_model(None, model.variant, "main")
        for name, model in MODELS.items()
        if model.variant is not None and not model.is_embedded
    }
    found |= {f"lm={name}": find_planner(None, name, "main") for name in PLANNERS}
    return {name: folder for name, folder in found.items() if folder is not None}
