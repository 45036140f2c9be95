"""Rows to songs: seeds, takes, lengths and notes; and everything that keeps a row from being rendered."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import CPU_TARGET, checked, on, plain_run, raw, written

from acestep_batch.schema_song import SEED_LIMIT
from acestep_batch.seeds import seed_of_id, take_seeds
from acestep_batch.songs import audios_of, duration_s, seeds_of, songs_of


def rows_to_songs(folder, rows, run=None, target=CPU_TARGET):
    """The songs of rows without problems."""
    run = run or plain_run(lint="off")
    found = checked(written(folder, "m.json", json.dumps(rows)), run, target)
    assert [row.problems for row in found] == [()] * len(rows)
    return songs_of(found, run, target)


def problems(folder, row, run=None, target=CPU_TARGET):
    """What is said against a single row."""
    (found,) = checked(written(folder, "m.json", json.dumps([row])), run or plain_run(lint="off"), target)
    return [str(problem) for problem in found.problems]


def test_without_a_seed_it_follows_from_the_id_and_nothing_else(tmp_path):
    rows = [{"id": name, "prompt": name} for name in "abcdefgh"]
    seeds = {song.id: song.seed for song in rows_to_songs(tmp_path, rows)}
    assert seeds == {name: seed_of_id(name) for name in "abcdefgh"}
    random.Random(1).shuffle(rows)
    assert {song.id: song.seed for song in rows_to_songs(tmp_path, rows[:5])}.items() <= seeds.items()


def test_each_seed_is_one_audio_and_takes_are_derived_from_the_first(tmp_path):
    rows = [
        {"id": "a", "seed": [5, 3]},
        {"id": "b", "takes": 3},
        {"id": "c", "seed": 9, "takes": 2},
        {"id": "d", "seed": []},
    ]
    songs = rows_to_songs(tmp_path, rows)
    assert [(song.id, song.seed, song.take, song.takes) for song in songs] == [
        ("a", 5, 1, 2), ("a", 3, 2, 2),
        *(("b", seed, take, 3) for take, seed in enumerate(take_seeds(seed_of_id("b"), 3), 1)),
        ("c", 9, 1, 2), ("c", take_seeds(9, 2)[1], 2, 2),
        ("d", seed_of_id("d"), 1, 1),
    ]  # fmt: skip
    assert [song.index for song in songs] == list(range(1, 9))
    assert all(song.generation.actual_seeds == (song.seed,) and song.generation.takes == 1 for song in songs)


def test_as_many_audios_are_announced_as_are_made(tmp_path):
    rows = [
        {"id": "a", "seed": [5, 3]},
        {"id": "b", "takes": 3},
        {"id": "c", "seed": 9, "takes": 4},
        {"id": "d", "seed": "random", "takes": 2},
    ]
    run = plain_run(lint="off")
    found = checked(written(tmp_path, "m.json", json.dumps(rows)), run)
    assert [audios_of(row.settings) for row in found] == [2, 3, 4, 2]
    assert len(songs_of(found, run, CPU_TARGET)) == 11


def test_a_random_seed_is_drawn_in_range_and_recorded(tmp_path):
    songs = rows_to_songs(tmp_path, [{"id": str(n), "seed": "random", "takes": 2} for n in range(20)])
    assert all(0 <= song.seed <= SEED_LIMIT for song in songs)
    assert len({song.seed for song in songs}) == 40
    assert songs[0].generation.actual_seeds == (songs[0].seed,)
    assert songs[0].requested["actual_seeds"] == "random"
    assert songs[1].seed == take_seeds(songs[0].seed, 2)[1]


def test_the_command_lines_seed_replaces_every_rows(tmp_path):
    rows = [{"id": "a", "seed": 1}, {"id": "b", "seed": [2, 3]}, {"id": "c"}]
    songs = rows_to_songs(tmp_path, rows, plain_run(command_line={"actual_seeds": 7}, lint="off"))
    assert [(song.id, song.seed) for song in songs] == [("a", 7), ("b", 7), ("c", 7)]


@given(seed=st.integers(0, SEED_LIMIT), limit=st.sampled_from([20.0, 90.0, 120.5, 240.0, 1000.0]))
def test_a_drawn_length_is_the_same_before_and_in_the_run(tmp_path_factory, seed, limit):
    run = plain_run(hw={"max_duration_s": limit}, lint="off")
    path = written(tmp_path_factory.getbasetemp(), "m.json", json.dumps([{"audio_duration": -1, "seed": seed}]))
    (row,) = checked(path, run)
    (song,) = songs_of([row], run, CPU_TARGET)
    assert song.generation.audio_duration == duration_s(row.settings, seeds_of(row.settings, row.row.id)[0], limit)
    assert min(30.0, limit) <= song.generation.audio_duration <= min(240.0, limit)
    assert song.requested["audio_duration"] == -1.0


def test_takes_of_a_drawn_length_have_lengths_of_their_own(tmp_path):
    songs = rows_to_songs(tmp_path, [{"id": "a", "audio_duration": -1, "takes": 8}])
    assert len({song.generation.audio_duration for song in songs}) > 4


def test_takes_and_a_list_of_seeds_contradict_each_other(tmp_path):
    (line,) = problems(tmp_path, {"seed": [1, 2], "takes": 2})
    assert line == "m.json row 1, takes: 2 takes and a list of 2 seeds -> give one of them"
    assert problems(tmp_path, {"takes": 2}, plain_run(command_line={"actual_seeds": [1, 2]}, lint="off")) == [line]
    assert problems(tmp_path, {"takes": 1, "seed": [1, 2]}) == []


@pytest.mark.parametrize("asked", [240.1, 1234567.5])
def test_a_song_above_the_limit_is_refused_with_the_setting_that_raises_it(tmp_path, asked):
    run = plain_run(hw={"name": "a5000", "max_duration_s": 90.0}, lint="off")
    (line,) = problems(tmp_path, {"audio_duration": asked}, run)
    assert f"m.json row 1, audio_duration: {asked} s is longer than hw=a5000 allows (90 s)" in line
    assert line.endswith(f"hw.max_duration_s={asked}")
    raised = plain_run(hw={"name": "a5000", "max_duration_s": asked}, lint="off")
    assert problems(tmp_path, {"audio_duration": asked}, raised) == []
    assert problems(tmp_path, {"audio_duration": 90}, run) == []


def test_a_default_above_a_lowered_limit_is_refused_too(tmp_path):
    assert (
        "audio_duration: 60 s is longer"
        in problems(tmp_path, {}, plain_run(hw={"max_duration_s": 30.0}, lint="off"))[0]
    )


MAC = plain_run(hw={"name": "mac", "device": "mps"}, lint="off")


def test_bf16_with_v1_on_a_mac_is_an_error_only_where_it_was_asked_for(tmp_path):
    (line,) = problems(tmp_path, {"bf16": True}, MAC, on("mps"))
    assert line == "m.json row 1, bf16: true, but v1 has no bfloat16 on macOS MPS -> bf16=false is required there"
    assert problems(tmp_path, {"bf16": False}, MAC, on("mps")) == []
    assert problems(tmp_path, {"bf16": True}, MAC, on("mps", "embedded")) == []
    (song,) = rows_to_songs(tmp_path, [{"id": "a"}], MAC, on("mps"))
    assert song.generation.bf16 is False
    assert song.notes == ("bf16: float32 instead, the device is mps",)


OBSTACLE = "Triton is missing: pip install triton-windows"


def test_compilation_that_cannot_work_is_an_error_where_asked_for_and_a_note_where_a_profile_set_it(tmp_path):
    windows = on("cuda", gpu_count=1, compile_obstacle=OBSTACLE)
    profile = plain_run(base={"torch_compile": True}, hw={"name": "a100", "device": "cuda"}, lint="off")
    (song,) = rows_to_songs(tmp_path, [{"id": "a"}], profile, windows)
    assert song.generation.torch_compile is False
    assert song.requested["torch_compile"] is True
    assert song.notes == (f"torch_compile: eager instead, {OBSTACLE}",)
    asking = plain_run(command_line={"torch_compile": True}, hw={"name": "a100", "device": "cuda"}, lint="off")
    for row, run in (({"torch_compile": True}, profile), ({}, asking)):
        (line,) = problems(tmp_path, row, run, windows)
        assert line == f"m.json row 1, torch_compile: true, but {OBSTACLE} -> or set torch_compile=false"
    assert problems(tmp_path, {"torch_compile": True}, profile, on("cuda", gpu_count=1)) == []


def test_a_device_that_is_not_there_is_refused(tmp_path):
    assert problems(tmp_path, {"device_id": 2}, target=on("cuda", gpu_count=2)) == [
        "m.json row 1, device_id: 2 is not there: 2 visible -> choose 0 to 1"
    ]
    assert problems(tmp_path, {"device_id": 1}, target=on("cuda", gpu_count=2)) == []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"scheduler_type": "heun", "oss_steps": [1, 2]}, "oss_steps cannot be combined with scheduler_type heun"),
        ({"guidance_interval_decay": 0.5, "infer_step": 2, "guidance_interval": 0.5}, "at least two guided steps"),
        ({"audio_duration": 0.05}, "shorter than one latent frame"),
    ],
)
def test_what_the_reference_fails_on_is_refused(tmp_path, row, says):
    (line,) = problems(tmp_path, row)
    assert line.startswith("m.json row 1, ")
    assert says in line


UNREADABLE = "゛っゝ"
"""A line that v1's library for Japanese fails on."""


def test_lyrics_that_v1_cannot_read_are_refused_with_line_and_remedy(tmp_path):
    row = {"lyrics": f"[verse]\nla la la\n{UNREADABLE}"}
    (line,) = problems(tmp_path, row, target=on("cuda"))
    assert line == (
        f"m.json row 1, lyrics: line 3: '{UNREADABLE}' cannot be tokenized (KeyError: 'ゝ') -> "
        "write it in other words, or name its language with lyrics_language"
    )
    assert problems(tmp_path, {**row, "lyrics_language": "zh"}, target=on("cuda")) == []
    assert problems(tmp_path, {**row, "infer_step": 0}, target=on("cuda"))[1:] == [line]
    assert problems(tmp_path, row, plain_run(command_line={"lyrics_language": "zh"}, lint="off"), on("cuda")) == []
    assert problems(tmp_path, row, target=on("cpu", "embedded")) == []


def test_every_row_with_the_same_unreadable_lyrics_is_told(tmp_path):
    rows = [{"lyrics": UNREADABLE, "infer_step": 20}, {"lyrics": "la"}, {"lyrics": UNREADABLE, "infer_step": 30}]
    found = checked(written(tmp_path, "m.json", json.dumps(rows)), plain_run(lint="off"), on("cuda"))
    assert [[problem.where for problem in row.problems] for row in found] == [
        ["m.json row 1, lyrics"], [], ["m.json row 3, lyrics"]
    ]  # fmt: skip


def test_a_decay_over_one_step_is_fine_where_guidance_is_off(tmp_path):
    row = {"guidance_interval_decay": 0.5, "infer_step": 2, "guidance_interval": 0.5, "guidance_scale": 1}
    assert problems(tmp_path, row) == []


def test_a_row_with_bad_cells_still_tells_its_other_mistakes_but_none_that_may_follow_from_them(tmp_path):
    row = {
        "infer_step": "x",
        "audio_duration": 500,
        "preset": "nope",
        "guidance_interval_decay": 1,
        "guidance_interval": 0.01,
    }
    assert [line.partition(": ")[0] for line in problems(tmp_path, row)] == [
        "m.json row 1, column infer_step", "m.json row 1, column preset", "m.json row 1, audio_duration"
    ]  # fmt: skip


def test_rows_that_share_their_settings_are_each_told(tmp_path):
    path = written(tmp_path, "m.csv", "audio_duration,prompt\n500,a\n60,b\n500,c\n")
    found = checked(path, plain_run(lint="off"))
    assert [bool(row.problems) for row in found] == [True, False, True]
    assert found[2].problems[0].where == "m.csv row 3 (line 4), audio_duration"


PRESETS = {"rap": {"use_erg_lyric": False}, "bad": {"infer_step": 0}}


def test_a_rows_preset_is_recorded_and_an_unknown_one_is_its_rows_problem(tmp_path):
    run = plain_run(presets=PRESETS, lint="off")
    songs = rows_to_songs(tmp_path, [{"id": "a", "preset": "rap"}, {"id": "b"}], run)
    assert [(song.preset, song.generation.use_erg_lyric) for song in songs] == [("rap", False), (None, True)]
    (line,) = problems(tmp_path, {"preset": "bad"}, run)
    assert line.startswith("m.json row 1, column preset: preset bad: infer_step: 0 is outside the allowed range")


def test_the_preset_of_the_defaults_is_recorded_and_replaces_the_runs(tmp_path):
    run = plain_run(preset={"infer_step": 3}, presets=PRESETS, lint="off")
    path = written(tmp_path, "m.yaml", "defaults: {preset: rap}\nsongs: [{}]\n")
    (song,) = songs_of(checked(path, run), run, CPU_TARGET)
    assert (song.preset, song.generation.infer_step) == ("rap", 60)


@pytest.mark.parametrize("key", ["preset", "preset_file"])
def test_sweeping_presets_over_a_manifest_that_names_some_is_refused(tmp_path, key):
    run = plain_run(presets=PRESETS, swept={key: "fast"}, lint="off")
    (line,) = problems(tmp_path, {"preset": "rap"}, run)
    assert line.startswith("m.json row 1, column preset: names rap while presets are swept")
    found = checked(written(tmp_path, "m.yaml", "defaults: {preset: rap}\nsongs: [{}, {}]\n"), run)
    assert [len(row.problems) for row in found] == [1, 0, 0]
    assert str(found[0].problems[0]).startswith("m.yaml defaults (line 1), column preset: names rap while presets are")


def test_wrong_defaults_are_reported_once_and_not_for_every_row(tmp_path):
    path = written(tmp_path, "m.yaml", "defaults: {infer_step: 0, preset: bad}\nsongs: [{}, {}, {}]\n")
    found = checked(path, plain_run(presets=PRESETS, lint="off"))
    assert [len(row.problems) for row in found] == [2, 0, 0, 0]


def test_a_limit_reads_no_more_rows_than_that(tmp_path):
    path = written(tmp_path, "m.csv", 'id,prompt\na,x\nb,y\nc\nd,"\n')
    assert [row.row.id for row in checked(path, plain_run(lint="off"), limit=2)] == ["a", "b"]


def test_lint_is_off_warns_or_refuses(tmp_path):
    path = written(tmp_path, "m.json", json.dumps([{"guidance_scale": 24, "prompt": "pop", "use_erg_lyric": False}]))
    (quiet,) = checked(path, plain_run(lint="off"))
    (warned,) = checked(path, plain_run(lint="warn"))
    (refused,) = checked(path, plain_run(lint="error"))
    assert (quiet.problems, quiet.advice) == ((), ())
    assert warned.problems == ()
    assert {each.key for each in warned.advice} >= {"guidance_scale", "prompt", "use_erg_tag"}
    assert len(refused.problems) == sum(not each.note for each in warned.advice)
    assert all(
        problem.where.startswith("m.json row 1, ") and "lint=warn" in problem.remedy for problem in refused.problems
    )
    assert [each.note for each in refused.advice] == [True]


def test_a_song_carries_every_parameter_as_it_is_used(tmp_path):
    row = {"id": "a", "prompt": "pop", "infer_step": 33, "oss_steps": [3, 9], "lyrics_language": "FR"}
    (song,) = rows_to_songs(tmp_path, [row])
    request = song.request()
    assert (request.prompt, request.infer_step, request.oss_steps, request.seed) == ("pop", 33, (3, 9), seed_of_id("a"))
    assert request.lyrics_language == "fr"
    assert song.place == "m.json row 1"
    assert raw(tmp_path / "m.json").defaults is None
