"""Parameters of a song of ACE-Step 1.5 and of its planner; with these, all parameters of a song."""

from __future__ import annotations

from dataclasses import dataclass

from acestep_batch.engine.v15.constants import (
    BPM,
    LANGUAGES,
    NO_INPUT,
    PLANNED_DURATION_S,
    TIMESIGNATURES,
    UNKNOWN_LANGUAGE,
)
from acestep_batch.engine.v15.limits import INFER_METHODS
from acestep_batch.models import Family
from acestep_batch.parameter import Range, declare
from acestep_batch.schema_song import SCALE, UNIT
from acestep_batch.schema_tasks import TaskSong

_V15 = "ACE-Step 1.5"
FROM_RECORD = "from_record"
NO_PLANNER = "none"
PLANNER_CHOICES = ("auto", NO_PLANNER, FROM_RECORD)


@dataclass(frozen=True, slots=True)
class Generation(TaskSong):
    """All parameters of a song; any of them can be a column of a manifest. Here stand those of 1.5 alone."""

    bpm: int | None = declare(
        "int", None, "Beats a minute; null leaves it to the planner.", _V15, hard=Range(BPM[0], BPM[-1]), nullable=True,
        only=Family.V15,
    )  # fmt: skip
    keyscale: str = declare(
        "str", "", "Key, such as F# minor: A to G, then nothing, # or b, then major or minor; empty leaves it to the "
        "planner.", _V15, only=Family.V15,
    )  # fmt: skip
    timesignature: str = declare(
        "str", "", f"Beats in a bar: {', '.join(TIMESIGNATURES)} (6/8); empty leaves it to the planner.", _V15,
        only=Family.V15,
    )  # fmt: skip
    vocal_language: str = declare(
        "choice", UNKNOWN_LANGUAGE, "Language that the lyrics are sung in; unknown leaves it to the planner.", _V15,
        choices=LANGUAGES, aliases=("language",), only=Family.V15,
    )  # fmt: skip
    instrumental: bool = declare(
        "bool", False, "Nobody sings: [Instrumental] takes the place of the lyrics.", _V15, only=Family.V15,
    )  # fmt: skip
    shift: float | None = declare(
        "float", None, "Moves the timesteps towards noise; null is 3 for turbo, 1 for base and sft. Turbo knows 1, 2 "
        "and 3.", _V15, hard=Range(0.0, above=True), guide=Range(1.0, 5.0), nullable=True, only=Family.V15,
    )  # fmt: skip
    infer_method: str = declare(
        "choice", "ode", "Solver: ode (Euler) or sde (with new noise at every step, from the song's own seed).", _V15,
        choices=INFER_METHODS, only=Family.V15,
    )  # fmt: skip
    timesteps: tuple[float, ...] = declare(
        "floats", (), "Timesteps falling from 1 (noise), in place of infer_step and shift.", _V15, hard=UNIT,
        only=Family.V15,
    )  # fmt: skip
    cfg_interval_start: float = declare(
        "float", 0.0, "Guidance is on at timesteps from here.", _V15, hard=UNIT, only=Family.V15,
    )  # fmt: skip
    cfg_interval_end: float = declare(
        "float", 1.0, "Guidance is on at timesteps up to here; 1 is noise.", _V15, hard=UNIT, only=Family.V15,
    )  # fmt: skip
    use_adg: bool = declare(
        "bool", False, "Adaptive dual guidance in place of adaptive projected guidance.", _V15, only=Family.V15,
    )  # fmt: skip
    thinking: bool = declare(
        "bool", True, "The planner writes audio codes, the song's outline.", _V15, aliases=("think",), only=Family.V15,
    )  # fmt: skip
    use_cot_metas: bool = declare(
        "bool", True, "The planner decides what is left open of bpm, key, time signature and length; without it there "
        "is no new caption and no language either.", _V15, only=Family.V15,
    )  # fmt: skip
    use_cot_caption: bool = declare(
        "bool", True, "The planner's caption takes the place of the prompt.", _V15, only=Family.V15,
    )  # fmt: skip
    use_cot_language: bool = declare(
        "bool", True, "The planner decides on an unknown language.", _V15, only=Family.V15,
    )  # fmt: skip
    use_constrained_decoding: bool = declare(
        "bool", True, "The planner can write nothing but valid metadata and the right number of audio codes.", _V15,
        only=Family.V15,
    )  # fmt: skip
    lm_temperature: float = declare(
        "float", 0.85, "How freely the planner chooses; 0 takes the likeliest.", _V15, hard=Range(0.0, 100.0),
        guide=Range(0.0, 2.0), only=Family.V15,
    )  # fmt: skip
    lm_cfg_scale: float = declare(
        "float", 2.0, "How strongly the planner follows prompt and lyrics; 1 is off.", _V15, hard=SCALE,
        only=Family.V15,
    )  # fmt: skip
    lm_top_k: int = declare(
        "int", 0, "The planner chooses among so many tokens; 0 is all.", _V15, hard=Range(0, 1_000_000),
        only=Family.V15,
    )  # fmt: skip
    lm_top_p: float = declare(
        "float", 0.9, "The planner chooses among the likeliest tokens that make up this share; 1 is all.", _V15,
        hard=Range(0.0, 1.0, above=True), only=Family.V15,
    )  # fmt: skip
    lm_repetition_penalty: float = declare(
        "float", 1.0, "Above 1, the planner avoids tokens that it has used.", _V15, hard=Range(0.0, 100.0, above=True),
        only=Family.V15,
    )  # fmt: skip
    lm_negative_prompt: str = declare(
        "str", NO_INPUT, "What the planner moves away from.", _V15, only=Family.V15,
    )  # fmt: skip
    lm_max_duration: int | None = declare(
        "int", None, "Longest song that the planner may choose; null is the profile's limit.", "this product",
        hard=Range(PLANNED_DURATION_S[0], PLANNED_DURATION_S[-1]), nullable=True, unit="s", only=Family.V15,
    )  # fmt: skip
    planner: str = declare(
        "choice", "auto", "auto plans with the run's planner (lm); none renders from the texts alone; from_record "
        "takes the plan of a record, and needs no planner.", "this product", choices=PLANNER_CHOICES, only=Family.V15,
    )  # fmt: skip
    plan: str | None = declare(
        "str", None, "The plan that planner=from_record renders, as JSON; a row that is a record has it.",
        "this product", nullable=True, only=Family.V15,
    )  # fmt: skip
