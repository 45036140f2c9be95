"""Tasks as rows of a manifest, from the columns to what the engine is asked for and to what is written down."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from support import CPU_TARGET, checked, make_songs, plain_run, written
from task_rows import MAKE, PLAIN, folder, records, run  # noqa: F401

from acestep_batch.cli import main
from acestep_batch.engine.tasks import Retake
from acestep_batch.identity import identity_of, sound_facts
from acestep_batch.run_plan import read_plan
from acestep_batch.schema import SONG
from acestep_batch.schema_tasks import TASK_PARAMETERS
from acestep_batch.song_tasks import retake_seed_of
from acestep_batch.songs import audios_of
from acestep_batch.sources import SongSource, source_of_record

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE, MANIFESTS = ROOT / "docs" / "example_run", ROOT / "manifests"


def problems_of(tmp_path, *rows, **base):
    run = plain_run(base=base, lint="off")
    found = checked(written(tmp_path, "songs.json", json.dumps(rows)), run)
    return [[str(problem) for problem in row.problems] for row in found]


def test_songs_of_no_task_keep_their_identities():
    for planned in read_plan(EXAMPLE):
        weights = {
            name.removeprefix("model file "): sha256
            for name, sha256 in planned.facts.items()
            if name.startswith("model file ")
        }
        facts = sound_facts(planned.song, planned.facts["sample_rate"], weights)
        assert facts == planned.facts
        assert identity_of(facts) == planned.identity


def test_what_a_task_does_not_look_at_changes_nothing(tmp_path):
    row = {"id": "a", "seed": 1, "prompt": "pop"}
    foreign = {name: SONG[name].default for name in TASK_PARAMETERS if SONG[name].default is not None}
    plain, request = make_songs([row, {**row, "id": "b", **foreign, "retake_seeds": [3], "src_audio_path": "x.wav"}])
    assert plain.request() == request.request()
    facts = [sound_facts(song, 48_000, {}) for song in (plain, request)]
    assert facts[0] == facts[1]
    assert not TASK_PARAMETERS.intersection(facts[0])
    assert "task" not in facts[0]


def test_a_retake_says_its_noise_and_how_far_it_turns(tmp_path):
    one, two, derived = make_songs(
        [
            {"id": "a", "task": "retake", "seed": 7, "retake_seeds": [3, 4], "retake_variance": 0.25},
            {"id": "b", "task": "retake", "seed": 7},
        ]
    )
    assert [song.request().task for song in (one, two)] == [Retake(3, 0.25), Retake(4, 0.25)]
    assert [(song.song_id, song.seed, song.take, song.takes) for song in (one, two)] == [
        ("a_3", 7, 1, 2),
        ("a_4", 7, 2, 2),
    ]
    assert derived.request().task == Retake(retake_seed_of(7), 0.5)
    assert derived.generation.retake_seeds == (retake_seed_of(7),)
    facts = [sound_facts(song, 48_000, {}) for song in (one, two)]
    assert {name for name in facts[0] if facts[0][name] != facts[1][name]} == {"retake_seeds"}


def test_one_retake_seed_serves_all_songs_of_a_row(tmp_path):
    songs = make_songs([{"id": "a", "task": "retake", "seed": [1, 2], "retake_seeds": 9}])
    assert [(song.seed, song.request().task.retake_seed) for song in songs] == [(1, 9), (2, 9)]
    rows = [{"task": "retake", "retake_seeds": [1, 2, 3]}, {"seed": [1, 2], "retake_seeds": [1, 2, 3]}]
    found = checked(written(tmp_path, "m.json", json.dumps(rows)), plain_run(lint="off"))
    assert [audios_of(row.settings) for row in found] == [3, 2]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"task": "repaint"}, "src_audio_path: is missing: repaint starts from a song -> give an audio file, or @ID"),
        ({"audio2audio_enable": True}, "ref_audio_input: is missing: audio2audio starts from a song"),
        ({"task": "retake", "src_audio_path": "x.wav"}, "src_audio_path: retake makes the song of its seed again"),
        (
            {"task": "retake", "seed": [1, 2], "retake_seeds": [1, 2, 3]},
            "retake_seeds: 3 of them, and 2 songs to be made -> give one for each, or one for all",
        ),
        ({"task": "retake", "retake_seeds": [1, 1]}, "retake_seeds: names a seed twice"),
    ],
)
def test_what_a_task_lacks_is_an_error_before_the_run(tmp_path, row, says):
    ((problem,),) = problems_of(tmp_path, row)
    assert problem.startswith("songs.json row 1, ")
    assert says in problem


def test_parameters_that_a_task_does_not_use_are_named_in_a_warning(tmp_path):
    row = {"task": "retake", "ref_audio_strength": 0.3, "edit_n_avg": 1, "retake_variance": 0.1, "repaint_end": 3}
    found = checked(written(tmp_path, "m.json", json.dumps([row])), plain_run(lint="warn"), CPU_TARGET)
    unused = [(each.key, each.message) for each in found[0].advice if each.rule == "unused"]
    why = "is not used by task retake"
    assert unused == [("ref_audio_strength", why), ("repaint_end", why)]


def test_a_retake_of_no_variance_is_the_song_and_others_are_not(folder):  # noqa: F811
    song = {"seed": 5, "prompt": "pop"}
    retake = {**song, "task": "retake", "retake_seeds": 8}
    code, found = run(
        {"id": "song", **song},
        {"id": "same", **retake, "retake_variance": 0},
        {"id": "other", **retake, "retake_variance": 0.4},
        {"id": "most", **retake, "retake_variance": 1},
    )
    assert code == 0
    sounds = [found[name]["pcm_sha256"] for name in ("song", "same", "other", "most")]
    assert sounds[0] == sounds[1]
    assert len(set(sounds)) == 3
    assert "task" not in found["song"]
    assert (found["other"]["task"], found["other"]["retake_seeds"]) == ("retake", [8])
    rows = Path("outputs/songs/v0001/manifest.jsonl").read_text(encoding="utf-8").splitlines()
    code, again = run(*map(json.loads, rows), folder=Path("outputs/songs/v0002"))
    assert {name: record["pcm_sha256"] for name, record in again.items()} == {
        name: record["pcm_sha256"] for name, record in found.items()
    }
    assert main(("verify", "outputs/songs/v0001")) == 0
    assert main(("inspect", "outputs/songs/v0001/" + found["other"]["files"][0], "--rerun")) == 0


CHAIN = (
    MAKE,
    {**MAKE, "id": "again", "task": "retake", "retake_variance": 0.3},
    {**MAKE, "id": "patch", "task": "repaint", "src_audio_path": "@again", "repaint_start": 0.5, "repaint_end": 1.2},
    {
        **MAKE,
        "id": "longer",
        "task": "extend",
        "src_audio_path": "@patch",
        "repaint_start": -0.5,
        "repaint_end": 2.5,
        "retake_variance": 1,
    },
    {
        **MAKE,
        "id": "words",
        "task": "edit",
        "src_audio_path": "@longer",
        "edit_target_lyrics": "[verse]\nlo lo lo\n",
    },
    {**MAKE, "id": "mood", "audio2audio_enable": True, "ref_audio_input": "@make", "ref_audio_strength": 0.4},
)


def test_a_chain_of_tasks_runs_from_one_manifest_and_is_verified(folder, capsys):  # noqa: F811
    code, found = run(*reversed(CHAIN), words=("infer_step=4", "audio_duration=2"))
    assert code == 0, capsys.readouterr().err
    assert [found[row["id"]]["frames"] for row in CHAIN] == [21, 21, 21, 21 + 5 + 5, 31, 21]
    order = list(found)
    assert order.index("again") < order.index("patch") < order.index("longer") < order.index("words")
    started = found["patch"]["started_from"]
    assert (started["song_id"], started["identity"]) == ("again", found["again"]["identity"])
    assert (started["path"], started["sha256"]) == (found["again"]["files"][0], found["again"]["pcm_sha256"])
    assert any("both sides" in note for note in found["longer"]["notes"])
    assert main(("verify", "outputs/songs/v0001")) == 0
    assert main(("inspect", "outputs/songs/v0001/" + found["words"]["files"][0], "--rerun")) == 0
    beside = Path("outputs/songs/v0001", found["patch"]["files"][0] + ".json")
    assert main((*PLAIN, "lint=off", f"manifest.path={beside}", "output.name=alone")) == 0
    assert records(Path("outputs/alone/v0001"))["patch"]["pcm_sha256"] == found["patch"]["pcm_sha256"]
    assert main(("resume", "outputs/songs/v0001", "--explain")) == 0
    assert "6 songs are done, 0 to make" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tasks", *sorted(f"tasks/{path.stem}" for path in MANIFESTS.glob("tasks/*.yaml"))])
def test_the_examples_run_from_one_command(folder, name):  # noqa: F811
    where = (
        ("manifest=tasks",)
        if name == "tasks"
        else (f"manifest.path={MANIFESTS / name}.yaml", f"output.name={Path(name).name}")
    )
    words = (*PLAIN, *where)
    assert main((*words, "lint=error", "dry_run=true")) == 0
    assert main((*words, "lint=off", "infer_step=4")) == 0
    made = records(Path("outputs", Path(name).name, "v0001"))
    tasks = {record.get("task", "text2music") for record in made.values()}
    expected = {"retake", "repaint", "extend", "edit", "audio2audio"} if name == "tasks" else {Path(name).name}
    assert tasks == expected | {"text2music"}
    assert {record["status"] for record in made.values()} == {"ok"}


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": 0},
        {"frames": 2**40},
        {"form": None},
        {"sha256": "0" * 63},
        {"path": "\\\\host\\share\\a.wav"},
        {"path": "a\nb.wav"},
        {"path": None},
        {"sha256": None},
    ],
)
def test_a_source_that_no_plan_holds_is_refused(changes):
    source = SongSource(11, "audio", "/songs/a.wav", "0" * 64)
    assert source_of_record(asdict(source)) == source
    with pytest.raises(ValueError, match="source"):
        source_of_record(asdict(source) | changes)
