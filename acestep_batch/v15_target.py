"""What a run of 1.5 will run on: checkpoint, planner and who is on the device when; found without torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from acestep_batch.compose import Run
from acestep_batch.engine.v15.checkpoint_layout import REPOSITORIES
from acestep_batch.engine.v15.planner_files import PLANNERS
from acestep_batch.engine.v15.tiers import PLANNER_GIB, Tier, tier_of
from acestep_batch.engine.v15.variant import Variant
from acestep_batch.engine.v15.weights import (
    PlannerSource,
    V15Source,
    find_bundle,
    find_model,
    find_planner,
    model_problems,
    source_problems,
)
from acestep_batch.hardware import GIB, Machine
from acestep_batch.models import MODELS
from acestep_batch.problems import Problem
from acestep_batch.schema_v15 import FROM_RECORD

WORKS_AT_ONCE = "`model=embedded_v15` works at once"
SMALL_GIB = 15.5
"""Of a device that is sold as one of 16 GB, and below."""
SMALL_MAC_GIB = 31.5
MPS_SHARE = 0.75
"""Of a Mac's memory, which its GPU may use."""
EMBEDDED_PLANNER = "embedded"


class V15Target(NamedTuple):
    """What was found."""

    checkpoint: Path | None
    source: V15Source
    problems: list[Problem]
    planner_problems: list[Problem]
    """Why no planner can work here; songs whose plan is known do not mind."""
    warnings: list[str]
    tier: Tier | None
    """Of the device; None for the embedded model, which is too small to ask."""

    @property
    def longest_s(self) -> float:
        """The longest song that it should make, in seconds."""
        return math.inf if self.tier is None else self.tier.longest_s[self.source.planner is not None]

    @property
    def songs_at_once(self) -> int | None:
        """As many as it should make at once; None where nothing is known."""
        return None if self.tier is None else self.tier.most_songs[self.source.planner is not None]


def v15_target(run: Run, device: str, device_id: int, machine: Machine) -> V15Target:
    """Checkpoint and planner of a run. Problems stand in the result; nothing is raised."""
    model = MODELS[run.model.name]
    variant = model.variant or Variant.TURBO
    memory = _memory_bytes(device, device_id, machine)
    planner, planner_problems = _planner(run, model.is_embedded, memory)
    offload = run.hw.offload_to_cpu
    if offload is None:
        offload = device != "cpu" and memory < (SMALL_MAC_GIB if device == "mps" else SMALL_GIB) * GIB
    problems: list[Problem] = []
    checkpoint = bundle = None
    if model.is_embedded:
        message = f"belongs to published weights, and the model is {run.model.name}"
        given = {"model.path": run.model.path, "model.bundle": run.model.bundle, "lm.path": run.lm.path}
        problems += [
            Problem(f"{key}={value}", message, "leave it out") for key, value in given.items() if value is not None
        ]
    else:
        checkpoint = find_model(_path(run.model.path), variant, run.model.revision)
        if checkpoint is None:
            where = f"the Hugging Face cache (revision {run.model.revision})"
            message = f"there is no ACE-Step 1.5 {variant} checkpoint ({REPOSITORIES[variant]}) in {where}"
            remedy = f"`python -m acestep_batch download model={run.model.name}`, or model.path=FOLDER; {WORKS_AT_ONCE}"
            problems.append(Problem("checkpoint", message, remedy))
        else:
            bundle = find_bundle(_path(run.model.bundle), checkpoint, variant)
    source = V15Source(variant, bundle, run.model.dtype, planner, offload)
    if checkpoint is not None:
        problems += model_problems(checkpoint, source)
    tier = None if model.is_embedded else _tier(device, memory)
    warnings = []
    if tier is not None:
        warnings = _memory_warnings(machine)
        warnings += [] if device == "cpu" else _planner_warnings(run.lm.name, tier, memory, offload)
    return V15Target(checkpoint, source, problems, planner_problems, warnings, tier)


def _tier(device: str, memory: int) -> Tier:
    """A processor has no memory of its own."""
    share = {"cuda": 1.0, "mps": MPS_SHARE}.get(device, 0.0)
    return tier_of(share * memory / GIB)


def _memory_warnings(machine: Machine) -> list[str]:
    if machine.memory_bytes >= SMALL_GIB * GIB:
        return []
    found = f"{machine.memory_bytes / GIB:.1f} GiB of memory are little for ACE-Step 1.5, which wants 16"
    return [f"{found}; lm=none needs least"]


def _planner_warnings(name: str, tier: Tier, memory: int, offload: bool) -> list[str]:
    """About a planner that somebody chose, and that hardly fits: beside the transformer, or where they take turns."""
    if name not in PLANNER_GIB or name in tier.planners:
        return []
    needs, has = PLANNER_GIB[name], f"the device has {memory / GIB:.1f} GiB"
    if not offload:
        return [
            f"lm={name} takes about {needs} GiB beside the model, {has}; hw.offload_to_cpu=true lets them take turns"
        ]
    return [f"lm={name} takes about {needs} GiB, {has}; a smaller one fits"] if needs * GIB > memory else []


def _memory_bytes(device: str, device_id: int, machine: Machine) -> int:
    """Of the device; a Mac and a processor work in the machine's."""
    if device == "cuda" and device_id < len(machine.gpus):
        return machine.gpus[device_id].memory_bytes
    return machine.memory_bytes


def _planner(run: Run, is_embedded: bool, memory: int) -> tuple[PlannerSource | None, list[Problem]]:
    """The run's planner; problems where it is not here."""
    name = run.lm.name
    if name == "none":
        return None, []
    if is_embedded:
        own = PlannerSource(EMBEDDED_PLANNER, None, None)
        if name == "auto":
            return own, []
        return own, [Problem(f"lm={name}", f"{run.model.name} has a planner of its own", "leave it out, or lm=none")]
    if name == "auto":
        name = "0.6b" if memory < SMALL_GIB * GIB else "1.7b"
    folder = find_planner(_path(run.lm.path), name, run.lm.revision)
    if folder is None:
        where = f"the Hugging Face cache (revision {run.lm.revision})"
        message = f"there is no planner {name} ({PLANNERS[name].repository}) in {where}"
        remedy = f"`python -m acestep_batch download lm={name}`, or lm.path=FOLDER; lm=none renders without one"
        return None, [Problem("lm", message, remedy)]
    source = PlannerSource(name, folder, run.lm.revision if run.lm.path is None else None)
    return source, source_problems(source)


def needs_planner(run: Run) -> bool:
    """Whether songs of the run are planned unless they say otherwise."""
    layers = run.layers
    values = {**layers.base, **layers.preset, **layers.preset_file, **layers.command_line}
    return bool(values["planner"] != FROM_RECORD)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
