"""Which phases run, and what the song becomes: the user's word first, then the planner's; and plans as records."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planner_songs import song

from acestep_batch.engine.v15.constants import TASKS
from acestep_batch.engine.v15.metadata import Metadata
from acestep_batch.engine.v15.orchestration import (
    Plan,
    codes_wanted,
    phases_of,
    planned,
    unplanned,
)
from acestep_batch.problems import Refused

WRITTEN = Metadata(93, "new caption", 62, "A minor", "es", "4")
ALL_GIVEN: dict[str, Any] = {"bpm": 120, "keyscale": "C major", "timesignature": "3", "duration_s": 30.5}
SWITCHES = ("thinking", "use_cot_metas", "use_cot_caption", "use_cot_language")


@given(st.fixed_dictionaries({name: st.booleans() for name in SWITCHES}), st.sampled_from(TASKS), st.booleans())
def test_every_setting_has_its_phases(switches: dict[str, bool], task: str, all_given: bool) -> None:
    request = song(**switches, **(ALL_GIVEN if all_given else {}), task=task, has_audio=True)
    phases = phases_of(request)
    skipped = task in ("cover", "repaint")
    assert phases.thought == (not skipped and request.use_cot_metas and not all_given)
    assert phases.codes == (request.thinking and task == "text2music")
    assert ("caption" in phases.fields) == (phases.thought and request.use_cot_caption)
    assert ("language" in phases.fields) == (phases.thought and request.use_cot_language)


def test_the_users_values_win_and_the_planner_fills_the_rest() -> None:
    request = song(bpm=120, vocal_language="fr", duration_s=12.5)
    plan = planned(request, phases_of(request), WRITTEN, [1, 2])
    assert (plan.bpm, plan.vocal_language, plan.duration_s) == (120, "fr", 12.5)
    assert (plan.caption, plan.keyscale, plan.timesignature) == ("new caption", "A minor", "4")
    assert plan.audio_codes == (1, 2)


def test_the_planners_language_and_caption_are_taken_where_they_are_asked_for() -> None:
    asked, unasked = song(), song(use_cot_caption=False, use_cot_language=False)
    assert planned(asked, phases_of(asked), WRITTEN).vocal_language == "es"
    plan = planned(unasked, phases_of(unasked), WRITTEN)
    assert (plan.caption, plan.vocal_language) == (unasked.caption, "unknown")


@pytest.mark.parametrize(
    ("duration_s", "written", "codes"), [(30.9, 62, 154), (None, 62, 310), (None, None, None), (0.1, None, 0)]
)
def test_the_length_decides_the_number_of_codes(
    duration_s: float | None, written: int | None, codes: int | None
) -> None:
    assert codes_wanted(song(duration_s=duration_s), Metadata(duration=written)) == codes


def test_codes_that_are_given_are_kept_and_none_are_made() -> None:
    request = song(audio_codes=(5, 6, 7, 8, 9))
    phases = phases_of(request)
    assert not phases.codes
    assert planned(request, phases, Metadata()).audio_codes == request.audio_codes
    assert planned(request, phases, Metadata()).duration_s == 1.0


def test_a_task_on_source_audio_says_why_there_are_no_codes() -> None:
    (note,) = phases_of(song(task="lego", has_audio=True)).notes
    assert "lego works on the source audio" in note


def test_switches_without_effect_are_noted() -> None:
    assert "all metadata is given" in phases_of(song(**ALL_GIVEN)).notes[0]
    assert "use_cot_metas is off" in phases_of(song(use_cot_metas=False)).notes[0]
    silent = song(use_cot_metas=False, use_cot_caption=False, use_cot_language=False)
    assert phases_of(silent).notes == ()


def test_metadata_out_of_range_is_refused() -> None:
    with pytest.raises(Refused, match="bpm: 999"):
        phases_of(song(bpm=999))


def test_without_a_planner_a_song_is_what_the_user_states() -> None:
    plan = unplanned(song(bpm=90, keyscale="e minor"))
    assert (plan.bpm, plan.keyscale, plan.duration_s, plan.audio_codes) == (90, "E minor", None, None)
    assert "no planner" in plan.notes[-1]
    assert unplanned(song(task="repaint", has_audio=True)).notes == ()


def test_a_plan_comes_back_from_its_record() -> None:
    request = song()
    for codes in ([1, 2, 63_999], []):
        plan = planned(request, phases_of(request), WRITTEN, codes, "<think>\n\n</think>", ["note"])
        assert Plan.from_record(json.loads(json.dumps(plan.to_record())), "song.json") == plan


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("audio_codes", [1, 64_000]),
        ("audio_codes", [True]),
        ("audio_codes", []),
        ("audio_codes", "1,2"),
        ("bpm", "120"),
        ("duration_s", -1),
        ("caption", None),
        ("notes", [1]),
    ],
)
def test_a_damaged_record_is_refused_and_named(name: str, value: object) -> None:
    request = song()
    record = planned(request, phases_of(request), WRITTEN, [1]).to_record()
    with pytest.raises(Refused, match=f"song.json: the plan in the record is damaged: {name}"):
        Plan.from_record(record | {name: value}, "song.json")
    del record[name]
    with pytest.raises(Refused, match=name):
        Plan.from_record(record, "song.json")
