"""Parameters of a song to what the engine of 1.5 is asked for, and what is wrong with them; no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from acestep_batch.engine.tasks import Adapter, AudioSource, AwaitedSource, LatentSource, Source
from acestep_batch.engine.v15.constants import COVER, PLANNED_DURATION_S, TEXT2MUSIC
from acestep_batch.engine.v15.durations import CODES_PER_SECOND
from acestep_batch.engine.v15.limits import errors, notes
from acestep_batch.engine.v15.orchestration import UNPLANNED_TASKS, Plan, PlannerRequest, phases_of
from acestep_batch.engine.v15.request import FRAMES_PER_SECOND, Sound, V15Request, Waveform, sound_frames
from acestep_batch.engine.v15.song import V15Song
from acestep_batch.engine.v15.variant import Variant
from acestep_batch.models import Family
from acestep_batch.problems import Problem, Refused, refuse
from acestep_batch.schema_v15 import FROM_RECORD, NO_PLANNER
from acestep_batch.seeds import drawn_duration_s
from acestep_batch.song_tasks import takes_source, unheard_names

SHIFTS: Mapping[Variant, float] = {Variant.TURBO: 3.0, Variant.BASE: 1.0, Variant.SFT: 1.0}
"""What ``shift=null`` means: turbo's recommended one, the reference's default for the others."""

_Values = Mapping[str, Any]
_NAMES: Mapping[str, str] = {
    "duration": "audio_duration",
    "cfg_interval": "cfg_interval_start",
    "repainting": "repaint_start",
    "repainting_start": "repaint_start",
    "repainting_end": "repaint_end",
    "src_audio": "src_audio_path",
}
"""Parameters that the engine calls by another name."""


def effective_values(values: _Values, variant: Variant, has_planner: bool, longest_s: float) -> dict[str, Any]:
    """A song's values with everything decided that the checkpoint, the run's planner or the profile decides."""
    found = dict(values)
    found["reference_audio"] = (found["reference_audio"] or "").strip() or None
    if found["shift"] is None:
        found["shift"] = SHIFTS[variant]
    is_unplanned = found["task"] in UNPLANNED_TASKS
    if is_unplanned or (found["planner"] == "auto" and not has_planner):
        found["planner"] = NO_PLANNER
    if found["planner"] != FROM_RECORD:
        found["plan"] = None
    if found["lm_max_duration"] is None:
        found["lm_max_duration"] = int(max(PLANNED_DURATION_S[0], min(longest_s, PLANNED_DURATION_S[-1])))
    return found


def v15_song(
    values: _Values,
    seed: int,
    source: Source | None = None,
    reference: Source | None = None,
    adapters: tuple[Adapter, ...] = (),
) -> V15Song:
    """The song as the engine sees it; ``values`` are effective ones, of which those count that its task looks at, and
    ``adapters`` the LoRAs that they name.

    Raises:
        Refused: its plan is missing or damaged, which ``plan_of`` finds.
        ValueError: it is a task without its source, or its reference is given as latents.
    """
    task, sound, timbre = values["task"], _sound(source), _sound(reference)
    if (sound is not None) != takes_source(task, values["src_audio_path"]):
        raise ValueError(f"task {task} has no source, or one that it does not take")
    if isinstance(timbre, LatentSource):
        raise ValueError("a reference has to be audio")
    unheard = unheard_names(task, Family.V15)
    codes = None if "audio_codes" in unheard else values["audio_codes"]
    start, end = (0.0, 0.0) if "repaint_end" in unheard else (values["repaint_start"], values["repaint_end"])
    length = _length_s(values, sound, codes)
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
            task=task,
            track_name=("" if "track_name" in unheard else values["track_name"]) or "",
            complete_track_classes=(
                () if "complete_track_classes" in unheard else values["complete_track_classes"] or ()
            ),
            src_audio=sound,
            reference_audio=timbre,
            repainting_start=start,
            repainting_end=-1.0 if end == 0 else end,
            audio_cover_strength=1.0 if "audio_cover_strength" in unheard else values["audio_cover_strength"],
            audio_codes=codes,
            adapters=adapters,
        ),
        planner=PlannerRequest(
            caption=values["prompt"],
            lyrics=lyrics,
            vocal_language=values["vocal_language"],
            bpm=values["bpm"],
            keyscale=values["keyscale"],
            timesignature=values["timesignature"],
            duration_s=None if length == -1 else length,
            task=task,
            has_audio=sound is not None or timbre is not None,
            audio_codes=codes,
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


def _sound(source: Source | None) -> Sound | None:
    return Waveform(source.samples, source.sample_rate) if isinstance(source, AudioSource) else source


def _length_s(values: _Values, source: Sound | None, codes: tuple[int, ...] | None) -> float:
    """In seconds: of the source, else of the codes, else as asked; -1 where that is not known yet."""
    if source is not None:
        return sound_frames(source) / FRAMES_PER_SECOND or -1.0
    return float(values["audio_duration"]) if codes is None else len(codes) / CODES_PER_SECOND


def _unlinked_song(values: _Values, seed: int) -> V15Song:
    """The song before its source is found; one of a task is judged as a new one with the same settings."""
    own = {**values, "task": TEXT2MUSIC, "audio_codes": None} if _has_source(values) else values
    return v15_song(own, seed, None, None if values["reference_audio"] is None else AwaitedSource(0))


def _has_source(values: _Values) -> bool:
    return takes_source(values["task"], values["src_audio_path"])


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
    """The song's length in seconds: as asked, as its plan has it, or drawn; -1 where its planner or source decides."""
    if _has_source(values):
        return -1.0
    song = _unlinked_song(values, seed)
    return song.expected.duration_s if song.has_own_length else -1.0


def song_problems(values: _Values, variant: Variant) -> list[Problem]:
    """Why a song with these values cannot be rendered, whatever its source; ``where`` names the parameter."""
    try:
        return request_problems(_unlinked_song(values, 0), variant)
    except Refused as refused:
        return [_of_parameter(problem) for problem in refused.problems]


def request_problems(song: V15Song, variant: Variant) -> list[Problem]:
    """Why a song cannot be rendered; ``where`` names the parameter. Raises Refused as ``phases_of``."""
    phases_of(song.planner)
    return [Problem(_key(message), message, "change it") for message in errors(song.expected, variant)]


def song_notes(values: _Values, variant: Variant) -> list[tuple[str, str]]:
    """What the checkpoint ignores or does by its own rule: parameter and words."""
    song = _unlinked_song(values, 0)
    asked = replace(song.expected, audio_codes=song.asked.audio_codes)
    plans_codes = song.expected.audio_codes is not None or (song.needs_planner and phases_of(song.planner).codes)
    found = [(_key(message), message.removeprefix(f"{_key(message)} ")) for message in notes(asked, variant)]
    return [each for each in found if each[0] != "audio_cover_strength" or not (plans_codes or values["task"] == COVER)]


def _of_parameter(problem: Problem) -> Problem:
    """A planner's complaint at the parameter that it is about, which it names first."""
    name, colon, rest = problem.message.partition(": ")
    if problem.where or not colon:
        return problem
    own = {"duration": "audio_duration", "language": "vocal_language"}
    return Problem(own.get(name, name), rest, problem.remedy)


def _key(message: str) -> str:
    word = message.split(" ", 1)[0].rstrip(":")
    return _NAMES.get(word, word)
