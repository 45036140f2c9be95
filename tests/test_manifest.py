"""Rows of a manifest: ids, aliases, text files and foreign keys, and each mistake named with its row and column."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import CPU_TARGET, plain_run, raw, rows_of, written

from acestep_batch.advice import RowAdvice
from acestep_batch.manifest import COLUMNS, RowReader, text_file
from acestep_batch.manifest_rows import Place, RawRow
from acestep_batch.plan import RowChecker
from acestep_batch.problems import Refused
from acestep_batch.schema import SONG

REQUEST = {
    "prompt": "Hip Hop, spoken word, melodic flow", "lyrics": "[verse]\nla la la", "audio_duration": 146.91997916666668,
    "infer_step": 60, "guidance_scale": 15, "scheduler_type": "euler", "cfg_type": "apg", "omega_scale": 10,
    "guidance_interval": 0.65, "guidance_interval_decay": 0, "min_guidance_scale": 3, "use_erg_tag": True,
    "use_erg_lyric": False, "use_erg_diffusion": True, "oss_steps": [], "actual_seeds": [3072005931],
    "timecosts": {"preprocess": 0.046, "diffusion": 14.2, "latent2audio": 1.6},
}  # fmt: skip
"""The shape of a request that the model's own demo writes."""
LATER_REQUEST = {
    **REQUEST, "lora_name_or_path": "none", "task": "text2music", "retake_seeds": [2100914041], "retake_variance": 0.5,
    "guidance_scale_text": 0.7, "guidance_scale_lyric": 1.5, "repaint_start": 0, "repaint_end": 0, "edit_n_min": 0.0,
    "edit_n_max": 1.0, "edit_n_avg": 1, "src_audio_path": None, "edit_target_prompt": None, "edit_target_lyrics": None,
    "audio2audio_enable": False, "ref_audio_strength": 0.5, "ref_audio_input": None, "audio_path": "./outputs/a.wav",
    "format": "wav",
}  # fmt: skip


def read(folder, *songs):
    """The typed rows of songs given as JSON values, and their reader."""
    reader = RowReader(folder)
    rows = [reader.read(RawRow(Place("songs.json", number), song)) for number, song in enumerate(songs, 1)]
    return rows, reader


def said(row):
    return [str(problem) for problem in row.problems]


def test_ids_come_from_the_column_the_key_the_stem_or_the_row_number(tmp_path):
    assert [row.id for row in rows_of(written(tmp_path, "a.csv", "id,prompt\n one ,x\n,y\n3rd,z\n"))] == [
        "one",
        "2",
        "3rd",
    ]
    assert [row.id for row in rows_of(written(tmp_path, "b.yaml", "songs: {meena: {prompt: x}, 7: {id: own}}\n"))] == [
        "meena",
        "own",
    ]
    assert [row.id for row in rows_of(written(tmp_path, "solo.json", '{"prompt": "x"}'))] == ["solo"]
    assert [row.id for row in rows_of(written(tmp_path, "c.jsonl", '{"id": 5}\n{"id": " "}\n'))] == ["5", "2"]
    folder = tmp_path / "folder"
    folder.mkdir()
    written(folder, "song a.json", "{}")
    written(folder, "b.json", '{"id": "mine"}')
    assert [row.id for row in rows_of(folder)] == ["mine", "song a"]


def test_a_second_row_of_the_same_id_is_refused_and_names_the_first(tmp_path):
    rows, _ = read(
        tmp_path, {"id": "Straße"}, {"id": "other"}, {"id": "STRASSE"}, {"id": "caf\u00e9"}, {"id": "cafe\u0301"}
    )
    assert [bool(row.problems) for row in rows] == [False, False, True, False, True]
    assert said(rows[2])[0].startswith(
        "songs.json row 3, column id: 'STRASSE' is the id of row 1 too (upper and lower case"
    )
    assert "is the id of row 4 too" in said(rows[4])[0]
    clash, _ = read(tmp_path, {"id": "2"}, {})
    assert "'2' is the id of row 1 too" in said(clash[1])[0]


@pytest.mark.parametrize("bad", ["x" * 201, "a\nb", "a\0b", "\ud800", ["a"], {"a": 1}, True])
def test_an_id_is_a_short_printable_text(tmp_path, bad):
    (row,), _ = read(tmp_path, {"id": bad})
    assert "songs.json row 1, column id: " in said(row)[0]
    assert len(said(row)[0]) < 200


@given(st.lists(st.text(max_size=5), max_size=8))
def test_no_two_rows_without_problems_share_an_id(tmp_path_factory, ids):
    rows, _ = read(tmp_path_factory.getbasetemp(), *({"id": each} for each in ids))
    fine = [row.id.casefold() for row in rows if not row.problems]
    assert len(set(fine)) == len(fine)


def test_seed_is_actual_seeds_and_not_beside_it(tmp_path):
    (alone, both, twice), _ = read(
        tmp_path, {"seed": "1 2"}, {"actual_seeds": [1], "seed": 1}, {"lyrics": "a", "lyrics_file": "b"}
    )
    assert dict(alone.values) == {"actual_seeds": (1, 2)}
    (line,) = said(both)
    assert line.startswith(
        "songs.json row 2, column seed: sets actual_seeds, which another column of this row sets too"
    )
    assert "column lyrics_file: sets lyrics" in said(twice)[0]


def test_text_files_are_looked_for_beside_the_manifest(tmp_path, monkeypatch):
    folder = tmp_path / "songs"
    (folder / "texts").mkdir(parents=True)
    written(folder, "texts/verse.txt", "\ufeff[verse]\r\nla\r\n\r\nla\r\n")
    written(folder, "tags.txt", "pop, rock\n")
    written(tmp_path, "tags.txt", "wrong")
    monkeypatch.chdir(tmp_path)
    path = written(folder, "m.csv", f"prompt_file,lyrics_file\ntags.txt,texts/verse.txt\n{folder / 'tags.txt'},\n")
    first, second = rows_of(path)
    assert dict(first.values) == {"prompt": "pop, rock", "lyrics": "[verse]\nla\n\nla"}
    assert dict(second.values) == {"prompt": "pop, rock"}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.txt", None, "'none.txt' does not exist in "),
        ("[verse]\nla la la " * 50, None, "does not exist in "),
        ("a\0b", None, "NUL"),
        ("latin.txt", b"caf\xe9", "is not UTF-8 (byte 3)"),
        ("nul.txt", b"a\0b", "holds a NUL character"),
        (".", None, "is no file"),
        ("../other.txt", None, "lies outside the manifest's folder"),
        ("/etc/passwd", None, "lies outside the manifest's folder"),
        (["a.txt"], None, "is not text"),
    ],
)
def test_a_text_file_that_cannot_be_read_is_the_rows_problem(tmp_path, name, content, says):
    if content is not None:
        written(tmp_path, name, content)
    (row,), _ = read(tmp_path, {"lyrics_file": name, "prompt": "pop"})
    assert "songs.json row 1, column lyrics_file: " in said(row)[0]
    assert says in said(row)[0]
    assert len(said(row)) == 1
    assert dict(row.values) == {"prompt": "pop"}


def test_a_missing_text_file_is_refused_on_its_own(tmp_path):
    with pytest.raises(Refused, match=r"lyrics_file: 'x.txt' does not exist in .* -> give the path from there"):
        text_file(tmp_path, "x.txt", "lyrics_file")


def test_every_mistake_of_a_row_is_reported_at_once_with_its_column(tmp_path):
    path = written(
        tmp_path,
        "bad.csv",
        "id,prompt,infer_step,guidance_scale,use_erg_tag,oss_steps,scheduler_type,seed,lyrics_file\n"
        "a,ok,60,15,TRUE,1 2,euler,1,\n"
        "b,ok,0,nan,perhaps,1 x,eulr,-1,gone.txt\n",
    )
    fine, bad = rows_of(path)
    assert fine.problems == ()
    assert [str(problem).partition(": ")[0] for problem in bad.problems] == [
        f"bad.csv row 2 (line 3), column {column}"
        for column in (
            "infer_step",
            "guidance_scale",
            "use_erg_tag",
            "oss_steps",
            "scheduler_type",
            "seed",
            "lyrics_file",
        )
    ]
    assert "did you mean euler" in said(bad)[4]


def test_requests_of_the_models_own_demo_are_read_with_one_note_for_each_kind_of_foreign_key(tmp_path):
    folder = tmp_path / "requests"
    folder.mkdir()
    for number in range(4):
        written(folder, f"output_{number}_input_params.json", json.dumps(REQUEST if number < 2 else LATER_REQUEST))
    reader = RowReader(folder)
    rows = [reader.read(each) for each in raw(folder).rows]
    assert [row.problems for row in rows] == [()] * 4
    assert rows[0].id == "output_0_input_params"
    assert rows[3].values["guidance_scale_lyric"] == 1.5
    assert rows[0].values["actual_seeds"] == (3072005931,)
    assert rows[0].values["oss_steps"] == ()
    assert rows[3].values.keys() <= SONG.keys()
    assert reader.notes() == ("ignored in 4 rows: audio_path, format, timecosts (they record a past run)",)
    checker = RowChecker(plain_run(lint="off"), CPU_TARGET, RowAdvice(None))
    assert [checker.check(row).problems for row in rows] == [()] * 4
    assert checker.notes() == (
        "ignored in 2 rows: audio2audio_enable, edit_n_avg, edit_n_max, edit_n_min, ref_audio_strength, repaint_end, "
        "repaint_start, retake_seeds, retake_variance (text2music does not use them)",
    )


def test_nothing_is_noted_where_nothing_was_ignored(tmp_path):
    _, reader = read(tmp_path, {"prompt": "x", "lora_name_or_path": "none", "task": "text2music", "record": {}})
    assert reader.notes() == ()


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ({"task": "remix"}, "column task: 'remix' is not one of the choices; allowed: text2music, retake, repaint,"),
        ({"retake_variance": 1.5}, "column retake_variance: 1.5 is outside the allowed range"),
        ({"retake_seeds": [-1]}, "column retake_seeds: [-1] holds -1, which is outside the allowed range"),
        ({"lora_weight": "0.5;x"}, "column lora_weight: '0.5;x' is not a number"),
        ({"infer_steps": 3}, "column infer_steps: is no parameter (did you mean infer_step?)"),
        ({"x" * 500: 3}, "is no parameter"),
        ({"preset": ["rap"]}, "column preset: ['rap'] is no name"),
        ({"prompt": ["pop", "rock"]}, "-> quote it: 'pop, rock'"),
        ({"guidance_scale": float("nan")}, "nan is outside the allowed range; allowed: a number, 0 to 100"),
    ],
)
def test_what_this_version_cannot_do_is_refused_and_not_ignored(tmp_path, cell, says):
    (row,), _ = read(tmp_path, cell)
    assert len(row.problems) == 1
    assert says in said(row)[0]
    assert len(said(row)[0]) < 300


def test_defaults_are_typed_once_and_belong_to_no_row(tmp_path):
    reader = RowReader(tmp_path)
    cells = {"infer_step": "27", "preset": "rap", "timecosts": {}, "seed": 5}
    defaults = reader.read_defaults(RawRow(Place("m.yaml", 0, 2), cells))
    assert (defaults.problems, dict(defaults.values), defaults.preset) == (
        (),
        {"infer_step": 27, "actual_seeds": (5,)},
        "rap",
    )
    assert reader.notes() == ("ignored in 1 row: timecosts (they record a past run)",)
    bad = reader.read_defaults(RawRow(Place("m.yaml", 0, 2), {"id": "x", "output_path": "y.wav", "infer_step": "many"}))
    assert [line.partition(": ")[0] for line in said(bad)] == [
        f"m.yaml defaults (line 2), column {column}" for column in ("id", "output_path", "infer_step")
    ]
    (row,) = (reader.read(RawRow(Place("m.yaml", 1), {})),)
    assert row.problems == ()  # the defaults took no id


def test_what_was_remembered_about_a_cell_never_changes_its_meaning(tmp_path):
    songs = [
        {"id": str(n), "infer_step": text, "use_erg_tag": text} for n, text in enumerate(["1", "0", "1", "0", " 1 "])
    ]
    rows, _ = read(tmp_path, *songs)
    assert [row.values.get("infer_step") for row in rows] == [1, None, 1, None, 1]
    assert [row.values["use_erg_tag"] for row in rows] == [True, False, True, False, True]


@given(
    st.dictionaries(
        st.sampled_from(sorted(COLUMNS)) | st.text(max_size=6),
        st.none() | st.text(max_size=8) | st.integers() | st.lists(st.integers(), max_size=2) | st.booleans(),
        max_size=6,
    )
)
def test_whatever_stands_in_a_row_is_read_or_complained_about(tmp_path_factory, cells):
    cells = {name: cell for name, cell in cells.items() if cell is not None}
    (row,), _ = read(tmp_path_factory.getbasetemp(), cells)
    assert row.values.keys() <= SONG.keys()
    for name, value in row.values.items():
        assert SONG[name].parse(value) == value
    complained = {problem.where for problem in row.problems}
    for name in cells.keys() - COLUMNS:
        assert any("column" in where for where in complained), name
