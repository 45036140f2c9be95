"""Playlist and metadata: what players and Hugging Face datasets make of a run's songs."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import PurePath

import pandas as pd
from report_records import made_record, skipped_record

from acestep_batch.report.listings import metadata, playlist

AUDIO = PurePath("audio")


def rows_of(*records) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(metadata(records, AUDIO), newline="")))


def test_the_playlist_names_every_song_that_was_made_once():
    two = made_record("b", 2, duration_s=59.6, files=["audio/b.flac", "audio/b.mp3"])
    lines = playlist([made_record("a", 1), two, skipped_record("c", "invalid")]).splitlines()
    assert lines == ["#EXTM3U", "#EXTINF:8,a (seed 1)", "audio/a_1.wav", "#EXTINF:60,b (seed 2)", "audio/b.flac"]


def test_a_song_cannot_add_lines_to_the_playlist():
    assert len(playlist([made_record("a\nhttp://x\r#EXTINF:1,b\u2028", 1, files=["audio/a.wav"])]).splitlines()) == 3


def test_metadata_has_a_line_for_each_file_in_the_folder():
    record = made_record("a", 1, files=["audio/sub/a.wav", "audio/sub/a.mp3", "/elsewhere/a.wav"])
    rows = rows_of(record, skipped_record("b", "invalid"))
    assert [row["file_name"] for row in rows] == ["sub/a.wav", "sub/a.mp3"]
    assert rows[0]["prompt"] == record["prompt"]


def test_metadata_has_parameters_and_measurements():
    (row,) = rows_of(made_record("a", 7, guidance_scale=3.5, measurements={"loudness_lufs": -14.2}))
    assert (row["seed"], row["guidance_scale"], row["loudness_lufs"]) == ("7", "3.5", "-14.2")


def test_no_text_runs_as_a_formula_and_long_texts_stay_whole():
    lyrics = '[verse]\nline, with "quotes"\n\nand ünïcode 🎵'
    (row,) = rows_of(made_record("a", prompt="=cmd|' /C calc'!A0", lyrics=lyrics))
    assert row["prompt"].startswith("'=")
    assert row["lyrics"] == lyrics


AS_DATASET = """
import json, sys
import datasets

class Named(datasets.Audio):  # encoding a path needs no decoder, though the library asks for one
    def encode_example(self, value):
        return {"bytes": None, "path": value if isinstance(value, str) else value["path"]}

place = {"path": "audiofolder", "data_dir": sys.argv[1], "split": "train"}
texts = {name: datasets.Value("string") for name in sys.argv[2].split(",")}
loaded = datasets.load_dataset(**place, features=datasets.Features({"audio": Named(decode=False), **texts}))
print(json.dumps([{**row, "audio": row["audio"]["path"]} for row in loaded]))
"""


def test_the_folder_of_audio_loads_as_a_hugging_face_audiofolder(render_rows, tmp_path):
    from acestep_batch.report.write import write_report

    rows = [{"id": "a", "prompt": "calm, piano", "lyrics": "[verse]\nsun", "seed": 1}, {"id": "b", "seed": 2}]
    words = ("output.formats=[wav,flac]", "measure=true", "output.loudness_lufs=-20")
    folder = render_rows(rows, *words)[0].folder
    write_report(folder)
    table = pd.read_csv(folder / "audio" / "metadata.csv")
    names = [name for name in table.columns if name != "file_name"]
    assert any((folder / "audio" / "loudness").iterdir())
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", AS_DATASET, str(folder / "audio"), ",".join(names)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert result.returncode == 0, result.stderr
    loaded = json.loads(result.stdout)
    assert sorted(row["audio"] for row in loaded) == sorted(
        str(path) for path in (folder / "audio").glob("*.[wf]*[vc]")
    )
    assert [(row["id"], row["prompt"], row["seed"]) for row in loaded][:2] == [("a", "calm, piano", "1")] * 2
    assert loaded[0]["lyrics"] == "[verse]\nsun"
