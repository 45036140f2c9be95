"""Which calls of the planner and of the transformer a song's parameters lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from acestep_batch.engine.v15.constants import COMPLETE, EXTRACT, LEGO, PLANNED_DURATION_S, PLANNER_DEFAULTS
from acestep_batch.engine.v15.durations import CODES_PER_SECOND
from acestep_batch.engine.v15.metadata import Metadata, checked, read_codes, thought_text
from acestep_batch.engine.v15.orchestration import (
    Phases,
    PlannerRequest,
    metadata_for_codes,
    phases_of,
    planned,
    task_of,
    unplanned,
)
from acestep_batch.engine.v15.plan_text import EMPTY_THOUGHT
from acestep_batch.engine.v15.token_sampling import Sampling
from acestep_batch.problems import Refused

from ..parity.checks import Case, Check
from .comparing import equal, own_rule
from .pack import Pack

OUT_OF_RANGE = "values out of range are refused; the reference rounds, clamps or passes them on without a word"
NO_METAS = "use_cot_metas: false without metadata makes an empty chain of thought; the reference crashes"
SOURCE_WINS = "no codes for a task on source audio: in the reference they replace the audio"
LANGUAGE = "use_cot_language takes the language that the planner wrote; the reference looks for it under another name"
GIVEN_LANGUAGE = "a language that the user gives is written into the chain of thought, where the planner chooses any"
LENGTH = "a song without a length that is rendered from codes is as long as its codes"


def orchestration(pack: Pack) -> Iterator[Check]:
    """Every recorded call of the reference's ``generate_music``."""
    for number, recorded in enumerate(pack.cases("orchestration")):
        case = Case("orchestration", str(number))
        yield from case.guarded(partial(_check, case, recorded))


def _check(case: Case, recorded: Mapping[str, Any]) -> Iterator[Check]:
    request = _request(recorded["params"])
    try:
        phases = phases_of(request)
    except Refused:
        yield own_rule(case, "refused", True, _is_out_of_range(recorded["params"]), OUT_OF_RANGE)
        return
    if "llm" in recorded and recorded["llm"] is None:
        yield from _check_song(case, recorded, request, Phases(False, False, (), phases.given), Metadata())
        return
    calls = recorded["lm_calls"]
    yield equal(case, "planner", phases.any, bool(calls))
    if calls:
        yield from _check_call(case, calls[0], request, phases)
    written = checked(recorded["lm_returns"])[0] if phases.thought else Metadata()
    if recorded["error"]:
        thought = thought_text(metadata_for_codes(phases, written).known())
        yield own_rule(case, "chain of thought", (phases.thought, thought), (False, EMPTY_THOUGHT), NO_METAS)
    if recorded["dit_call"]:
        yield from _check_song(case, recorded, request, phases, written)


def _check_call(case: Case, call: Mapping[str, Any], request: PlannerRequest, phases: Phases) -> Iterator[Check]:
    kind = "llm_dit" if phases.codes else "dit"
    if request.task in (LEGO, EXTRACT, COMPLETE) and call["infer_type"] == "llm_dit":
        yield own_rule(case, "infer_type", kind, "dit", SOURCE_WINS)
    else:
        yield equal(case, "infer_type", kind, call["infer_type"])
    given = phases.given.known()
    if "language" in given:
        yield own_rule(case, "language", given.pop("language"), request.vocal_language, GIVEN_LANGUAGE)
    yield equal(case, "user_metadata", given or None, call["user_metadata"])
    duration = -1 if request.duration_s is None else request.duration_s
    yield equal(case, "target_duration", duration, call["target_duration"])
    sampling = Sampling.of(request)
    ours = {"temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p}
    yield equal(case, "sampling", ours, {name: call[name] for name in ours})


def _check_song(
    case: Case, recorded: Mapping[str, Any], request: PlannerRequest, phases: Phases, written: Metadata
) -> Iterator[Check]:
    theirs = recorded["dit_call"]
    codes = theirs["audio_code_string"]
    theirs_codes = read_codes(codes if isinstance(codes, str) else codes[0]) or None
    song = planned(request, phases, written, (theirs_codes or ()) if phases.codes else ())
    yield equal(case, "caption", song.caption, theirs["captions"])
    yield equal(case, "bpm", song.bpm, theirs["bpm"])
    yield equal(case, "keyscale", song.keyscale, theirs["key_scale"])
    yield equal(case, "timesignature", song.timesignature, theirs["time_signature"])
    yield equal(case, "task", task_of(request), theirs["task_type"])
    if request.task in (LEGO, EXTRACT, COMPLETE):
        yield own_rule(case, "codes", song.audio_codes, None, SOURCE_WINS)
    else:
        yield equal(case, "codes", song.audio_codes, theirs_codes)
    if theirs["audio_duration"] > 0 or not song.audio_codes:
        yield equal(case, "duration", song.duration_s or -1, theirs["audio_duration"])
    else:
        yield own_rule(case, "duration", song.duration_s, len(song.audio_codes) / CODES_PER_SECOND, LENGTH)
    if written.language and request.use_cot_language and theirs["vocal_language"] == PLANNER_DEFAULTS["vocal_language"]:
        yield own_rule(case, "language", song.vocal_language, written.language, LANGUAGE)
    else:
        yield equal(case, "language", song.vocal_language, theirs["vocal_language"])
    if not phases.any:
        yield equal(case, "without a planner", unplanned(request).caption, theirs["captions"])


def _request(params: Mapping[str, Any]) -> PlannerRequest:
    values = {**PLANNER_DEFAULTS, **params}
    flags = {name: values[name] for name in PLANNER_DEFAULTS if name.startswith(("thinking", "use_", "lm_"))}
    texts = {name: values[name] for name in ("caption", "lyrics", "vocal_language", "keyscale", "timesignature")}
    return PlannerRequest(
        **texts,
        **flags,
        bpm=values["bpm"],
        duration_s=values["duration"] if values["duration"] > 0 else None,
        task=values["task_type"],
        has_audio=any(params.get(name) for name in ("src_audio", "reference_audio")),
        audio_codes=read_codes(values["audio_codes"]) or None,
        seed=values.get("seed", 0),
        longest_s=PLANNED_DURATION_S[-1],
    )


def _is_out_of_range(params: Mapping[str, Any]) -> bool:
    """Whether the recorded call has what the published ranges do not allow."""
    bpm = params.get("bpm")
    return params.get("duration", 0) > 600 or (bpm is not None and (bpm != int(bpm) or not 30 <= bpm <= 300))
