"""What decides a song's sound, and what of a plan is to be done again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import CPU_TARGET, make_songs

from acestep_batch.batches import micro_batches
from acestep_batch.identity import changed_facts, identity_of, sound_facts
from acestep_batch.outputs.output_path import OutputTarget
from acestep_batch.replan import first_plan, plan_again
from acestep_batch.run_plan import PlannedSong, batches_of

CHANGES = {
    "prompt": "jazz", "lyrics": "[verse]\nla", "lyrics_language": "de", "audio_duration": 1.0, "infer_step": 3,
    "guidance_scale": 3.0, "cfg_type": "cfg", "scheduler_type": "pingpong", "omega_scale": 3.0, "oss_steps": [1, 2],
    "use_erg_tag": False, "use_erg_lyric": False, "use_erg_diffusion": False, "guidance_interval": 0.25,
    "guidance_interval_decay": 0.5, "min_guidance_scale": 1.0, "guidance_scale_text": 2.0, "guidance_scale_lyric": 2.0,
    "rng": "reference", "overlapped_decode": True, "bf16": True, "seed": 7,
}  # fmt: skip
WEIGHTS = {"transformer": "aa", "vocoder": "bb"}


def facts(weights=WEIGHTS, sample_rate=48_000, **row):
    (song,) = make_songs([{"id": "a", "seed": 1, "guidance_interval": 1.0, **row}])
    return sound_facts(song, sample_rate, weights)


@pytest.mark.parametrize(("name", "value"), CHANGES.items())
def test_one_changed_parameter_is_named(name, value):
    assert changed_facts(facts(), facts(**{name: value})) == [name]
    assert identity_of(facts()) != identity_of(facts(**{name: value}))


def test_changed_weights_and_sample_rates_are_named():
    assert changed_facts(facts(), facts(weights=WEIGHTS | {"vocoder": "cc"})) == ["model file vocoder"]
    assert changed_facts(facts(), facts(weights=WEIGHTS | {"new": "dd"})) == ["model file new"]
    assert changed_facts(facts(), facts(sample_rate=44_100)) == ["sample_rate"]
    assert changed_facts(facts(), {**facts(), "engine_version": 0}) == ["engine_version"]


def test_every_parameter_of_a_song_is_a_fact_or_not_heard():
    assert facts().keys() >= CHANGES.keys() | {"torch_compile", "sample_rate", "engine_version"}


@pytest.mark.parametrize("row", [{"id": "b"}, {"output_path": "x.wav"}, {"device_id": 0}])
def test_what_is_not_heard_changes_no_identity(row):
    assert identity_of(facts()) == identity_of(facts(**row))


TARGET = replace(CPU_TARGET, batch_size=3)


def planned(folder, rows):
    songs = make_songs(rows, TARGET)
    found = []
    for song in songs:
        own = sound_facts(song, 48_000, WEIGHTS)
        found.append(PlannedSong(song, OutputTarget(folder, song.song_id, ()), own, identity_of(own)))
    return found


def batching(songs, apart):
    return [list(batch.positions) for batch in micro_batches([each.song for each in songs], TARGET)]


def records_of(plan, ids):
    """Records of finished songs that claim no files, so that nothing is to be checked."""
    return {
        each.song.song_id: {"id": each.song.song_id, "status": "ok", "identity": each.identity, "audio": []}
        for each in plan
        if each.song.song_id in ids
    }


def rows_of(seeds):
    return [{"id": f"s{number}", "seed": seed, "infer_step": 1 + seed % 2} for number, seed in enumerate(seeds)]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9), st.data())
def test_a_plan_makes_every_song_once_and_a_second_look_only_what_is_missing(tmp_path_factory, seeds, data):
    folder = tmp_path_factory.getbasetemp()
    first = first_plan(planned(folder, rows_of(seeds)), batching)
    ids = [each.song.song_id for each in first.plan]
    rendered = [each.song.song_id for members in batches_of(first.plan).values() for each in members]
    shared = [each.song.song_id for each in first.plan if each.same_as is not None]
    assert sorted(rendered + shared) == sorted(ids) == sorted(first.todo)
    assert len({each.identity for each in first.plan}) == len(rendered)

    done = data.draw(st.sets(st.sampled_from(ids)))
    second = plan_again(planned(folder, rows_of(seeds)), first.plan, records_of(first.plan, done), folder, batching)
    assert second.todo.keys() == set(ids) - done
    assert not second.dropped
    kept = {number: {each.song.song_id for each in members} for number, members in batches_of(first.plan).items()}
    for number, members in batches_of(second.plan).items():
        assert {each.song.song_id for each in members} <= kept[number]
    for each in second.plan:
        if each.song.song_id in second.todo:  # it is rendered, or its twin is, or has been
            assert each.batch is not None or each.same_as in done | {other.song.song_id for other in second.plan}


@given(st.lists(st.integers(0, 50), min_size=2, max_size=9, unique=True), st.data())
def test_an_edited_row_is_the_only_one_to_be_made_again(tmp_path_factory, seeds, data):
    folder = tmp_path_factory.getbasetemp()
    first = first_plan(planned(folder, rows_of(seeds)), batching)
    records = records_of(first.plan, {each.song.song_id for each in first.plan})
    position = data.draw(st.integers(0, len(seeds) - 1))
    edited = [*seeds[:position], 1000, *seeds[position + 1 :]]
    again = plan_again(planned(folder, rows_of(edited)), first.plan, records, folder, batching)
    assert set(again.todo) == {f"s{position}"}
    assert "seed" in again.todo[f"s{position}"]
    assert [each.song.song_id for each in again.dropped] == [f"s{position}"]
    moved = [*rows_of(seeds)[1:], rows_of(seeds)[0]]
    assert not plan_again(planned(folder, moved), first.plan, records, folder, batching).todo


def test_a_torn_batch_keeps_its_company_and_a_broken_one_is_planned_anew(tmp_path):
    rows = rows_of([2, 4, 6, 8])
    first = first_plan(planned(tmp_path, rows), batching)
    assert [[each.song.song_id for each in own] for own in batches_of(first.plan).values()] == [
        ["s0", "s1", "s2"],
        ["s3"],
    ]
    records = records_of(first.plan, {"s0", "s3"})
    torn = plan_again(planned(tmp_path, rows), first.plan, records, tmp_path, batching)
    assert torn.plan == first.plan
    broken = plan_again(planned(tmp_path, [*rows[:2], rows[3]]), first.plan, records, tmp_path, batching)
    assert [each.song.song_id for each in batches_of(broken.plan)[2]] == ["s1"]
