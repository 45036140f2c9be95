"""A song of 1.5 before it is planned, and what is rendered once it is; no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from acestep_batch.engine.v15.orchestration import Plan, PlannerRequest, phases_of, unplanned
from acestep_batch.engine.v15.request import V15Request


@dataclass(frozen=True, slots=True)
class V15Song:
    """One song as the engine of 1.5 sees it; every value is resolved and inside its hard range."""

    asked: V15Request
    """As asked. Where the planner decides on the length, its length stands for one that nobody knows yet."""
    planner: PlannerRequest
    """What the planner reads of it."""
    has_planner: bool
    """Whether a planner may fill in what is left open."""
    plan: Plan | None = None
    """The plan of a record, which takes the planner's place."""

    @property
    def needs_planner(self) -> bool:
        """Whether a planner has to work for it. Raises Refused for metadata that is out of range."""
        return self.plan is None and self.has_planner and phases_of(self.planner).any

    @property
    def has_own_length(self) -> bool:
        """Whether the length is known before the planner works; not of one whose source's length is not."""
        if self.asked.src_audio is not None:
            return self.asked.frames > 0
        return self.plan is not None or self.planner.duration_s is not None or not self.needs_planner

    def without_planner(self) -> Plan:
        """The recorded plan, or what the user states and nothing else. Raises Refused as ``needs_planner``."""
        return self.plan if self.plan is not None else replace(unplanned(self.planner), notes=())

    def planned(self, plan: Plan) -> V15Request:
        """What is rendered once it is planned."""
        return replace(
            self.asked,
            caption=plan.caption,
            vocal_language=plan.vocal_language,
            bpm=plan.bpm,
            keyscale=plan.keyscale,
            timesignature=plan.timesignature,
            duration_s=self.asked.duration_s if plan.duration_s is None else plan.duration_s,
            audio_codes=plan.audio_codes,
        )

    @property
    def expected(self) -> V15Request:
        """What will be rendered, as far as it is known before the planner works."""
        return self.asked if self.needs_planner else self.planned(self.without_planner())
