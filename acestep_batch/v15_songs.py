"""Parameters of a song to what the engine of 1.5 is asked for, and what is wrong with them; no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from acestep_batch.engine.v15.constants import PLANNED_DURATION_S, TEXT2MUSIC
from acestep_batch.engine.v15.limits import errors, notes
from acestep_batch.engine.v15.orchestration import Plan, PlannerRequest, phases_of
from acestep_batch.engine.v15.request import V15Request
from acestep_batch.engine.v15.song import V15Song
from acestep_batch.engine.v15.variant import Variant
from acestep_batch.problems import Problem, Refused, refuse
from acestep_batch.schema import FROM_RECORD, NO_PLANNER
from acestep_batch.seeds import drawn_duration_s

SHIFTS: Mapping[Variant, float] = {Variant.TURBO: 3.0, Variant.BASE: 1.0, Variant.SFT: 1.0}
"""What ``shift=null`` means: turbo's recommended one, the reference's default for the others."""

_Values = Mapping[str, Any]


def effective_values(values: _Values, variant: Variant, has_planner: bool, longest_s: float) -> dict[str, Any]:
    """A song's values with everything decided that the checkpoint, the run's planner or the profile decides."""
    found = dict(values)
    if found["shift"] is None:
        found["shift"] = SHIFTS[variant]
    if found["planner"] == "auto" and not has_planner:
        found["planner"] = NO_PLANNER
    if found["planner"] != FROM_RECORD:
        found["plan"] = None
    if found["lm_max_duration"] is None:
        found["lm_max_duration"] = int(max(PLANNED_DURATION_S[0], min(longest_s, PLANNED_DURATION_S[-1])))
    return found


def v15_song(values: _Values, seed: int) -> V15Song:
    """The song as the engine sees it; ``values`` are effective ones.

    Raises:
        Refused: its plan is missing or damaged, which ``plan_of`` finds.
    """
    length = float(values["audio_duration"])
    drawn = drawn_duration_s(seed, values["lm_max_duration"]) if length == -1 else length
    lyrics = "[Instrumental]" if values["instrumental"] else values["lyrics"]
    return V15Song(
        asked=V15Request(
            caption=values["prompt"],
            lyrics=values["lyrics"],
            instrumental=values["instrumental"],
            vocal_language=values["vocal_language"],
            bpm=values["bpm"],
            keyscale=values["keyscale"],
            timesignature=values["timesignature"],
            duration_s=drawn,
            seed=seed,
            infer_step=values["infer_step"],
            guidance_scale=values["guidance_scale"],
            use_adg=values["use_adg"],
            cfg_interval_start=values["cfg_interval_start"],
            cfg_interval_end=values["cfg_interval_end"],
            shift=values["shift"],
            infer_method=values["infer_method"],
            timesteps=values["timesteps"],
            task=TEXT2MUSIC,
            track_name="",
            complete_track_classes=(),
            src_audio=None,
            reference_audio=None,
            repainting_start=0.0,
            repainting_end=-1.0,
            audio_cover_strength=1.0,
            audio_codes=None,
        ),
        planner=PlannerRequest(
            caption=values["prompt"],
            lyrics=lyrics,
            vocal_language=values["vocal_language"],
            bpm=values["bpm"],
            keyscale=values["keyscale"],
            timesignature=values["timesignature"],
            duration_s=None if length == -1 else length,
            task=TEXT2MUSIC,
            has_audio=False,
            audio_codes=None,
            thinking=values["thinking"],
            use_cot_metas=values["use_cot_metas"],
            use_cot_caption=values["use_cot_caption"],
            use_cot_language=values["use_cot_language"],
            use_constrained_decoding=values["use_constrained_decoding"],
            lm_temperature=values["lm_temperature"],
            lm_cfg_scale=values["lm_cfg_scale"],
            lm_top_k=values["lm_top_k"],
            lm_top_p=values["lm_top_p"],
            lm_repetition_penalty=values["lm_repetition_penalty"],
            lm_negative_prompt=values["lm_negative_prompt"],
            seed=seed,
            longest_s=values["lm_max_duration"],
        ),
        has_planner=values["planner"] == "auto",
        plan=plan_of(values) if values["planner"] == FROM_RECORD else None,
    )


def plan_of(values: _Values) -> Plan:
    """The plan of a record. Raises Refused where there is none, or it is damaged."""
    text = values["plan"]
    if text is None:
        raise refuse("planner", f"is {FROM_RECORD}, and the row has no plan", "render rows of records, or planner=auto")
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise refuse("plan", "is no plan of a record", "take it from a copy of the run, or planner=auto")
    return Plan.from_record(record, "plan")


def known_length_s(values: _Values, seed: int) -> float:
    """The song's length in seconds: as asked, as its plan has it, or drawn; -1 where its planner decides."""
    song = v15_song(values, seed)
    return song.expected.duration_s if song.has_own_length else -1.0


def song_problems(values: _Values, variant: Variant) -> list[Problem]:
    """Why a song with these values cannot be rendered; ``where`` names the parameter."""
    try:
        song = v15_song(values, 0)
        phases_of(song.planner)
        wrong = errors(song.expected, variant)
    except Refused as refused:
        return [_of_parameter(problem) for problem in refused.problems]
    return [Problem(_key(message), message, "change it") for message in wrong]


def song_notes(values: _Values, variant: Variant) -> list[tuple[str, str]]:
    """What the checkpoint ignores or does by its own rule: parameter and words."""
    song = v15_song(values, 0)
    asked = replace(song.expected, audio_codes=None)
    return [(_key(message), message.removeprefix(f"{_key(message)} ")) for message in notes(asked, variant)]


def _of_parameter(problem: Problem) -> Problem:
    """A planner's complaint at the parameter that it is about, which it names first."""
    name, colon, rest = problem.message.partition(": ")
    if problem.where or not colon:
        return problem
    own = {"duration": "audio_duration", "language": "vocal_language"}
    return Problem(own.get(name, name), rest, problem.remedy)


def _key(message: str) -> str:
    word = message.split(" ", 1)[0]
    return {"duration": "audio_duration", "cfg_interval": "cfg_interval_start"}.get(word, word)
