"""Where the weights of 1.5 and its planner lie, whether they are whole, and which bytes they hold; no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from acestep_batch.engine.checkpoint import FileFacts, cached_snapshot, commit_of, file_facts
from acestep_batch.engine.v15.checkpoint_layout import (
    OFFICIAL_FOLDERS,
    OFFICIAL_TEXT_ENCODER,
    REPOSITORIES,
    Layout,
    describe_layout,
    find_layout,
    layout_problems,
    read_config,
)
from acestep_batch.engine.v15.embedded_configs import CONFIGS, embedded_diffusion
from acestep_batch.engine.v15.embedded_planner_identity import EMBEDDED_PLANNER_WEIGHTS
from acestep_batch.engine.v15.key_map import TRANSFORMER, diffusers_config
from acestep_batch.engine.v15.planner_files import CONFIG, PLANNERS, TOKENIZER, planner_problems
from acestep_batch.engine.v15.variant import Variant, variant_of
from acestep_batch.problems import Problem, Refused, refuse

PLANNER_PREFIX = "planner/"
"""Before the names of a planner's files, where they stand beside the model's."""


@dataclass(frozen=True, slots=True)
class PlannerSource:
    """Which planner a run has."""

    name: str
    """As ``lm.name``; the embedded one is ``embedded``."""
    folder: Path | None
    """None for the embedded one."""
    revision: str | None
    """By which it was looked up on the hub; None where a folder was given."""


@dataclass(frozen=True, slots=True)
class V15Source:
    """What has to be loaded of 1.5 beside the checkpoint's folder."""

    variant: Variant
    bundle: Path | None = None
    """Where autoencoder and text encoder lie that are not in the checkpoint's folder or beside it."""
    dtype: str = "auto"
    """One of ``dtypes.DTYPES``."""
    planner: PlannerSource | None = None
    offload_to_cpu: bool = False


def find_model(path: Path | None, variant: Variant, revision: str) -> Path | None:
    """The checkpoint's folder: ``path`` if given, else a cached snapshot; None where there is none."""
    if path is not None:
        return path
    inside = f"{OFFICIAL_FOLDERS[variant]}/" if variant is Variant.TURBO else ""
    names = (f"{inside}config.json", f"{inside}model.safetensors")
    return cached_snapshot(REPOSITORIES[variant], names, revision)


def find_bundle(path: Path | None, model: Path, variant: Variant) -> Path | None:
    """Where autoencoder and text encoder lie: ``path`` if given; None where they lie with the checkpoint or beside it.

    Else a snapshot of the bundle in the Hugging Face cache.
    """
    if path is not None:
        return path
    beside = model.parent if not (model / OFFICIAL_FOLDERS[variant]).is_dir() else model
    if (model / "model_index.json").is_file() or (beside / OFFICIAL_TEXT_ENCODER).is_dir():
        return None
    names = ("vae/config.json", f"{OFFICIAL_TEXT_ENCODER}/config.json")
    return cached_snapshot(REPOSITORIES[Variant.TURBO], names, "main")


def find_planner(path: Path | None, name: str, revision: str) -> Path | None:
    """The planner's folder: ``path`` if given, else in a cached snapshot; None where there is none."""
    if path is not None:
        return path
    published = PLANNERS[name]
    inside = f"{published.folder}/" if published.folder else ""
    found = cached_snapshot(published.repository, (f"{inside}{CONFIG}", f"{inside}{TOKENIZER}"), revision)
    return None if found is None else found / published.folder


def model_layout(folder: Path, source: V15Source) -> Layout:
    """The folders of a checkpoint. Raises Refused where it is none, or is one of another variant."""
    layout = find_layout(folder, source.variant, source.bundle)
    try:
        found = variant_of(read_config(layout.folders[TRANSFORMER]))
    except (OSError, ValueError, LookupError, AttributeError):
        return layout  # layout_problems says what is wrong
    if found is not source.variant:
        message = f"is a {found} checkpoint, and the model is {source.variant}"
        raise refuse(str(layout.folders[TRANSFORMER]), message, f"model=v15_{found}, or another model.path=")
    return layout


def model_problems(folder: Path, source: V15Source) -> list[Problem]:
    """What is wrong with a checkpoint's files; empty where all are whole."""
    try:
        return layout_problems(model_layout(folder, source))
    except Refused as refused:
        return list(refused.problems)


def transformer_config(folder: Path | None, source: V15Source) -> Mapping[str, Any]:
    """The transformer's sizes, as diffusers names them; the embedded model's without a folder.

    Raises Refused where the folder is no such checkpoint, ValueError and OSError where its files are damaged.
    """
    if folder is None:
        return CONFIGS[TRANSFORMER]
    layout = model_layout(folder, source)
    config = read_config(layout.folders[TRANSFORMER])
    return diffusers_config(TRANSFORMER, config) if layout.kind == "official" else config


def source_problems(source: PlannerSource) -> list[Problem]:
    """What is wrong with a planner's files; empty where all look whole."""
    return [] if source.folder is None else planner_problems(source.folder)


def model_file_facts(folder: Path | None, source: V15Source) -> list[FileFacts]:
    """Every file of the model, by names that say nothing of the machine; the embedded model without a folder."""
    if folder is None:
        return [embedded_diffusion(source.variant)]
    return [_named(facts) for facts in describe_layout(model_layout(folder, source))]


def _named(facts: FileFacts) -> FileFacts:
    """A file outside the checkpoint's folder is called by its own folder's name."""
    path = PurePath(facts["path"])
    return facts if not path.is_absolute() else FileFacts(**{**facts, "path": "/".join(path.parts[-2:])})


def planner_file_facts(source: PlannerSource) -> list[FileFacts]:
    """Every file of a planner."""
    if source.folder is None:
        return [EMBEDDED_PLANNER_WEIGHTS]
    weights = sorted([*source.folder.glob("*.safetensors"), *source.folder.glob("*.safetensors.index.json")])
    return file_facts(source.folder, [source.folder / CONFIG, source.folder / TOKENIZER, *weights])


def planner_facts(source: PlannerSource) -> dict[str, Any]:
    """Where a planner comes from, for the record."""
    commit = None
    if source.folder is not None and source.name in PLANNERS:
        published = PLANNERS[source.name]
        commit = commit_of(source.folder.parent if published.folder else source.folder, published.repository)
    files: Sequence[FileFacts] = planner_file_facts(source)
    return {"name": source.name, "revision": source.revision, "commit": commit, "files": [dict(each) for each in files]}


def model_commit(folder: Path, variant: Variant) -> str | None:
    """The commit that a checkpoint's folder holds; None for a folder outside the Hugging Face cache."""
    return commit_of(folder, REPOSITORIES[variant])
