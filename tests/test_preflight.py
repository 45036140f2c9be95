"""What is known before a run: all problems of all rows at once, files, formats and disk; and nothing is created."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support import BARE, CPU_BUILD, opened_run, plain_run, preflighted, written

from acestep_batch.cli import data_folder
from acestep_batch.nvml import Driver, DriverState, Gpu
from acestep_batch.preflight import MAX_KEPT, disk_problem, needed_bytes, preflight, run_name
from acestep_batch.run_plan import PLAN, plan_text
from acestep_batch.run_work import planned_songs
from acestep_batch.songs import songs_of


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Checks a manifest in an empty folder: file name and text, sections and options of the run."""
    monkeypatch.chdir(tmp_path)

    def run(name, text, **changes):
        path = written(tmp_path, name, text)
        return preflighted(plain_run(manifest={"path": str(path)}, **({"lint": "off"} | changes)))

    return run


def lines(problems):
    return [str(problem) for problem in problems]


def test_all_problems_of_all_rows_are_reported_at_once_with_file_row_and_column(check):
    found = check(
        "songs.csv",
        "id,prompt,infer_step,guidance_scale,lyrics_file,audio_duration,preset,output_path\n"
        "a,x,0,many,,10,,\n"
        "b,x,60,15,gone.txt,10,,/abs/out.wav\n"
        'c,"two\nlines",60,15,,500,nope,\n'
        "d,x,60\n"
        "A,x,60,15,,10,,\n"
        "f,x,60,15,,10,,\n",
        output={"formats": ["opus"], "sample_rate": 44100, "template": "{nope}"},
    )
    starts = [
        "songs.csv row 1 (line 2), column infer_step: ", "songs.csv row 1 (line 2), column guidance_scale: ",
        "songs.csv row 2 (line 3), column lyrics_file: ", "songs.csv row 2 (line 3), output_path: ",
        "songs.csv row 3 (line 4), column preset: ", "songs.csv row 3 (line 4), audio_duration: ",
        "songs.csv row 4 (line 6): has 3 cells",
        "songs.csv row 5 (line 7), column id: 'A' is the id of row 1 too",
    ]  # fmt: skip
    assert len(found.row_problems) == len(starts)
    for start, line in zip(starts, lines(found.row_problems), strict=True):
        assert line.startswith(start), (start, line)
    run_wide = "\n".join(lines(found.problems))
    assert "opus" in run_wide
    assert "44100" in run_wide
    assert "output.template: '{nope}' has the unknown field {nope}" in run_wide
    assert (found.counts["rows"], found.counts["invalid"], found.counts["songs"]) == (6, 5, 1)
    assert found.blocking == [*found.problems, *found.row_problems]


def test_checking_creates_nothing(check, tmp_path):
    found = check("songs.csv", "id,prompt\na,x\n", output={"root": str(tmp_path / "deep" / "out")})
    assert found.blocking == []
    assert [path.name for path in tmp_path.iterdir()] == ["songs.csv"]


def test_only_the_first_rows_count_with_a_limit(check):
    found = check("songs.csv", "id,prompt\na,x\nb,y\nc,z,bad\n", limit=2)
    assert found.blocking == []
    assert (found.counts["rows"], found.counts["songs"]) == (2, 2)


def test_skipping_invalid_rows_keeps_the_valid_ones(check):
    found = check("songs.csv", "id,infer_step\na,0\nb,60\n", on_invalid="skip")
    assert found.blocking == []
    assert len(found.row_problems) == 1
    assert [song.id for song in songs_of(found.rows, found.run, found.target)] == ["b"]


def test_skipping_does_not_skip_what_is_wrong_with_the_whole_file(check):
    for name, text in (
        ("a.csv", "id,promt\na,x\n"),
        ("b.csv", 'id,prompt\na,x\nb,"x\n'),
        ("c.csv", b"id\na\n\xff\n"),
        ("d.csv", "id,id\n"),
    ):
        assert check(name, text, on_invalid="skip").blocking, name
    wrong_defaults = check("m.yaml", "defaults: {infer_step: 0}\nsongs: [{}]\n", on_invalid="skip")
    assert lines(wrong_defaults.blocking)[0].startswith("m.yaml defaults (line 1), column infer_step: ")
    assert (wrong_defaults.counts["rows"], wrong_defaults.counts["invalid"]) == (1, 0)


def test_an_unknown_column_is_one_problem_and_the_rows_are_still_checked(check):
    found = check("a.csv", "id,promt,infer_step\n" + "".join(f"{n},x,{n}\n" for n in range(50)))
    assert [line.partition(" ->")[0] for line in lines(found.blocking)] == [
        "a.csv header, column promt: is no parameter (did you mean prompt?)",
        "a.csv row 1 (line 2), column infer_step: '0' is outside the allowed range; allowed: a whole number, 1 to 1000",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", ""),
        ("a.csv", "id,prompt\n"),
        ("a.jsonl", "\n"),
        ("a.json", "[]"),
        ("a.yaml", "songs: []"),
        ("a.yaml", "songs: {}"),
    ],
)
def test_a_manifest_without_songs_is_refused(check, name, text):
    assert "holds no songs" in lines(check(name, text).blocking)[0]


def test_a_missing_manifest_is_a_problem_beside_the_others(tmp_path):
    run = plain_run(manifest={"path": str(tmp_path / "none.csv")}, output={"template": ""})
    assert len(preflighted(run).problems) == 2


def test_a_file_in_the_way_of_the_output_folder(check, tmp_path):
    written(tmp_path, "taken", "x")
    found = check("songs.csv", "id\na\n", output={"root": str(tmp_path / "taken" / "out")})
    assert "output.root: " in lines(found.blocking)[0]
    assert "is a file, not a folder" in lines(found.blocking)[0]


def test_a_disk_that_is_too_small_is_noticed_before(check):
    rows = json.dumps([{"id": str(n), "audio_duration": 1e9} for n in range(100)])
    state = check("songs.json", rows, hw={"max_duration_s": 1e10})
    (line,) = lines([disk_problem([state])])
    assert "27777777.78 h of audio need about" in line
    assert "output.root=" in line


def test_a_run_that_goes_on_needs_room_for_what_is_missing_alone(tmp_path):
    rows = [{"id": str(n), "seed": n, "audio_duration": 1e9} for n in range(3)]
    manifest = written(tmp_path, "songs.json", json.dumps(rows))
    run = plain_run(manifest={"path": str(manifest)}, lint="off", hw={"max_duration_s": 1e10})
    folder = tmp_path / "v0001"
    plan = planned_songs(preflighted(run), folder, {})
    (folder / "audio").mkdir(parents=True)
    written(folder, PLAN, plan_text(plan, folder))
    first, *others = [path for each in plan for path in each.files.paths()]
    for path in others:
        path.touch()
    for going_on in ({"folder": folder}, {"stored": plan}):
        assert "277777.78 h of audio need about" in str(disk_problem([preflighted(run, **going_on)]))
    first.touch()
    assert disk_problem([preflighted(run, folder=folder)]) is None


def test_the_space_that_songs_take_is_estimated_for_all_their_audios_and_formats(check, tmp_path):
    rows = [
        {"id": "a", "seed": [1, 2], "audio_duration": 10},
        {"id": "b", "takes": 3, "audio_duration": 1},
        {"id": "c", "audio_duration": -1, "seed": "random"},
    ]
    found = check("songs.json", json.dumps(rows), output={"formats": ["wav", "mp3"]}, hw={"max_duration_s": 90.0})
    assert found.counts["songs"] == 6
    assert found.audio_s == 20 + 3 + 90
    wav, mp3 = 48_000 * 2 * 2, 40_000
    assert needed_bytes(found.run, found.audio_s) == 113 * (wav + mp3)
    assert (
        needed_bytes(plain_run(output={"formats": ["wav"], "wav_subtype": "float32", "sample_rate": 44100}), 1.0)
        == 44100 * 2 * 4
    )


def test_a_length_that_is_drawn_is_known_before_the_run(check):
    found = check("songs.json", json.dumps([{"id": str(n), "audio_duration": -1} for n in range(5)]))
    songs = songs_of(found.rows, found.run, found.target)
    assert found.audio_s == pytest.approx(sum(song.generation.audio_duration for song in songs))


def test_a_bad_default_and_many_bad_rows_are_counted_beyond_what_is_kept(check):
    text = "infer_step,omega_scale\n" + "0,x\n" * (MAX_KEPT + 100)
    found = check("songs.csv", text)
    assert len(found.row_problems) == MAX_KEPT
    assert found.more_row_problems == MAX_KEPT + 200
    assert found.counts["invalid"] == MAX_KEPT + 100


def test_equal_advice_is_kept_once_with_its_places(check):
    found = check("songs.csv", "id,prompt,guidance_scale\na,x,24\nb,x,24\nc,x,15\n", lint="warn")
    rigid = next(text for text in found.advice if "rigid" in text)
    assert rigid.startswith("guidance_scale: ")
    assert found.advice[rigid] == ["songs.csv row 1 (line 2)", "songs.csv row 2 (line 3)"]
    assert found.blocking == []


def test_foreign_keys_are_one_note(check):
    rows = [{"prompt": "x", "timecosts": {}, "format": "wav", "retake_variance": 0.5} for _ in range(3)]
    assert check("songs.json", json.dumps(rows)).notes == [
        "ignored in 3 rows: format, timecosts (they record a past run)",
        "ignored in 3 rows: retake_variance (text2music does not use them)",
    ]


@pytest.mark.parametrize(
    "output_path", ["../up.wav", "/abs/song.wav", "C:\\songs\\a.wav", "folder/", "~/a.wav", "a.m4a"]
)
def test_an_output_path_that_leaves_the_folder_or_names_no_file_is_the_rows_problem(check, output_path):
    found = check("songs.json", json.dumps([{"output_path": output_path}, {"output_path": "fine.wav"}]))
    assert [line.partition(": ")[0] for line in lines(found.row_problems)] == ["songs.json row 1, output_path"]


def test_a_dry_run_keeps_the_first_rows_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = plain_run(
        manifest={"path": str(written(tmp_path, "a.csv", "id\n" + "".join(f"{n}\n" for n in range(100))))}, lint="off"
    )
    assert len(preflighted(run, keep_rows=False).rows) == 20
    assert len(preflighted(run).rows) == 100


def test_one_song_without_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opened_run("model=embedded", "hw=cpu", "prompt=pop", "takes=2", "lint=off") as run:
        found = preflighted(run)
        assert found.blocking == []
        songs = songs_of(found.rows, run, found.target)
    assert [(song.id, song.place, song.generation.prompt) for song in songs] == [
        ("song", "command line row 1", "pop")
    ] * 2
    assert found.name == "song"
    with opened_run("model=embedded", "hw=cpu", "prompt=pop", "audio_duration=500") as run:
        assert "command line row 1, audio_duration: 500 s is longer" in lines(preflighted(run).blocking)[0]


@pytest.mark.parametrize(
    ("path", "name"), [("a b.csv", "a b"), ("requests", "requests"), ("v1.5", "v1.5"), (".", None), ("v1.5/..", None)]
)
def test_a_run_is_named_after_its_manifest(tmp_path, monkeypatch, path, name):
    monkeypatch.chdir(tmp_path)
    for folder in ("requests", "v1.5"):
        Path(folder).mkdir()
    assert run_name(plain_run(manifest={"path": path}), Path(path)) == (name or tmp_path.name)
    assert run_name(plain_run(manifest={"path": path}, output={"name": "mine"}), Path(path)) == "mine"


def test_the_shipped_manifests_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opened_run("model=embedded", "hw=cpu") as run:
        found = preflighted(run)
    assert found.blocking == []
    assert (found.name, found.counts["songs"]) == ("demo", 4)


CARD = replace(BARE, driver=Driver(DriverState.OK, (Gpu("NVIDIA GeForce RTX 4090", 24 * 2**30),), "570.86.15", "12.8"))


def test_without_a_device_or_a_checkpoint_a_run_of_v1_says_both_and_names_what_works_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with opened_run("model=v1", "hw=a100", f"model.path={tmp_path / 'nothing'}", "+preset=precise") as run:
        said = lines(preflighted(run).blocking)
    assert len(said) == 2, said
    assert "no NVIDIA GPU" in said[0]
    assert "checkpoint" in said[1]
    assert all("model=embedded" in line for line in said)


def test_the_embedded_model_runs_on_the_cpu_whatever_the_profile_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opened_run("model=embedded", "hw=a100", "lint=off") as run:
        found = preflighted(run)
        songs = songs_of(found.rows, run, found.target)
    assert found.blocking == []
    assert found.target.device == "cpu"
    assert "embedded model runs on the CPU" in found.notes[0]
    assert {song.generation.audio_duration for song in songs} == {10.0}


def test_the_watcher_sees_every_row_and_how_far_the_reading_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = plain_run(
        manifest={"path": str(written(tmp_path, "a.csv", "id\n" + "".join(f"{n}\n" for n in range(20_000))))},
        lint="off",
    )
    shares = []

    def watch(rows, share):
        for row in rows:
            shares.append(share())
            yield row

    preflight(run, BARE, CPU_BUILD, data_folder("manifests"), watch, False)
    assert len(shares) == 20_000
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5
    assert shares[-1] == pytest.approx(1.0, abs=0.1)


def test_copies_at_another_loudness_need_measurements():
    run = plain_run(output={"loudness_lufs": -14.0}, measure=False)
    assert "measure=false" in " ".join(map(str, preflighted(run).problems))
    assert not preflighted(plain_run(output={"loudness_lufs": -14.0})).problems
