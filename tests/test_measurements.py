"""What was measured stays with the samples that it was measured of, and is measured again where it is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from acestep_batch.checks import check_run
from acestep_batch.cli import main
from acestep_batch.interrupts import Interrupts
from acestep_batch.measure.columns import Measurement
from acestep_batch.measure.flags import Quality
from acestep_batch.measure.workers import Measured
from acestep_batch.measurements import (
    Line,
    append_measurement,
    drop_damaged,
    joined,
    judged_records,
    key_in,
    measured_file,
    measurement_files,
    read_measurements,
)
from acestep_batch.run_plan import read_plan
from acestep_batch.run_records import run_records
from acestep_batch.shard import Shard

NUMBERS = Measurement(file_duration_s=6.0, broken_samples=0, loudness_lufs=-14.0, sample_peak_dbfs=-1.0)
PRINT = bytes(range(100))


def record(song_id: str = "a", *formats: str, **changes) -> dict:
    audio = [{"format": name, "path": f"audio/{song_id}.{name}", "pcm_sha256": f"{song_id} {name}"}
             for name in formats or ("wav",)]  # fmt: skip
    return {"id": song_id, "identity": f"i {song_id}", "status": "ok", "audio": audio, **changes}


def test_the_first_lossless_file_is_measured_or_else_the_first():
    assert measured_file(record("a", "ogg", "flac", "wav"))["format"] == "flac"
    assert measured_file(record("a", "ogg", "mp3"))["format"] == "ogg"
    assert measured_file({**record("a"), "status": "failed"}) is None
    assert key_in({"id": "skipped", "status": "failed"}) is None


def test_a_line_is_read_as_it_was_written_whoever_wrote_it(tmp_path):
    append_measurement(tmp_path, None, "a", ("i a", "p"), Measured(NUMBERS, PRINT))
    append_measurement(tmp_path, Shard(1, 2), "b", ("i b", "p"), Measured(None, error="gone", is_unreadable=True))
    found = read_measurements(tmp_path)
    assert found.lines == {("i a", "p"): Line(NUMBERS, PRINT), ("i b", "p"): Line(None, b"", "gone", True)}
    assert found.damaged == ()
    assert read_measurements(tmp_path, fingerprints=False).lines["i a", "p"] == Line(NUMBERS)


def test_numbers_replace_an_error_and_no_error_replaces_numbers(tmp_path):
    for measured in (Measured(None, error="died"), Measured(NUMBERS), Measured(None, error="died again")):
        append_measurement(tmp_path, None, "a", ("i", "p"), measured)
    assert read_measurements(tmp_path).lines["i", "p"].measurement == NUMBERS


@pytest.mark.parametrize("position", [0, 40, -3])
def test_a_changed_byte_makes_a_line_none_which_can_be_dropped(tmp_path, position):
    for song_id in ("a", "b"):
        append_measurement(tmp_path, None, song_id, (song_id, "p"), Measured(NUMBERS))
    (file,) = measurement_files(tmp_path)
    lines = file.read_bytes().split(b"\n")
    changed = bytearray(lines[0])
    changed[position] ^= 1
    file.write_bytes(b"\n".join([bytes(changed), *lines[1:]]))
    found = read_measurements(tmp_path)
    assert [problem.where for problem in found.damaged] == [f"{file}:1"]
    assert found.lines.keys() == {("b", "p")}
    drop_damaged(tmp_path, [file, tmp_path / "measurements-1of2.jsonl"])
    assert file.read_bytes() == lines[1] + b"\n"


@pytest.mark.parametrize("change", [
    {"measurement": {**asdict(NUMBERS), "loudness_lufs": "loud"}}, {"measurement": {}}, {"measurement": [1]},
    {"measurement": {**asdict(NUMBERS), "clipped_runs": 2**63}}, {"measurement": {**asdict(NUMBERS), "key": 3}},
    {"fingerprint": "no base64!"}, {"error": None}, {"is_unreadable": 1},
])  # fmt: skip
def test_a_sealed_line_that_holds_something_else_is_damaged(tmp_path, change):
    from acestep_batch.ledger import SEAL, sealed
    from acestep_batch.outputs.records import json_text

    append_measurement(tmp_path, None, "a", ("i", "p"), Measured(NUMBERS, PRINT))
    (file,) = measurement_files(tmp_path)
    line = json.loads(file.read_bytes())
    line.pop(SEAL)
    file.write_text(json_text(sealed({**line, **change})) + "\n", encoding="utf-8")
    assert read_measurements(tmp_path).lines == {}
    assert len(read_measurements(tmp_path).damaged) == 1


def test_a_line_speaks_for_its_samples_alone():
    lines = {("i a", "a wav"): Line(NUMBERS)}
    same, other = record("a"), record("a", identity="i other")
    assert [each.line for each in joined([same, other, record("b")], lines)] == [Line(NUMBERS), None, None]


def test_each_song_has_a_verdict_or_says_why_it_has_none():
    lines = {
        key_in(record("ok")): Line(NUMBERS),
        key_in(record("gone")): Line(None, error="cannot be read: no file", is_unreadable=True),
        key_in(record("died")): Line(None, error="the process died"),
    }
    rows = [record("ok"), record("gone"), record("died"), record("new"), {"id": "skipped", "status": "failed"}]
    ok, gone, died, new, skipped = judged_records(joined(rows, lines), compare=True)
    assert (ok["quality"], ok["quality_reasons"]) == (Quality.OK, [])
    assert ok["measurements"]["loudness_lufs"] == -14
    assert (gone["quality"], gone["quality_reasons"]) == (Quality.FAIL, ["cannot be read: no file"])
    assert (died["quality"], died["quality_reasons"]) == (None, ["not measured: the process died"])
    assert (new["quality"], new["quality_reasons"]) == (None, ["not measured: no line in measurements.jsonl"])
    assert "quality" not in skipped


def test_songs_are_compared_over_all_that_are_given_and_only_when_asked():
    rows = [record("a", cell="one"), record("a", cell="two", identity="i 2"), record("b", cell="two")]
    prints = [PRINT, PRINT, bytes(reversed(PRINT))]
    songs = joined(rows, {key_in(row): Line(NUMBERS, each) for row, each in zip(rows, prints, strict=True)})
    found = judged_records(songs, compare=True)
    assert [each["measurements"]["nearest_song"] for each in found][:2] == ["two/a", "one/a"]
    assert found[0]["measurements"]["similarity"] == 1.0
    assert found[0]["quality"] == Quality.WARN
    alone = judged_records(songs, compare=False)
    assert alone[0]["measurements"]["nearest_song"] is None
    assert alone[0]["quality"] == Quality.OK


def test_what_was_asked_is_held_against_what_is_heard():
    asked = record("a", bpm=60, keyscale="A minor")
    heard = Measurement(broken_samples=0, sample_peak_dbfs=-1.0, tempo_bpm=121.0, key="C major")
    (found,) = judged_records(joined([asked], {key_in(asked): Line(heard)}), compare=False)
    assert found["measurements"]["tempo_error_percent"] == pytest.approx(0.83)
    assert found["measurements"]["key_match"] == "relative"


def test_where_a_row_leaves_tempo_and_key_open_what_was_planned_is_held_against_what_is_heard():
    open_row = record("a", family="v15", bpm=None, keyscale="", planned_bpm=120, planned_keyscale="E♭ minor")
    own = record("b", family="v15", bpm=90, keyscale="C major", planned_bpm=90, planned_keyscale="C major")
    unplanned = record("c", family="v15", bpm=None, keyscale="")
    heard = Measurement(broken_samples=0, sample_peak_dbfs=-1.0, tempo_bpm=60.0, key="D# minor")
    rows = [open_row, own, unplanned]
    found = [
        each["measurements"]
        for each in judged_records(joined(rows, {key_in(row): Line(heard) for row in rows}), compare=False)
    ]
    names = ("asked_bpm", "asked_key", "tempo_error_percent", "key_match")
    assert [[each[name] for name in names] for each in found] == [
        [120, "E♭ minor", 0.0, "same"],
        [90, "C major", 33.33, "other"],
        [None, None, None, None],
    ]


ROWS = [{"id": "a", "seed": 1}, {"id": "b", "seed": 2}, {"id": "like a", "seed": 1}]


def found_in(folder: Path) -> list[str]:
    """Files of a run that the check complains of; runs of the fixture have no ``run.json``."""
    return [each.file for each in check_run(folder).findings if each.file != "run.json"]


def lines_in(folder: Path) -> list[str]:
    return [json.loads(line)["id"] for file in measurement_files(folder) for line in file.read_bytes().splitlines()]


def test_a_run_measures_each_sound_once_and_its_summary_has_all_of_them(render_rows):
    result, _, _ = render_rows(ROWS, "measure=true", "audio_duration=6")
    assert sorted(lines_in(result.folder)) == ["a", "b"]
    table = pd.read_parquet(result.folder / "summary.parquet").set_index("id")
    assert table["loudness_lufs"].notna().all()
    assert table.loc["a", "loudness_lufs"] == table.loc["like a", "loudness_lufs"]
    assert table["nearest_song"].notna().all()  # a tone that never changes is like nothing
    assert found_in(result.folder) == []


def test_what_is_missing_or_damaged_is_measured_when_the_run_goes_on(render_rows):
    result, engine, _ = render_rows(ROWS, "measure=true")
    folder, before = result.folder, read_measurements(result.folder)
    summary = {name: (folder / name).read_bytes() for name in ("summary.csv", "summary.parquet")}
    (file,) = measurement_files(folder)
    whole = file.read_bytes()
    torn, changed = whole[:-20], whole.replace(b'"id":"a"', b'"id":"x"')
    for content in (b"", torn, changed):
        file.write_bytes(content)
        assert {file.split(" ")[0] for file in found_in(folder)} >= {"measurements.jsonl"}
        again, engine, _ = render_rows(ROWS, "measure=true", into=folder)
        assert engine.batches == []
        assert again.made == 0
        assert read_measurements(folder) == before
        assert {name: (folder / name).read_bytes() for name in summary} == summary
        assert found_in(folder) == []


def test_a_run_that_measures_nothing_has_empty_columns_and_nothing_is_missed(render_rows):
    result, _, _ = render_rows(ROWS)
    assert measurement_files(result.folder) == []
    assert set(pd.read_parquet(result.folder / "summary.parquet")["quality"].isna()) == {True}
    assert found_in(result.folder) == []


def test_an_interrupt_leaves_what_is_measured_and_the_rest_follows(render_rows):
    rows = [*ROWS[:2], {"id": "c", "prompt": "interrupt"}]
    result, _, _ = render_rows(rows, "measure=true", stop=Interrupts())
    again, _, _ = render_rows(ROWS, "measure=true", into=result.folder)
    assert again.failed == 0
    records = run_records(result.folder, read_plan(result.folder))
    assert all(each["measurements"]["sample_peak_dbfs"] is not None for each in records)


def test_shards_measure_their_own_songs_into_their_own_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("songs.json").write_text(json.dumps([{"id": str(n), "seed": n} for n in range(4)]), encoding="utf-8")
    words = ("manifest.path=songs.json", "model=embedded", "hw=cpu", "lint=off", "infer_step=1", "audio_duration=0.5")
    for part in ("1/2", "2/2"):
        assert main([*words, "report=false", "output.wav_subtype=float32", f"shard={part}"]) == 0
    folder = Path("outputs/songs/v0001")
    assert [file.name for file in measurement_files(folder)] == [f"measurements-{n}of2.jsonl" for n in (1, 2)]
    assert sorted(lines_in(folder)) == ["0", "1", "2", "3"]
    assert check_run(folder).findings == []


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX'")
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL])
def test_no_process_outlives_the_command(tmp_path, number):
    words = ("limit=2", "model=embedded", "hw=cpu", "lint=off", "infer_step=2", "audio_duration=2", "report=false")
    command = [sys.executable, "-u", "-m", "acestep_batch", *words]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          encoding="utf-8", start_new_session=True) as child:  # fmt: skip
        assert child.stdout is not None
        next(line for line in child.stdout if line.startswith("[1/2]"))
        os.killpg(child.pid, number) if number == signal.SIGINT else os.kill(child.pid, number)
        _, err = child.communicate(timeout=120)  # which ends when nobody holds the pipes any more
    assert child.returncode == {signal.SIGINT: 130, signal.SIGKILL: -signal.SIGKILL}[number]
    assert "Traceback" not in err
