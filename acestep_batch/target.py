"""What a run will run on: device, weights, and what stands against it; found without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from acestep_batch.compose import Run, Settings
from acestep_batch.engine.checkpoint import LYRIC_VOCAB, PUBLISHED_FILES, find_checkpoint, missing_files
from acestep_batch.engine.embedded_identity import prompt_tokenizer_path
from acestep_batch.engine.v15.weights import V15Source
from acestep_batch.families import foreign_presets, foreign_settings, own_values
from acestep_batch.hardware import (
    WORKS_AT_ONCE,
    Machine,
    TorchBuild,
    card_warning,
    compile_obstacle,
    device_problem,
)
from acestep_batch.models import MODELS, Family
from acestep_batch.problems import Problem
from acestep_batch.v15_songs import effective_values
from acestep_batch.v15_target import needs_planner, v15_target

SONGS_AT_ONCE_ON_GPU = 8
"""What ``hw.batch_size=auto`` means on a GPU, where memory allows; elsewhere it means one."""


@dataclass(frozen=True, slots=True)
class Target:
    """Device and weights of a run."""

    model: str
    device: str
    profile_device: str
    """The device that the hardware profile is for; another one where the embedded model stands in for a missing GPU."""
    batch_size: int
    gpu_count: int
    compile_obstacle: str | None
    checkpoint: Path | None
    revision: str | None
    """By which the checkpoint is looked up in the Hugging Face cache; None for model.path, and without a checkpoint."""
    lyric_vocab: Path | None
    tokenizer: Path | None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    strict: bool = False
    """Whether every song is rendered by itself, with kernels that repeat their bits."""
    gpu_memory: tuple[int, ...] = ()
    """Bytes of each visible GPU."""
    host_memory: int | None = None
    v15: V15Source | None = None
    """Of a model of 1.5; None for v1."""
    planner_problems: tuple[Problem, ...] = ()
    """Why no planner can work here, where the run's songs do not need one."""
    longest_s: float = 240.0
    """The limit of the profile, or of what 1.5 makes with the device's memory."""

    @property
    def family(self) -> Family:
        """Which parameters the model reads."""
        return Family.V1 if self.v15 is None else Family.V15

    def memory_bytes(self, device_id: int) -> int | None:
        """What the device of a song has; None where that is not known."""
        if self.device != "cuda":
            return self.host_memory
        return self.gpu_memory[device_id] if device_id < len(self.gpu_memory) else None

    def effective(self, settings: Settings) -> tuple[dict[str, Any], tuple[str, ...]]:
        """A row's settings as this target can carry them out, and a note for each difference.

        Only values that a profile or the schema supplied are changed; what the user asked for is refused earlier.
        """
        values = own_values(settings.values, self.family)
        notes = []
        if self.v15 is not None:
            values = effective_values(values, self.v15.variant, self.v15.planner is not None, self.longest_s)
        if values["torch_compile"] and "torch_compile" not in settings.asked:
            obstacle = self.compile_obstacle
            if self.device != self.profile_device:
                obstacle = f"the profile means {self.profile_device}, the device is {self.device}"
            if obstacle is not None:
                values["torch_compile"] = False
                notes.append(f"torch_compile: eager instead, {obstacle}")
        if self.v15 is None and values["bf16"] and self.device != "cuda" and "bf16" not in settings.asked:
            values["bf16"] = False
            notes.append(f"bf16: float32 instead, the device is {self.device}")
        return values, tuple(notes)


def target_of(run: Run, machine: Machine, build: TorchBuild | None) -> Target:
    """What this run will run on here. Problems stand in the target; nothing is raised."""
    layers = run.layers
    values = {**layers.base, **layers.preset, **layers.preset_file, **layers.command_line}
    device_id: int = values["device_id"]
    obstacle = device_problem(run.hw.device, machine, build, device_id)
    device, notes = run.hw.device, []
    checkpoint: Path | None = None
    vocab: Path | None = None
    tokenizer: Path | None
    problems: list[Problem] = [*foreign_settings(run), *foreign_presets(run)]
    v15: V15Source | None = None
    planner_problems: list[Problem] = []
    longest_s, at_once, warnings = run.hw.max_duration_s, SONGS_AT_ONCE_ON_GPU, []
    model = MODELS[run.model.name]
    if model.is_embedded:
        no_cpu = device_problem("cpu", machine, build)
        problems.extend([no_cpu] if no_cpu is not None else [])
        if obstacle is not None and device != "cpu":
            device = "cpu"
            notes.append(f"hw={run.hw.name}: {obstacle.message}; the embedded model runs on the CPU")
        tokenizer = prompt_tokenizer_path() if model.family is Family.V1 else None
        problems.extend(_for_v1_alone(run) if model.family is Family.V1 else ())
    else:
        problems.extend([obstacle] if obstacle is not None else [])
    if model.family is Family.V15:
        tokenizer = None
        found = v15_target(run, device, device_id, machine)
        checkpoint, v15, planner_problems = found.checkpoint, found.source, found.planner_problems
        problems.extend(found.problems)
        warnings.extend(found.warnings)
        at_once = found.songs_at_once or at_once
        if not _is_set(run, "hw.max_duration_s"):
            longest_s = min(longest_s, found.longest_s)
        if needs_planner(run):  # told once, and not again of every row
            problems.extend(planner_problems)
            planner_problems = []
    elif not model.is_embedded:
        checkpoint, vocab, missing = _published(run)
        problems.extend(missing)
        tokenizer = checkpoint / "umt5-base" / "tokenizer.json" if checkpoint is not None else None
        tokenizer = tokenizer if tokenizer is not None and tokenizer.is_file() else None
    if device == "cuda" and (warning := card_warning(run.hw.name, machine, device_id)):
        warnings.append(warning)
    return Target(
        model=run.model.name,
        device=device,
        profile_device=run.hw.device,
        batch_size=_songs_at_once(run, device, at_once),
        gpu_count=len(machine.gpus),
        compile_obstacle=compile_obstacle(device, machine.os),
        checkpoint=checkpoint,
        revision=run.model.revision if checkpoint is not None and run.model.path is None else None,
        lyric_vocab=vocab,
        tokenizer=tokenizer,
        problems=tuple(problems),
        warnings=tuple(warnings),
        notes=tuple(notes),
        strict=run.options.strict,
        gpu_memory=tuple(gpu.memory_bytes for gpu in machine.gpus),
        host_memory=machine.memory_bytes,
        v15=v15,
        planner_problems=tuple(planner_problems),
        longest_s=longest_s,
    )


def _is_set(run: Run, key: str) -> bool:
    """Whether the command line has a value for a setting."""
    return key in run.swept or any(each.lstrip("+").startswith(f"{key}=") for each in run.overrides)


def _songs_at_once(run: Run, device: str, on_gpu: int) -> int:
    if run.options.strict:
        return 1
    asked = run.hw.batch_size
    return asked if isinstance(asked, int) else on_gpu if device == "cuda" else 1


def _for_v1_alone(run: Run) -> list[Problem]:
    """Settings of v1's weights that the embedded model has no use for: somebody expects v1."""
    given = {"model.path": run.model.path, "model.lyric_vocab": run.model.lyric_vocab}
    return [
        Problem(f"{key}={value}", "belongs to v1, and the model is embedded", "add model=v1, or leave it out")
        for key, value in given.items()
        if value is not None
    ]


def _published(run: Run) -> tuple[Path | None, Path | None, list[Problem]]:
    """Folder and lyric vocabulary of the published checkpoint, and what is missing of them."""
    given = Path(run.model.path) if run.model.path else None
    folder = find_checkpoint(given, run.model.revision)
    vocab = Path(run.model.lyric_vocab) if run.model.lyric_vocab else None
    if folder is None:
        where = str(given) if given else f"the Hugging Face cache (revision {run.model.revision})"
        message = (
            f"there is no ACE-Step v1 checkpoint in {where}; it needs {', '.join((*PUBLISHED_FILES, LYRIC_VOCAB))}"
        )
        remedy = f"`python -m acestep_batch download model=v1`, or model.path=FOLDER; {WORKS_AT_ONCE}"
        return None, vocab, [Problem("checkpoint", message, remedy)]
    missing = [
        Problem(
            each.where,
            each.message,
            f"{each.remedy}; {WORKS_AT_ONCE}" if WORKS_AT_ONCE not in each.remedy else each.remedy,
        )
        for each in missing_files(folder, vocab)
    ]
    return folder, vocab or folder / LYRIC_VOCAB, missing


def token_counter(tokenizer: Path | None) -> Callable[[str], int] | None:
    """Counts the tokens of a prompt, loading the tokenizer at its first use; None without a tokenizer."""
    if tokenizer is None:
        return None

    @cache
    def loaded() -> Any:
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(tokenizer))

    return lambda prompt: len(loaded().encode(prompt).ids)
