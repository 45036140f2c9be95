"""What has to be loaded to make a song of 1.5 again, from its record; and its plan made again beside that one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acestep_batch.engine.base import Engine, StepCallback
from acestep_batch.engine.load import EngineKey, model_facts
from acestep_batch.engine.v15.dtypes import dtype_name
from acestep_batch.engine.v15.embedded_configs import LABELS
from acestep_batch.engine.v15.orchestration import Plan
from acestep_batch.engine.v15.planner_files import PLANNERS
from acestep_batch.engine.v15.song import V15Song
from acestep_batch.engine.v15.variant import Variant
from acestep_batch.engine.v15.weights import (
    PlannerSource,
    V15Source,
    find_bundle,
    find_model,
    find_planner,
    model_problems,
    planner_file_facts,
    source_problems,
)
from acestep_batch.expectation import obstacles
from acestep_batch.models import MODELS
from acestep_batch.problems import Refused, one_line, refuse
from acestep_batch.recorded import Recorded, files_by_name
from acestep_batch.v15_target import EMBEDDED_PLANNER
from acestep_batch.weights_place import WeightsPlace


@dataclass(frozen=True, slots=True)
class PlanVerdict:
    """A recorded plan against the planner's new one."""

    differing: tuple[str, ...] = ()
    """The fields that differ."""
    obstacle: str = ""
    """Why it was not planned again."""

    def __str__(self) -> str:
        if self.obstacle:
            return f"the plan is the record's: {self.obstacle}"
        return f"planned again, {', '.join(self.differing)} differ" if self.differing else "planned again, the same"


def v15_engine_key(recorded: Recorded, place: WeightsPlace, device: str) -> EngineKey:
    """What has to be loaded: the weights, and the planner if it is here.

    Raises:
        Refused: the weights are not here, or are others; the engine is another.
    """
    variant = Variant(str(recorded.engine.get("variant", Variant.TURBO)))
    checkpoint = bundle = None
    if not recorded.model_files.keys() <= set(LABELS.values()):
        commit, revision = (recorded.engine.get(name) for name in ("commit", "revision"))
        checkpoint = find_model(place.path, variant, str(commit or revision or "main"))
        if checkpoint is None:
            remedy = f"give its folder as model.path=, or `python -m acestep_batch download model=v15_{variant}`"
            raise refuse("checkpoint", f"there is none of commit {commit or revision} here", remedy)
        bundle = find_bundle(place.bundle, checkpoint, variant)
    source = V15Source(variant, bundle, _dtype(recorded, device), _planner(recorded, place))
    if checkpoint is not None and (missing := model_problems(checkpoint, source)):
        raise Refused(missing)
    here = files_by_name(model_facts(checkpoint, None, None, source)["files"]) if recorded.model_files else {}
    if problems := obstacles(recorded, here, {}):
        raise Refused(problems)
    return EngineKey(
        model=_model_name(variant, checkpoint is None),
        device=device,
        bf16=recorded.song.generation.bf16,
        torch_compile=recorded.song.generation.torch_compile,
        checkpoint=checkpoint,
        revision=recorded.engine.get("revision"),
        lyric_vocab=None,
        strict=bool(recorded.engine.get("strict")),
        v15=source,
    )


def _model_name(variant: Variant, is_embedded: bool) -> str:
    """As ``model.name``."""
    return next(name for name, each in MODELS.items() if (each.variant, each.is_embedded) == (variant, is_embedded))


def _dtype(recorded: Recorded, device: str) -> str:
    """The recorded type; ``auto``, by which the parts may differ, where that means it."""
    return "auto" if dtype_name("auto", device, "diffusion") == recorded.dtype else recorded.dtype


def _planner(recorded: Recorded, place: WeightsPlace) -> PlannerSource | None:
    """The planner of the record if it is here, byte for byte."""
    facts = recorded.planner
    if facts is None:
        return None
    name, revision = str(facts.get("name")), str(facts.get("commit") or facts.get("revision") or "main")
    folder: Path | None = None
    if name != EMBEDDED_PLANNER:
        folder = find_planner(place.planner, name, revision) if name in PLANNERS else place.planner
        if folder is None:
            return None
    source = PlannerSource(name, folder, facts.get("revision"))
    if source_problems(source):
        return None
    here = {each["path"]: each["sha256"] for each in planner_file_facts(source)}
    was = {str(each["path"]): str(each["sha256"]) for each in facts.get("files") or ()}
    return source if here == was else None


def plan_again(engine: Engine, recorded: Recorded, key: EngineKey, on_step: StepCallback | None) -> PlanVerdict | None:
    """The song planned again, if it was planned when it was made; None where it was not."""
    if recorded.plan is None or recorded.planner is None:
        return None
    if key.v15 is None or key.v15.planner is None:
        return PlanVerdict(obstacle=f"its planner, {recorded.planner.get('name')}, is not here (lm.path=)")
    request = recorded.song.request()
    plan: Callable[..., list[Plan]] | None = getattr(engine, "plan", None)
    if plan is None or not isinstance(request, V15Song):
        return PlanVerdict(obstacle="this engine does not plan")
    try:
        (again,) = plan([request], on_step)
    except (Refused, ValueError, RuntimeError) as error:
        return PlanVerdict(obstacle=f"it could not be planned again ({one_line(error)})")
    return PlanVerdict(tuple(_differing(recorded.plan, again.to_record())))


def _differing(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
