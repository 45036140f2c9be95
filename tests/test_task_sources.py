"""What tasks start from: files, other rows, earlier runs; what is wrong with them, and what is made when."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sine_engine import SineEngine
from support import CPU_TARGET, checked, plain_run, preflighted, written
from task_rows import MAKE, SHORT, folder, records, run  # noqa: F401

from acestep_batch.cli import main
from acestep_batch.engine.tasks import AudioSource, LatentSource
from acestep_batch.latents_files import latents_file, read_latents
from acestep_batch.linking import linked
from acestep_batch.schema_run import Hardware
from acestep_batch.songs import songs_of
from acestep_batch.source_finding import Places

REPAINT = {"task": "repaint", "repaint_start": 0, "repaint_end": 0.5}


def song_of(path, duration_s=1.0, rate=44_100, channels=2, level=0.3):
    """Writes a sine to a file."""
    time_s = np.arange(int(duration_s * rate)) / rate
    wave = level * np.sin(2 * np.pi * 330 * time_s)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate, subtype="FLOAT")
    return path


def link(tmp_path, *rows, hw=None, **base):
    """The songs of rows with their sources, and every problem in words by song id."""
    run = plain_run(base={"infer_step": 4, **base}, lint="off")
    found = checked(written(tmp_path, "songs.json", json.dumps(rows)), run)
    assert not [problem for row in found for problem in row.problems]
    songs = songs_of(found, run, CPU_TARGET)
    made = linked(songs, Places(tmp_path, tmp_path), hw or run.hw, CPU_TARGET)
    problems = {song_id: [str(problem) for problem in own] for song_id, own in made.problems.items()}
    return {song.song_id: song for song in made.songs}, problems


@pytest.mark.parametrize(
    ("rate", "channels", "duration_s", "frames"),
    [(44_100, 1, 1.0, 11), (48_000, 2, 1.0, 11), (22_050, 1, 0.5, 6), (8_000, 2, 4096 * 10 / 44_100, 10)],
)
def test_a_file_of_any_rate_in_mono_or_stereo_is_a_source(tmp_path, rate, channels, duration_s, frames):
    song_of(tmp_path / "in.wav", duration_s, rate, channels)
    songs, problems = link(tmp_path, {"id": "a", **REPAINT, "src_audio_path": "in.wav", "audio_duration": 77})
    assert not problems
    source = songs["a"].source
    assert (source.frames, source.path) == (frames, str(tmp_path / "in.wav"))
    assert songs["a"].generation.audio_duration == pytest.approx(frames * 4096 / 44_100, abs=1e-3)


def test_what_is_no_song_is_an_error_with_its_place(tmp_path):
    song_of(tmp_path / "zero.wav", 0)
    song_of(tmp_path / "six.wav", 0.1, channels=6)
    soundfile.write(tmp_path / "nan.wav", np.full((100, 2), np.nan), 44_100, subtype="FLOAT")
    written(tmp_path, "text.wav", "no audio")
    names = ["zero.wav", "six.wav", "nan.wav", "text.wav", "gone.wav", ".", r"\\host\share\a.wav", "@nowhere", "@a/b"]
    rows = [{"id": f"s{number}", **REPAINT, "src_audio_path": name} for number, name in enumerate(names)]
    _, problems = link(tmp_path, *rows)
    says = [
        "has no audio in it", "has 6 channels; one or two are read", "has samples that are no numbers",
        "is no audio that can be read", "does not exist in", "cannot be read (is no plain file)",
        "lies on another machine; copy it here", "there is no row 'nowhere' in this manifest",
        "there is no row 'a/b' in this manifest, and no run of that folder",
    ]  # fmt: skip
    assert list(problems) == [row["id"] for row in rows]
    for number, text in enumerate(says):
        (problem,) = problems[f"s{number}"]
        assert problem.startswith(f"songs.json row {number + 1}, src_audio_path: ")
        assert text in problem


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"task": "repaint", "repaint_start": 0.5, "repaint_end": 9}, "does not lie within the source"),
        ({"task": "repaint", "repaint_start": 0.5, "repaint_end": 0.5}, "does not lie within the source"),
        ({**REPAINT, "retake_variance": 0}, "redraws nothing"),
        ({"task": "extend", "repaint_end": 0.5}, "no new frame"),
        ({"task": "extend", "repaint_end": 90}, "is longer than hw=cpu allows (60 s)"),
        ({"task": "edit", "edit_target_prompt": "jazz", "edit_n_min": 0.8, "edit_n_max": 0.2}, "are not in order"),
        ({"task": "audio2audio", "ref_audio_strength": 0.9}, "leaves none of 4 steps"),
    ],
)
def test_a_task_that_its_source_does_not_allow_is_an_error(tmp_path, row, says):
    song_of(tmp_path / "in.wav")
    _, problems = link(tmp_path, {"id": "a", "src_audio_path": "in.wav", **row}, hw=Hardware(max_duration_s=60))
    assert says in problems["a"][0]


def test_extending_beyond_the_longest_is_an_error_on_both_sides_and_noted_on_one(tmp_path):
    song_of(tmp_path / "in.wav", 200, rate=8_000)
    row = {"src_audio_path": "in.wav", "task": "extend", "repaint_end": 260}
    both = {"id": "both", **row, "repaint_start": -10}
    songs, problems = link(tmp_path, {"id": "one", **row}, both, hw=Hardware(max_duration_s=600))
    assert list(songs) == ["one"]
    assert "the model takes 240 s at once" in problems["both"][0]
    assert any("hears the nearest 240 s" in note for note in songs["one"].notes)


def test_rows_that_start_from_each_other_are_errors_that_show_the_circle(tmp_path):
    names = {"a": "b", "b": "c", "c": "a", "own": "own", "d": "a"}
    rows = [{"id": name, **REPAINT, "src_audio_path": f"@{source}"} for name, source in names.items()]
    _, problems = link(tmp_path, *rows)
    assert problems.keys() == names.keys()
    assert "starts from itself: a -> b -> c -> a" in problems["b"][0]
    assert "starts from itself: own -> own" in problems["own"][0]
    assert "its source a cannot be made" in problems["d"][0]


def test_a_row_of_several_songs_is_named_by_one_of_them(tmp_path):
    make = {"id": "make", "seed": [4, 5], "audio_duration": 1}
    row, other = ({"id": name, **REPAINT, "src_audio_path": f"@{name}"} for name in ("make", "make_5"))
    songs, problems = link(tmp_path, make, {**row, "id": "x"}, {**other, "id": "y"})
    assert "make makes 2 songs; name one of make_4, make_5" in problems["x"][0]
    assert songs["y"].source.song_id == "make_5"


def test_a_row_with_errors_fails_those_that_start_from_it_and_a_dry_run_finds_them_too(tmp_path, render_rows):
    rows = [{"id": f"n{number}", "audio_duration": 1} for number in range(21)]
    rows += [{"id": "late", **REPAINT, "src_audio_path": "@bad"}, {**MAKE, "id": "bad", "infer_step": 0}]
    rows += [{"id": "fine", **REPAINT, "src_audio_path": "@n20"}, {"id": "two", **REPAINT, "src_audio_path": "@late"}]
    path = written(tmp_path, "songs.json", json.dumps(rows))
    for keep in (True, False):
        found = preflighted(plain_run(lint="off", manifest={"path": str(path)}), keep_rows=keep)
        says = [str(problem).partition(" -> ")[0] for problem in found.row_problems]
        assert says[1:] == [
            "songs.json row 22, src_audio_path: its source bad is a row with errors",
            "songs.json row 25, src_audio_path: its source late cannot be made",
        ]
    result, _, _ = render_rows([*rows[20:]], "on_invalid=skip", "audio_duration=1")
    assert [record["id"] for record in result.records if record["status"] != "ok"] == ["late", "bad", "two"]


def test_a_dry_run_counts_the_audio_that_follows_from_sources(tmp_path):
    song_of(tmp_path / "in.wav", 30)
    rows = [{"id": "a", **REPAINT, "src_audio_path": "in.wav", "audio_duration": 1}, {"id": "b", "audio_duration": 2}]
    rows.append({"id": "c", "task": "extend", "src_audio_path": "@b", "repaint_start": -3})
    path = written(tmp_path, "songs.json", json.dumps(rows))
    for keep in (True, False):
        found = preflighted(plain_run(lint="off", manifest={"path": str(path)}), keep_rows=keep)
        assert not found.blocking
        assert found.audio_s == pytest.approx(30 + 2 + 5, abs=0.3)
        assert found.counts["songs"] == 3


class SourceEngine(SineEngine):
    """Sines that say what they started from, and how often."""

    def __init__(self):
        super().__init__()
        self.sources = {}

    def denoise(self, requests, on_step=None):
        for request in requests:
            self.sources[request.seed] = getattr(request.task, "source", None)
        return super().denoise(requests, on_step)


def test_songs_are_made_after_those_that_they_start_from(render_rows):
    rows = [
        {"id": "c", "seed": 3, **REPAINT, "src_audio_path": "@b"},
        {"id": "b", "seed": 2, **REPAINT, "src_audio_path": "@a"},
        {"id": "b2", "seed": 5, **REPAINT, "src_audio_path": "@a2"},
        {"id": "a", "seed": 1, "audio_duration": 2},
        {"id": "a2", "seed": 4, "audio_duration": 2},
    ]
    result, engine, _ = render_rows(rows, "hw.batch_size=4", "audio_duration=2", engine=SourceEngine())
    assert result.failed == 0
    assert engine.batches == [[1, 4], [2, 5], [3]]
    assert all(isinstance(engine.sources[seed], AudioSource) for seed in (2, 3, 5))
    assert engine.sources[2].samples.shape[1] == 21 * 4096 * 48_000 // 44_100


def test_a_failed_source_fails_those_that_start_from_it_and_they_come_with_it_later(render_rows):
    rows = [
        {"id": "bad", "seed": 1, "prompt": "explode", "audio_duration": 1},
        {"id": "next", "seed": 2, **REPAINT, "src_audio_path": "@bad"},
        {"id": "last", "seed": 3, **REPAINT, "src_audio_path": "@next"},
        {"id": "good", "seed": 4},
    ]
    words = ("audio_duration=1",)
    result, _, _ = render_rows(rows, *words)
    errors = {record["id"]: record["error"] for record in result.records}
    assert errors["good"] == ""
    assert errors["next"] == "source bad failed: RuntimeError: the prompt exploded"
    assert errors["last"] == f"source next failed: {errors['next']}"
    rows[0]["prompt"] = "calm"
    again, engine, _ = render_rows(rows, *words, into=result.folder)
    assert {record["id"]: record["status"] for record in again.records} == dict.fromkeys(("bad", "next", "last"), "ok")
    assert engine.batches == [[1], [2], [3]]


def test_what_starts_from_an_edited_row_is_made_again(folder, capsys):  # noqa: F811
    rows = [MAKE, {**MAKE, "id": "part", **REPAINT, "src_audio_path": "@make"}, {**MAKE, "id": "other", "seed": 9}]
    code, before = run(*rows)
    assert code == 0
    rows[0] = {**MAKE, "prompt": "jazz"}
    Path("songs.json").write_text(json.dumps(rows), encoding="utf-8")
    capsys.readouterr()
    assert main(("resume", "outputs/songs/v0001", "--explain")) == 0
    out = capsys.readouterr().out
    assert "changed: prompt" in out
    assert "changed: source" in out
    assert "1 song is done, 2 to make" in out
    assert main(("resume", "outputs/songs/v0001")) == 0
    after = records(Path("outputs/songs/v0001"))
    assert after["part"]["started_from"]["identity"] == after["make"]["identity"] != before["make"]["identity"]
    assert after["other"]["finished_at"] == before["other"]["finished_at"]


def test_a_chain_stays_in_one_shard(render_rows):
    rows = []
    for number in range(4):
        rows.append({"id": f"a{number}", "seed": number + 1, "audio_duration": 1})
        rows.append({"id": f"b{number}", "seed": number + 11, **REPAINT, "src_audio_path": f"@a{number}"})
        rows.append({"id": f"c{number}", "seed": number + 21, **REPAINT, "src_audio_path": f"@b{number}"})
    from acestep_batch.shard import Shard

    one, first, _ = render_rows(rows, "audio_duration=1", shard=Shard(1, 2), engine=SourceEngine())
    two, second, _ = render_rows(rows, "audio_duration=1", shard=Shard(2, 2), engine=SourceEngine(), into=one.folder)
    assert one.failed == two.failed == 0
    assert (one.made, two.made) == (6, 6)
    assert {seed % 10 for seed in first.sources}.isdisjoint(seed % 10 for seed in second.sources)


def test_latents_that_were_kept_are_used_instead_of_audio(render_rows):
    rows = [
        {"id": "a", "seed": 1, "audio_duration": 1},
        {"id": "b", "seed": 2, "task": "audio2audio", "ref_audio_input": "@a"},
    ]
    plain, plain_engine, _ = render_rows(rows, "audio_duration=1", engine=SourceEngine())
    result, engine, _ = render_rows(rows, "audio_duration=1", "output.save_latents=true", engine=SourceEngine())
    assert result.failed == plain.failed == 0
    assert isinstance(plain_engine.sources[2], AudioSource)
    assert isinstance(engine.sources[2], LatentSource)
    assert len(list((result.folder / "latents").glob("*.npz"))) == 2
    forms = [record["started_from"]["form"] for run in (plain, result) for record in run.records if record["id"] == "b"]
    assert forms == ["wav pcm16", "latents"]


def test_what_repaint_and_extend_keep_of_latents_is_kept_bit_for_bit(folder, capsys):  # noqa: F811
    base = {"seed": 2, "prompt": "pop, drums", "src_audio_path": "@make"}
    rows = [
        {"id": "make", "seed": 1, "prompt": "pop"},
        {**base, "id": "part", "task": "repaint", "repaint_start": 0.3, "repaint_end": 0.6},
        {**base, "id": "more", "task": "extend", "repaint_start": -0.5, "repaint_end": 1.5},
    ]
    code, found = run(*rows, words=("output.save_latents=true", "infer_step=4"))
    assert code == 0
    kept = {
        name: read_latents(latents_file(Path("outputs/songs/v0001"), record["identity"]), 100)[0]
        for name, record in found.items()
    }
    made = kept["make"]
    assert made.shape[-1] == 10
    outside = [frame for frame in range(10) if not 3 <= frame < 6]
    assert np.array_equal(kept["part"][..., outside], made[..., outside])
    assert not np.array_equal(kept["part"][..., 3:6], made[..., 3:6])
    assert np.array_equal(kept["more"][..., 5:15], made)
    assert main(("verify", "outputs/songs/v0001")) == 0
    latents_file(Path("outputs/songs/v0001"), found["make"]["identity"]).unlink()
    capsys.readouterr()
    assert main(("resume", "outputs/songs/v0001", "--explain")) == 0
    assert "its latents are missing" in capsys.readouterr().out


def test_a_song_of_an_earlier_run_is_a_source(folder, capsys):  # noqa: F811
    assert run(MAKE, words=("output.name=first",), folder=Path("outputs/first/v0001"))[0] == 0
    kept = ("output.name=kept", "output.save_latents=true")
    assert run(MAKE, words=kept, folder=Path("outputs/kept/v0001"))[0] == 0
    part = {**MAKE, **REPAINT}
    rows = [
        {**part, "id": "a", "src_audio_path": "@outputs/first/v0001/make"},
        {**part, "id": "b", "src_audio_path": "@first/v0001/make"},
        {**part, "id": "c", "src_audio_path": "@kept/v0001/make"},
    ]
    code, found = run(*rows, words=("output.name=second",), folder=Path("outputs/second/v0001"))
    assert code == 0, capsys.readouterr().err
    assert found["a"]["identity"] == found["b"]["identity"] != found["c"]["identity"]
    assert [found[name]["started_from"]["form"] for name in "abc"] == ["song audio", "song audio", "latents"]
    assert [found[name]["frames"] for name in "abc"] == [10, 10, 10]
    assert main(("verify", "outputs/second/v0001")) == 0
    beside = Path("outputs/second/v0001", found["a"]["files"][0] + ".json")
    assert main((*SHORT[:-1], f"manifest.path={beside}", "output.name=beside")) == 0
    assert records(Path("outputs/beside/v0001"))["a"]["pcm_sha256"] == found["a"]["pcm_sha256"]
    (wave,) = Path("outputs/first/v0001/audio").glob("*.wav")
    song_of(wave)
    capsys.readouterr()
    assert main(("verify", "outputs/second/v0001")) == 2
    assert "is not what it was" in capsys.readouterr().out
    assert run(*rows, words=("output.name=third",), folder=Path("outputs/third/v0001"))[0] == 2
    assert "its samples are not those that were written" in capsys.readouterr().err
    shutil.rmtree("outputs/first")
    assert main(("verify", "outputs/second/v0001")) == 2
    assert "is gone" in capsys.readouterr().out


def test_a_source_file_that_changes_while_the_run_is_planned_is_not_taken(folder, capsys):  # noqa: F811
    song_of(Path("in.wav"))
    row = {**MAKE, "id": "a", **REPAINT, "src_audio_path": "in.wav"}
    code, before = run(row)
    assert code == 0
    song_of(Path("in.wav"), level=0.2)
    Path("outputs/songs/v0001", before["a"]["files"][0]).unlink()
    assert main(("resume", "outputs/songs/v0001", "--as-planned")) == 1
    assert "in.wav is not what it was" in capsys.readouterr().out
    assert main(("resume", "outputs/songs/v0001")) == 0
