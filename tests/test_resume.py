"""Runs that go on: what is made again and why, what is left alone, and sweeps that find their cells."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from acestep_batch.cli import main
from acestep_batch.ledger import read_ledger

ROWS = [{"id": "a", "seed": 1}, {"id": "b", "seed": 2}, {"id": "c", "seed": 3}]
SHORT = (
    "model=embedded",
    "hw=cpu",
    "lint=off",
    "measure=false",
    "report=false",
    "infer_step=2",
    "audio_duration=0.5",
    "manifest.path=songs.yaml",
)
RUN = Path("outputs/songs/v0001")


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs one command in an empty folder that holds songs.yaml: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    write_rows(ROWS)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def write_rows(rows, comment: str = "") -> None:
    text = f"# {comment}\n" + yaml.safe_dump(rows)
    Path("songs.yaml").write_text(text, encoding="utf-8")


def songs(folder: Path = RUN) -> dict[str, tuple[int, int]]:
    """Inode and time of every audio file: whoever touches a file changes them."""
    found = sorted((folder / "audio").glob("*.wav"))
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def made(folder: Path = RUN) -> list[str]:
    """The songs of all ledger lines, in their order."""
    return [record["id"] for record in read_ledger(folder).records]


def records(folder: Path = RUN) -> list[dict]:
    return list(read_ledger(folder).records)


def test_a_run_that_is_done_is_left_alone(cli):
    assert cli(*SHORT)[0] == 0
    before = songs()
    code, out, _ = cli("resume", str(RUN))
    assert code == 0
    assert "0 songs made, 0 failed, 3 done before" in out
    assert songs() == before
    assert cli(*SHORT, "resume=true")[0] == 0
    assert songs() == before
    assert made() == ["a", "b", "c"]


def test_only_missing_and_damaged_songs_are_made_again(cli):
    cli(*SHORT)
    before, first, second = songs(), *sorted((RUN / "audio").glob("*.wav"))[:2]
    first.unlink()
    content = second.read_bytes()
    second.write_bytes(content[:1000] + bytes(400) + content[1400:])
    _, out, _ = cli("resume", str(RUN), "--explain")
    assert f"audio/{first.name} is missing" in out
    assert "its samples are not those that were written" in " ".join(out.split())
    assert "1 song is done, 2 to make" in out
    assert made() == ["a", "b", "c"]
    cli("resume", str(RUN))
    assert made() == ["a", "b", "c", "a", "b"]
    after = songs()
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {first.name, second.name}
    assert (RUN / "superseded" / "0001" / "audio" / second.name).is_file()
    sounds = [(record["id"], record["pcm_sha256"]) for record in read_ledger(RUN).records]
    assert sounds[3:] == sounds[:2]


def test_a_song_whose_tags_a_person_edited_is_done(cli):
    from mutagen.wave import WAVE

    cli(*SHORT)
    file = WAVE(sorted((RUN / "audio").glob("*.wav"))[0])
    file.tags.delall("COMM")
    file.save()
    assert "3 done before" in cli("resume", str(RUN))[1]


def test_an_edited_row_is_made_again_alone_and_its_old_files_are_kept(cli):
    cli(*SHORT)
    before = songs()
    write_rows([ROWS[0], ROWS[1] | {"guidance_scale": 7}, ROWS[2]])
    _, out, _ = cli("resume", str(RUN), "--explain")
    assert "changed: guidance_scale" in out
    cli("resume", str(RUN))
    after = songs()
    assert {name for name in after if after[name] != before[name]} == {"0002_b_2.wav"}
    old = RUN / "superseded" / "0001" / "audio"
    assert {path.name for path in old.iterdir()} == {"0002_b_2.wav", "0002_b_2.wav.json"}
    assert list(pd.read_csv(RUN / "summary.csv")["guidance_scale"]) == [15.0, 7.0, 15.0]
    assert json.loads((RUN / "manifest.jsonl").read_text(encoding="utf-8").splitlines()[1])["guidance_scale"] == 7


def test_reasons_are_told_whole_in_a_narrow_terminal(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    cli(*SHORT)
    write_rows([{**ROWS[0], "guidance_scale": 7, "omega_scale": 8, "min_guidance_scale": 2}, *ROWS[1:]])
    out = cli("resume", str(RUN), "--explain")[1]
    assert "changed: guidance_scale, min_guidance_scale, omega_scale" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 40


def test_a_comment_or_another_folder_makes_nothing_again(cli):
    cli(*SHORT)
    write_rows(ROWS, comment="my best songs")
    RUN.rename("outputs/songs/best")
    assert "0 songs made, 0 failed, 3 done before" in cli("resume", "outputs/songs/best")[1]


def test_from_another_directory_a_run_is_named_by_its_whole_path(cli, tmp_path, monkeypatch):
    cli(*SHORT)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    out = cli("resume", f"../{RUN}")[1].splitlines()
    assert out[0] == str(tmp_path / RUN)
    assert f"summary: {tmp_path / RUN / 'summary.csv'}" in out


def test_rows_that_come_and_go_leave_the_others_alone(cli):
    cli(*SHORT)
    before = songs()
    write_rows([{"id": "new", "seed": 9}, ROWS[0], ROWS[2]])
    _, out, _ = cli(*SHORT, "resume=true")
    assert "1 song made, 0 failed, 2 done before" in out
    after = songs()
    assert after.keys() == before.keys() - {"0002_b_2.wav"} | {"0001_new_9.wav"}
    assert {name for name in before.keys() & after.keys() if before[name] != after[name]} == set()
    assert list(pd.read_csv(RUN / "summary.csv")["id"]) == ["new", "a", "c"]
    assert (RUN / "superseded" / "0001" / "audio" / "0002_b_2.wav").is_file()


def test_a_failed_song_is_tried_again(cli):
    write_rows([{"id": "a", "seed": 1}, {"id": "b", "seed": 2, "output_path": "taken/b.wav"}])
    cli(*SHORT)
    audio = RUN / "audio"
    shutil.rmtree(audio / "taken")
    (audio / "taken").write_text("in the way", encoding="utf-8")
    code, out, _ = cli("resume", str(RUN))
    assert code == 1
    assert "1 failed" in out
    assert f"{audio / 'taken'}: a file of that name has appeared" in " ".join(out.split())
    assert "kept in latents/" in " ".join(out.split())
    (audio / "taken").unlink()
    code, out, _ = cli("resume", str(RUN))
    assert code == 0
    assert "1 song made, 0 failed, 1 done before" in out
    assert not list((RUN / "latents").iterdir())
    assert read_ledger(RUN).records[1]["pcm_sha256"] == read_ledger(RUN).records[-1]["pcm_sha256"]


def test_seeds_drawn_at_random_are_not_drawn_again(cli):
    write_rows([{"id": "a", "seed": "random"}, {"id": "b", "seed": "random", "takes": 2}])
    cli(*SHORT)
    before = songs()
    sorted((RUN / "audio").glob("*.wav"))[0].unlink()
    assert "1 song made, 0 failed, 2 done before" in cli("resume", str(RUN))[1]
    assert songs().keys() == before.keys()


def test_songs_that_sound_the_same_are_rendered_once(cli):
    write_rows([{"id": "a", "seed": 1}, {"id": "b", "seed": 1}, {"id": "c", "seed": 2}])
    _, out, _ = cli(*SHORT, "output.formats=[wav,flac]")
    assert "3 songs made, 0 failed" in out
    records = {record["id"]: record for record in read_ledger(RUN).records}
    assert [records[name]["same_as"] for name in "abc"] == [None, "a", None]
    assert records["a"]["pcm_sha256"] == records["b"]["pcm_sha256"] != records["c"]["pcm_sha256"]
    beside = json.loads((RUN / "audio" / "0002_b_1.wav.json").read_text(encoding="utf-8"))
    assert beside["id"] == "b"
    assert beside["record"]["same_as"] == "a"
    assert beside["record"]["file"]["name"] == "0002_b_1.wav"
    (RUN / "audio" / "0001_a_1.flac").unlink()
    assert "1 song made, 0 failed, 2 done before" in cli("resume", str(RUN))[1]


def test_another_configuration_is_no_resume_and_the_difference_is_shown(cli):
    cli(*SHORT)
    code, _, err = cli(*SHORT, "resume=true", "guidance_scale=9", "output.formats=[flac]")
    assert code == 2
    assert "generation.guidance_scale: was 15.0, is now 9.0" in err
    assert 'output.formats: was ["wav"], is now ["flac"]' in err
    assert not Path("outputs/songs/v0002").exists()
    cli(*SHORT, "guidance_scale=9")
    assert cli(*SHORT, "resume=true")[1].splitlines()[0] == str(RUN)  # the newest version with this configuration


def test_without_resume_every_run_is_a_new_version(cli):
    cli(*SHORT)
    cli(*SHORT)
    assert {path.name for path in RUN.parent.glob("v*")} == {"v0001", "v0002"}


def test_resume_takes_the_songs_as_they_were_planned_when_the_manifest_is_gone(cli):
    cli(*SHORT)
    sorted((RUN / "audio").glob("*.wav"))[0].unlink()
    Path("songs.yaml").unlink()
    code, _, err = cli("resume", str(RUN))
    assert code == 2
    assert "songs.yaml" in err
    assert "--as-planned" in err
    assert "1 song made, 0 failed, 2 done before" in cli("resume", str(RUN), "--as-planned")[1]


@pytest.mark.parametrize("words", [("resume", "nowhere"), ("resume", "."), ("resume", ".", "shard=3/2")])
def test_a_folder_that_is_no_run_is_refused(cli, words):
    code, _, err = cli(*words)
    assert code == 2
    assert err.startswith("error: ")


SWEEP = (*SHORT, "-m")


def test_a_sweep_run_again_does_only_the_missing_cells(cli):
    assert cli(*SWEEP, "seed=1,2")[0] == 0
    cells = sorted((RUN / "cells").iterdir())
    assert [cell.name.rpartition("-")[0] for cell in cells] == ["seed=1", "seed=2"]
    shutil.rmtree(cells[0])
    before = songs(cells[1])
    _, out, _ = cli(*SWEEP, "seed=2,1")  # in any order
    assert "3 songs made, 0 failed, 3 done before" in out
    assert sorted((RUN / "cells").iterdir()) == cells
    assert songs(cells[1]) == before


def test_seeds_that_are_added_to_a_sweep_add_cells(cli):
    cli(*SWEEP, "seed=1,2")
    before = {cell.name: songs(cell) for cell in (RUN / "cells").iterdir()}
    _, out, _ = cli(*SWEEP, "seed=range(1,4)")
    assert "3 songs made, 0 failed, 6 done before" in out
    after = {cell.name: songs(cell) for cell in (RUN / "cells").iterdir()}
    assert len(after) == 3
    assert before.items() <= after.items()
    table = pd.read_csv(RUN / "summary.csv")
    assert sorted(table["sweep.seed"]) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert all((RUN / name).is_file() for name in table["files"])


@pytest.mark.slow
def test_a_sweep_of_something_else_is_another_sweep(cli):
    cli(*SWEEP, "seed=1,2")
    cli(*SWEEP, "seed=1,2", "guidance_scale=5")
    cli(*SWEEP, "seed=1", "guidance_scale=5,6")
    cli(*SWEEP, "seed=1,2", "resume=false")
    assert {path.name for path in RUN.parent.glob("v*")} == {"v0001", "v0002", "v0003", "v0004"}


def test_a_sweep_resumes_by_its_folder(cli):
    cli(*SWEEP, "seed=1,2")
    sorted(RUN.glob("cells/*/audio/*.wav"))[0].unlink()
    assert "5 songs are done, 1 to make" in cli("resume", str(RUN), "--explain")[1]
    assert "1 song made, 0 failed, 5 done before" in cli("resume", str(RUN))[1]
    cell = sorted((RUN / "cells").iterdir())[0]
    code, _, err = cli("resume", str(cell))
    assert code == 2
    assert f"resume the sweep: {RUN.resolve()}" in err


def test_two_shards_make_the_songs_of_one_run(cli):
    cli(*SHORT, "output.name=whole")
    for device_id, shard in enumerate(("1/2", "2/2")):  # two GPUs of one machine
        code, _, _ = cli(*SHORT, "output.name=parts", f"shard={shard}", f"device_id={device_id}")
        assert code == 0
    whole, parts = Path("outputs/whole/v0001"), Path("outputs/parts/v0001")
    assert {path.name for path in parts.glob("records*")} == {"records-1of2.jsonl", "records-2of2.jsonl"}
    assert [path.parent for path in parts.parent.glob("v*/audio")] == [parts]
    sounds = [
        {record["id"]: record["pcm_sha256"] for record in read_ledger(folder).records} for folder in (whole, parts)
    ]
    assert sounds[0] == sounds[1]
    assert list(pd.read_csv(parts / "summary.csv")["id"]) == ["a", "b", "c"]
    assert "0 songs made, 0 failed, 3 done before" in cli("resume", str(parts))[1]


def test_a_shard_with_a_new_version_of_its_own_makes_no_sense(cli):
    code, _, err = cli(*SHORT, "shard=1/2", "resume=false")
    assert code == 2
    assert "needs one folder for all shards" in err


@pytest.mark.parametrize("shard", ["0/2", "3/2", "x", "1/0", "1/2/3"])
def test_a_shard_that_is_none_is_refused(cli, shard):
    code, _, err = cli(*SHORT, f"shard={shard}")
    assert code == 2
    assert "is not I/N" in err


def test_the_slurm_example_is_a_command_that_is_understood(cli):
    script = Path(__file__).parents[1] / "docs" / "slurm_array.sh"
    text = script.read_text(encoding="utf-8").partition("exec python -m acestep_batch")[2].replace("\\\n", " ")
    words = shlex.split(text.replace("${SLURM_ARRAY_TASK_ID}", "2").replace("${SLURM_ARRAY_TASK_COUNT}", "8"))
    here = [word.replace("songs.csv", "songs.yaml").replace("model=v1", "model=embedded") for word in words]
    code, out, _ = cli(*here, "lint=off", "dry_run=true")
    assert code == 0
    assert "3 rows, 0 invalid" in out


def test_outside_files_of_one_name_are_both_kept(cli, tmp_path):
    def write(prompt: str) -> None:
        places = {"a": "x", "b": "y"}
        write_rows([{"id": id_, "prompt": f"{prompt} {id_}", "output_path": str(tmp_path / place / "one.wav")}
                    for id_, place in places.items()])  # fmt: skip

    write("jazz")
    outside = (*SHORT, "output.allow_outside=true")
    cli(*outside)
    before = {path.read_bytes() for path in tmp_path.glob("[xy]/one.wav")}
    write("rock")
    code, _, err = cli("resume", str(RUN))
    assert (code, "its run may write to other folders" in err) == (2, True)
    assert cli("resume", str(RUN), "output.allow_outside=true")[0] == 0
    assert {path.read_bytes() for path in (RUN / "superseded").rglob("one.wav")} == before
    assert len(before) == 2


def test_another_output_path_makes_the_song_under_it(cli):
    write_rows([{"id": "a", "seed": 1, "output_path": "one.wav"}])
    cli(*SHORT)
    write_rows([{"id": "a", "seed": 1, "output_path": "one.flac"}])
    assert "changed: output_path" in cli("resume", str(RUN), "--explain")[1]
    assert "1 song made, 0 failed" in cli("resume", str(RUN))[1]
    assert {path.name for path in (RUN / "audio").iterdir()} == {"one.flac", "one.flac.json"}


def test_a_limit_leaves_the_songs_beyond_it_alone(cli):
    write_rows([{"id": id_, "seed": "random"} for id_ in "abc"])
    cli(*SHORT)
    before = songs()
    assert "0 songs made, 0 failed, 3 done before" in cli(*SHORT, "resume=true", "limit=1")[1]
    assert "0 songs made, 0 failed, 3 done before" in cli(*SHORT, "resume=true")[1]
    assert songs() == before


def test_without_a_plan_the_records_tell_what_is_done(cli):
    write_rows([{"id": "a", "seed": "random"}, {"id": "b", "seed": "random", "takes": 2}])
    cli(*SHORT)
    before = songs()
    (RUN / "plan.jsonl").unlink()
    assert "0 songs made, 0 failed, 3 done before" in cli("resume", str(RUN))[1]
    assert songs() == before


@pytest.mark.parametrize("damage", ["altered", "gone"])
def test_where_records_are_damaged_no_audio_is_deleted(cli, damage):
    cli(*SHORT)
    ledger = RUN / "records.jsonl"
    before = {path.name: path.read_bytes() for path in (RUN / "audio").glob("*.wav")}
    text = ledger.read_text(encoding="utf-8")
    ledger.unlink() if damage == "gone" else ledger.write_text(text.replace('"seed":1', '"seed":7'), encoding="utf-8")
    cli("resume", str(RUN))
    kept = {path.read_bytes() for path in RUN.rglob("*.wav")}
    assert set(before.values()) <= kept
    assert songs().keys() == before.keys()


def test_an_extended_sweep_is_resumed_whole(cli):
    cli(*SWEEP, "seed=1,2")
    cli(*SWEEP, "seed=1,2,3")
    for path in RUN.glob("cells/seed=[23]*/audio/0001*.wav"):
        path.unlink()
    shutil.rmtree(next(RUN.glob("cells/seed=3*/audio")))
    assert "5 songs are done, 4 to make" in cli("resume", str(RUN), "--explain")[1]
    assert "4 songs made, 0 failed, 5 done before" in cli("resume", str(RUN))[1]


def test_a_song_under_another_id_keeps_its_audio(cli):
    write_rows([{"id": "a", "seed": 1}, {"id": "b", "seed": 2}])
    cli(*SHORT)
    before = {record["seed"]: record["pcm_sha256"] for record in records()}
    write_rows([{"id": "b", "seed": 1}, {"id": "c", "seed": 2}, {"id": "d", "seed": 3}])
    code, out, _ = cli("resume", str(RUN), "--explain")
    assert code == 0
    assert "has the audio of a, which it was before" in out
    code, out, _ = cli("resume", str(RUN))
    assert code == 0
    assert "earlier files have moved to superseded/" in out
    now = {record["id"]: record for record in records()}
    assert {name: now[name]["pcm_sha256"] for name in "bc"} == {"b": before[1], "c": before[2]}
    assert [now[name]["seconds"] for name in "bc"] == [0.0, 0.0]
    assert now["d"]["seconds"] > 0
    assert cli("verify", str(RUN))[0] == 0
    assert cli("resume", str(RUN))[1].count("0 songs made") == 1


def test_more_takes_keep_the_first_one(cli):
    write_rows([{"id": "a", "seed": "random"}])
    cli(*SHORT)
    (first,) = records()
    write_rows([{"id": "a", "seed": "random", "takes": 3}])
    cli("resume", str(RUN))
    made = records()[1:]
    assert len(made) == 3
    assert {record["pcm_sha256"]: record["seconds"] for record in made}[first["pcm_sha256"]] == 0.0
    assert cli("verify", str(RUN), "--files-only")[0] == 0


def test_a_row_that_is_skipped_is_recorded_once_and_taken_back_when_it_is_mended_or_gone(cli):
    bad = [{"id": "a", "seed": 1}, {"id": "x", "takes": 0}, {"id": "y", "takes": 0}]
    write_rows(bad)
    skip = (*SHORT, "on_invalid=skip")
    cli(*skip)
    cli(*skip, "resume=true")
    assert [record["id"] for record in records()] == ["x", "y", "a"]
    assert "row x is skipped: " in cli("resume", str(RUN), "--explain")[1]
    write_rows([{"id": "a", "seed": 1}, {"id": "x", "takes": 2}])
    assert cli("resume", str(RUN))[0] == 0
    assert "y" not in set(pd.read_csv(RUN / "summary.csv")["row"])
    assert cli("verify", str(RUN), "--files-only")[0] == 0


@pytest.mark.parametrize("words", [(*SHORT, "on_invalid=skip", "resume=true", "limit=1"),
                                   ("resume", str(RUN), "--as-planned")])  # fmt: skip
def test_a_row_that_is_skipped_stays_so_where_it_was_not_read_again(cli, words):
    write_rows([{"id": "a", "seed": 1}, {"id": "x", "takes": 0}])
    cli(*SHORT, "on_invalid=skip")
    assert cli(*words)[0] == 0
    assert [record["id"] for record in records()] == ["x", "a"]
    assert list(pd.read_csv(RUN / "summary.csv")["id"]) == ["a", "x"]


@pytest.mark.slow
def test_a_sweep_is_the_same_however_it_is_typed(cli):
    cli("-m", *SHORT, "limit=1", "guidance_scale=5,7", "seed=1,2")
    code, out, _ = cli("-m", *SHORT, "limit=1", "generation.actual_seeds=2,1", "guidance_scale=7.0,5.0")
    assert code == 0
    assert "0 songs made" in out
    assert len(list((RUN / "cells").iterdir())) == 4
    assert not RUN.with_name("v0002").exists()
    assert "cell 1/4: guidance_scale=5_seed=1" in cli("resume", str(RUN), "--as-planned")[1]


@pytest.mark.parametrize(("typed", "again", "names"), [
    ("seed=1,2", "seed=[2],[1]", ["seed=1", "seed=2"]),
    ("bf16=true,false", "bf16=no,yes", ["bf16=false", "bf16=true"]),
    ("preset=fast,[fast,rap]", "+preset=[fast, rap],[fast]", ["preset=[fast,rap]", "preset=fast"]),
    ("guidance_scale=7.1234567,7.1234568", "guidance_scale=7.1234568,71234567e-7",
     ["guidance_scale=7.1234567", "guidance_scale=7.1234568"]),
    ("hw.batch_size=1,2", "hw.batch_size=2,1", ["hw.batch_size=1", "hw.batch_size=2"]),
])  # fmt: skip
def test_a_cell_follows_from_its_values_and_not_from_how_they_are_written(cli, typed, again, names):
    common = ("-m", *SHORT, "limit=1")
    assert cli(*common, typed)[0] == 0
    assert "0 songs made, 0 failed, 2 done before" in cli(*common, again)[1]
    assert sorted(path.name.rpartition("-")[0] for path in (RUN / "cells").iterdir()) == names


def test_what_is_made_as_planned_must_be_as_it_was_planned(cli):
    write_rows([{"id": "a", "seed": 1}])
    cli(*SHORT)
    plan = RUN / "plan.jsonl"
    plan.write_text(plan.read_text("utf-8").replace('"place":"', '"place":" '), encoding="utf-8")
    code, _, err = cli("resume", str(RUN), "--as-planned")
    assert code == 2
    assert "plan.jsonl" in err


def test_a_damaged_version_is_in_the_way_only_where_it_may_be_meant(cli):
    cli(*SHORT, "guidance_scale=4")
    cli(*SHORT)
    (RUN / "run.json").write_text("{", encoding="utf-8")
    assert "0 songs made" in cli(*SHORT, "resume=true")[1]
    code, _, err = cli(*SHORT, "guidance_scale=4", "resume=true")
    assert code == 2
    assert "run.json" in err


def test_a_song_that_shares_audio_needs_no_record_beside_the_other(cli):
    write_rows([{"id": "a", "seed": 1}, {"id": "b", "seed": 1}])
    cli(*SHORT, "output.formats=[wav,flac]")
    audio = RUN / "audio"
    whole = json.loads((audio / "0002_b_1.flac.json").read_text(encoding="utf-8"))
    for path in audio.glob("0002_b_1*"):
        path.unlink()
    (audio / "0001_a_1.wav.json").unlink()
    (audio / "0001_a_1.flac.json").write_text("{}", encoding="utf-8")
    code, out, _ = cli("resume", str(RUN))
    assert (code, "1 song made, 0 failed, 1 done before" in out) == (0, True)
    assert json.loads((audio / "0002_b_1.flac.json").read_text(encoding="utf-8")) == whole
    _, out, _ = cli("verify", str(RUN), "--files-only")
    assert "b, " not in out


def test_a_song_within_the_limit_keeps_out_of_the_way_of_those_beyond_it(cli):
    write_rows([{"id": "a", "seed": 1, "output_path": "x"}, {"id": "b", "seed": 2, "output_path": "y"}])
    cli(*SHORT)
    before = songs()
    write_rows([{"id": "a", "seed": 1, "output_path": "y"}, {"id": "b", "seed": 2, "output_path": "y"}])
    assert cli(*SHORT, "resume=true", "limit=1")[0] == 0
    assert songs()["y.wav"] == before["y.wav"]
    assert cli("verify", str(RUN), "--files-only")[0] == 0


@pytest.mark.parametrize("words", ["shard=1/2,2/2", "resume=true,false"])
def test_what_belongs_to_the_whole_command_cannot_be_swept(cli, words):
    code, _, err = cli(*SHORT, "-m", words)
    assert (code, "belongs to the whole command and cannot be swept" in err) == (2, True)
    assert not Path("outputs").exists()
