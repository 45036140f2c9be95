"""Chooses and loads the engine for a song; torch is imported only when one is loaded."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep_batch.engine.base import Engine, SongRequest
from acestep_batch.engine.checkpoint import LYRIC_VOCAB, commit_of, describe_files
from acestep_batch.engine.embedded_identity import embedded_files
from acestep_batch.engine.v1.batching import sampling_key
from acestep_batch.engine.v15 import weights as v15_weights
from acestep_batch.engine.v15.batching import sampling_key as v15_sampling_key
from acestep_batch.engine.v15.dtypes import dtype_name
from acestep_batch.engine.v15.song import V15Song
from acestep_batch.engine.v15.weights import V15Source


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What has to be loaded for a song: songs with equal keys share one engine."""

    model: str
    device: str
    """As torch names it, such as ``cuda:0``."""
    bf16: bool
    torch_compile: bool
    checkpoint: Path | None
    revision: str | None
    """By which the checkpoint was looked up on the hub; None where a folder was given."""
    lyric_vocab: Path | None
    strict: bool = False
    """Keep to kernels that give the same bits every time; the embedded model has no others."""
    v15: V15Source | None = None
    """Of a model of 1.5; None for v1."""

    @property
    def dtype(self) -> str:
        """torch's name of the type that the transformer computes in."""
        if self.v15 is not None:
            return dtype_name(self.v15.dtype, self.device, "diffusion")
        return "bfloat16" if self.bf16 else "float32"


def micro_batch_key(request: SongRequest | V15Song, v15: V15Source | None = None) -> Hashable:
    """Songs with equal keys, of one engine, may be rendered in one call; ``v15`` is the engine's."""
    if isinstance(request, V15Song):
        if v15 is None:
            raise ValueError("a song of 1.5 needs an engine of 1.5")
        return v15_sampling_key(request.expected, v15.variant), request.has_own_length
    return sampling_key(request), request.overlapped_decode


def model_files(checkpoint: Path | None, lyric_vocab: Path | None, v15: V15Source | None = None) -> dict[str, str]:
    """The sha256 of everything that the model's sound follows from, by name; the embedded model without a checkpoint.

    Without the planner's files, which only songs that are planned follow from. Raises OSError for a file that cannot be
    read.
    """
    if v15 is not None:
        return {each["path"]: each["sha256"] for each in v15_weights.model_file_facts(checkpoint, v15)}
    if checkpoint is None:
        return {each["path"]: each["sha256"] for each in embedded_files()}
    facts = describe_files(checkpoint, lyric_vocab=lyric_vocab)
    return {LYRIC_VOCAB if Path(each["path"]).is_absolute() else each["path"]: each["sha256"] for each in facts}


def planner_files(v15: V15Source) -> dict[str, str]:
    """The sha256 of the planner's files, by name. Raises OSError for a file that cannot be read."""
    if v15.planner is None:
        return {}
    facts = v15_weights.planner_file_facts(v15.planner)
    return {v15_weights.PLANNER_PREFIX + each["path"]: each["sha256"] for each in facts}


def model_facts(
    checkpoint: Path | None, lyric_vocab: Path | None, revision: str | None, v15: V15Source | None = None
) -> dict[str, Any]:
    """Where the weights come from, for the record: revision as asked, commit as resolved, and every file.

    And the versions of the libraries that turn lyrics into tokens, of which the embedded model needs none.
    """
    if v15 is not None:
        return _v15_facts(checkpoint, revision, v15)
    if checkpoint is None:
        own = [dict(each) for each in embedded_files()]
        return {"revision": None, "commit": None, "files": own, "lyric_libraries": {}}
    from acestep_batch.engine.v1.lyrics import library_versions

    files = [dict(facts) for facts in describe_files(checkpoint, lyric_vocab=lyric_vocab)]
    commit, libraries = commit_of(checkpoint), library_versions()
    return {"revision": revision, "commit": commit, "files": files, "lyric_libraries": libraries}


def _v15_facts(checkpoint: Path | None, revision: str | None, v15: V15Source) -> dict[str, Any]:
    commit = None if checkpoint is None else v15_weights.model_commit(checkpoint, v15.variant)
    files = [dict(each) for each in v15_weights.model_file_facts(checkpoint, v15)]
    return {"revision": revision, "commit": commit, "files": files, "lyric_libraries": {}}


def load_engine(key: EngineKey) -> Engine:
    """Load the weights; of 1.5 the planner's only when a song needs them.

    Raises:
        Refused: a weight file does not fit its component.
    """
    return _load_v1(key) if key.v15 is None else _load_v15(key, key.v15)


def _load_v1(key: EngineKey) -> Engine:
    import torch

    dtype = getattr(torch, key.dtype)
    if key.checkpoint is None:
        from acestep_batch.engine.embedded import load_embedded_engine

        return load_embedded_engine(key.device, dtype, key.torch_compile)
    from acestep_batch.engine.v1.loading import load_engine as load_published
    from acestep_batch.engine.v1.lyrics import LyricTokenizer

    return load_published(
        key.checkpoint,
        LyricTokenizer(key.lyric_vocab or key.checkpoint / LYRIC_VOCAB),
        key.device,
        dtype,
        key.torch_compile,
        label=f"ACE-Step v1 ({key.checkpoint.name})",
        strict=key.strict,
        **model_facts(key.checkpoint, key.lyric_vocab, key.revision),
    )


def _load_v15(key: EngineKey, source: V15Source) -> Engine:
    import torch

    from acestep_batch.engine.v15.dtype_probe import check_dtype
    from acestep_batch.engine.v15.planned_engine import PlannedEngine, PlannerPart

    check_dtype(source.dtype, key.device)
    if key.checkpoint is None:
        from acestep_batch.engine.v15.embedded_diffusion import load_embedded_v15
        from acestep_batch.engine.v15.pipeline import V15Engine

        diffusion: V15Engine = load_embedded_v15(key.device, getattr(torch, key.dtype), source.variant)
    else:
        from acestep_batch.engine.v15.loading import load_components
        from acestep_batch.engine.v15.pipeline import V15Engine

        facts = _v15_facts(key.checkpoint, key.revision, source)
        diffusion = V15Engine(
            load_components(v15_weights.model_layout(key.checkpoint, source), key.device, source.dtype),
            f"ACE-Step 1.5 {source.variant} ({key.checkpoint.name})",
            key.torch_compile,
            facts["files"],
            facts["revision"],
            facts["commit"],
            key.strict,
        )
    planner = source.planner
    if planner is None:
        return PlannedEngine(diffusion, None)

    def load(device: str) -> Any:
        if planner.folder is None:
            from acestep_batch.engine.v15.embedded_planner import load_embedded_planner

            return load_embedded_planner(device)
        from acestep_batch.engine.v15.planner_loading import load_planner

        return load_planner(planner.folder, device, getattr(torch, dtype_name(source.dtype, device, "planner")))

    part = PlannerPart(load, lambda: v15_weights.planner_facts(planner))
    return PlannedEngine(diffusion, part, source.offload_to_cpu)
