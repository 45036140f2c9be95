"""Files of songs in every format: the same songs are the same typed rows, and a damaged file is one clear refusal."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support import raw, rows_of, written

from acestep_batch.manifest_documents import parse_json
from acestep_batch.manifest_rows import Place
from acestep_batch.problems import Refused
from acestep_batch.schema import SONG
from acestep_batch.schema_song import SEED_LIMIT

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\x85\u2028\u2029")
"""All but what YAML takes for a line end and folds."""
TEXTS = st.text(CHARACTERS, min_size=1, max_size=40).filter(lambda text: not text.isspace())
SEEDS = st.lists(st.integers(0, SEED_LIMIT), min_size=1, max_size=4, unique=True)
VALUES = {
    "prompt": TEXTS,
    "lyrics": TEXTS,
    "audio_duration": st.floats(0.01, 1e6) | st.just(-1.0),
    "infer_step": st.integers(1, 1000),
    "guidance_scale": st.floats(0, 100),
    "omega_scale": st.floats(allow_nan=False, allow_infinity=False),
    "cfg_type": st.sampled_from(SONG["cfg_type"].choices),
    "scheduler_type": st.sampled_from(SONG["scheduler_type"].choices),
    "actual_seeds": SEEDS,
    "oss_steps": st.lists(st.integers(1, 2000), min_size=1, max_size=4),
    "use_erg_tag": st.booleans(),
    "guidance_interval": st.floats(0, 1),
    "bf16": st.booleans(),
    "device_id": st.integers(0, 1023),
}
SONGS = st.lists(
    st.fixed_dictionaries({"id": st.text("abcdefg0123456789_- é中", min_size=1, max_size=8)}, optional=VALUES).filter(
        lambda song: song["id"].strip() == song["id"] and len(song) > 1
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda song: song["id"],
)


def typed(song):
    return {name: tuple(value) if isinstance(value, list) else value for name, value in song.items() if name != "id"}


def as_csv(songs, delimiter=",", line_end="\r\n", listing=" ".join):
    columns = list(dict.fromkeys(name for song in songs for name in song))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=delimiter, lineterminator=line_end)
    writer.writeheader()
    for song in songs:
        cells = {name: listing(map(str, value)) if isinstance(value, list) else value for name, value in song.items()}
        writer.writerow({name: str(cell).upper() if isinstance(cell, bool) else cell for name, cell in cells.items()})
    return text.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("songs")


@settings(deadline=None, max_examples=60)
@given(
    songs=SONGS,
    delimiter=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    listing=st.sampled_from([" ".join, ";".join, lambda items: f"[{', '.join(items)}]"]),
    bom=st.booleans(),
)
def test_every_format_gives_the_same_typed_rows_for_the_same_songs(folder, songs, delimiter, line_end, listing, bom):
    start = "\ufeff" if bom else ""
    files = [
        written(folder, "a.csv", start + as_csv(songs, delimiter, line_end, listing)),
        written(folder, "a.tsv", start + as_csv(songs, "\t", line_end, listing)),
        written(folder, "a.json", start + json.dumps(songs, indent=1, ensure_ascii=bom)),
        written(folder, "a.jsonl", start + "".join(json.dumps(song, ensure_ascii=bom) + line_end for song in songs)),
        written(folder, "a.yaml", start + yaml.safe_dump(songs, allow_unicode=bom)),
        written(
            folder, "a.yml", start + yaml.safe_dump({"songs": {song["id"]: song for song in songs}}, sort_keys=False)
        ),
    ]
    pa.parquet.write_table(pa.Table.from_pylist([dict.fromkeys(VALUES) | song for song in songs]), folder / "a.parquet")
    each_file = folder / "each"
    each_file.mkdir(exist_ok=True)
    for old in each_file.iterdir():
        old.unlink()
    for number, song in enumerate(songs):
        written(each_file, f"{number}.json", f"// a song\n{json.dumps(song)[:-1]}, /* the end */ }}\n")
    for file in [*files, folder / "a.parquet", each_file]:
        rows = rows_of(file)
        assert [row.problems for row in rows] == [()] * len(songs), file
        assert [row.id for row in rows] == [song["id"] for song in songs], file
        assert [dict(row.values) for row in rows] == [typed(song) for song in songs], file
        assert [row.place.row for row in rows] == list(range(1, len(songs) + 1)), file


def cells(path):
    return [row if isinstance(row, Refused) else dict(row.cells) for row in raw(path).rows]


def refusal(path) -> str:
    with pytest.raises(Refused) as caught:
        list(raw(path).rows)
    return str(caught.value)


def test_a_csv_with_everything_a_spreadsheet_may_do(tmp_path):
    path = written(
        tmp_path,
        "songs.csv",
        "\ufeffid ; prompt;lyrics;use_erg_tag;infer_step;oss_steps\r\n"
        'a;"pop; ""loud""";"[verse]\r\nla la\r\n\r\n[chorus]\r\nla";TRUE;60;1;2\r\n'.replace(";1;2", ";1 2")
        + "\r\n;;;;;\r\n  ; ;;;;\r\n"
        "b;rock;;FALSE;;\r\n;;;;;\r\n",
    )
    first, second = rows_of(path)
    assert dict(first.values) == {
        "prompt": 'pop; "loud"', "lyrics": "[verse]\nla la\n\n[chorus]\nla", "use_erg_tag": True, "infer_step": 60,
        "oss_steps": (1, 2),
    }  # fmt: skip
    assert (second.id, dict(second.values)) == ("b", {"prompt": "rock", "use_erg_tag": False})
    assert (first.place, second.place) == (Place("songs.csv", 1, 2), Place("songs.csv", 2, 10))
    assert str(second.place) == "songs.csv row 2 (line 10)"


def test_old_mac_line_ends_and_a_last_line_without_one(tmp_path):
    assert cells(written(tmp_path, "a.csv", "id,prompt\ra,pop\rb,rock")) == [
        {"id": "a", "prompt": "pop"},
        {"id": "b", "prompt": "rock"},
    ]


@pytest.mark.parametrize(
    ("name", "delimiter"),
    [("a.csv", ","), ("a.csv", ";"), ("a.csv", "\t"), ("a.csv", "|"), ("a.tsv", ","), ("a.tsv", ";")],
)
def test_the_delimiter_is_found_by_the_names_of_columns_not_by_counting(tmp_path, name, delimiter):
    path = written(tmp_path, name, f'prompt{delimiter}seed\n"a,b;c|d\te,,,,"{delimiter}1\n')
    assert cells(path) == [{"prompt": "a,b;c|d\te,,,,", "seed": "1"}]


def test_a_single_column_needs_quotes_in_csv_and_none_in_tsv(tmp_path):
    assert cells(written(tmp_path, "a.csv", 'prompt\n"pop, rock"\njazz\n')) == [
        {"prompt": "pop, rock"},
        {"prompt": "jazz"},
    ]
    assert cells(written(tmp_path, "a.tsv", "prompt\npop, rock\n")) == [{"prompt": "pop, rock"}]


def test_a_ragged_row_is_refused_with_its_place_and_the_others_are_read(tmp_path):
    path = written(tmp_path, "a.csv", "id,prompt,seed\na,pop,1\nb,pop, rock,2\nc,jazz\nd,folk,4\n")
    first, long, short, last = raw(path).rows
    assert "row 2 (line 3): has 4 cells, the header has 3 -> quote cells with a ','" in str(long)
    assert "row 3 (line 4): has 2 cells" in str(short)
    assert (first.place.row, last.place.row, dict(last.cells)) == (1, 4, {"id": "d", "prompt": "folk", "seed": "4"})


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"id,prompt\nb,\xff\xfe\n", "is not UTF-8"),
        ("a.csv", "id,prompt\na,pop\n".encode("utf-16"), "is not UTF-8"),
        ("a.csv", b"id,prompt\n" + b"a,pop\n" * 5000 + b"b,caf\xe9\n", "is not UTF-8"),
        ("a.csv", "id,prompt,id\na,b,c\n", "header: names id twice"),
        ("a.csv", "id,,prompt,\na,b,c,d\n", "header: names a column with no text"),
        ("a.csv", 'id,prompt\na,"pop\nb,rock\n', "unexpected end of data -> check the quotes"),
        ("a.csv", 'id,prompt\na,"pop"x\n', "line 2: ',' expected after '\"'"),
        ("a.csv", "id,prompt\na,\"" + "x" * 200_000, "field larger than field limit"),
        ("a.csv", "x" * 200_000, "header: field larger than field limit"),
        ("a.json", b'[{"prompt": "caf\xe9"}]', "is not UTF-8 (byte 16)"),
        ("a.json", "", "is not JSON, line 1"),
        ("a.json", '[{"prompt": "a",\n "infer_step": }]', "is not JSON, line 2"),
        ("a.json", '// c\n[{"prompt": "a"}\n {"prompt": "b"}]', "is not JSON, line 3"),
        ("a.json", '[{"prompt": "a", "prompt": "b"}]', "names prompt twice"),
        ("a.json", "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("a.json", "//\n" + "[" * 5000, "nested too deeply"),
        ("a.json", f'{{"infer_step": {"9" * 5000}}}', "is not JSON, "),
        ("a.json", "3", "is not a song"),
        ("a.json", '{"defaults": {}, "song": []}', "unknown key song"),
        ("a.json", '{"defaults": {"infer_step": 3}}', "holds no songs"),
        ("a.json", '{"defaults": [1], "songs": []}', "a.json defaults: is list, not a song"),
        ("a.yaml", "", "is empty"),
        ("a.yaml", "# nothing\n", "is empty"),
        ("a.yaml", "- prompt: rap: hard\n", "is not YAML, line 1: mapping values are not allowed"),
        ("a.yaml", "- prompt: a\n  lyrics: [verse] la\n", "is not YAML, line 2"),
        ("a.yaml", "- prompt: a\n\tlyrics: b\n", "is not YAML, line 2"),
        ("a.yaml", "- prompt: a\0b\n", "is not YAML, control characters are not allowed"),
        ("a.yaml", b"- prompt: caf\xe9\n", "is not UTF-8"),
        ("a.yaml", "prompt: a\n---\nprompt: b\n", "expected a single document"),
        ("a.yaml", "songs: []\nextra: 1\n", "unknown key extra"),
        ("a.yaml", "songs: []\nsongs: []\n", "names songs twice"),
        ("a.yaml", "[" * 5000 + "]" * 5000, "a.yaml line 1: is nested more than 50 deep"),
        ("a.yaml", "- " * 200_000, "is nested more than 50 deep"),
        ("a.yaml", "? " * 200_000, "is nested more than 50 deep"),
        ("a.parquet", b"PAR1 no PAR1", "is not a parquet file"),
        ("a.parquet", "", "is not a parquet file"),
        ("a.txt", "prompt\n", "cannot read a .txt -> give one of .csv"),
        ("songs", "prompt\n", "cannot read a file without suffix"),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_a_damaged_file_is_refused_as_a_whole(tmp_path, name, content, says):
    if says == "is not a song":
        (row,) = raw(written(tmp_path, name, content)).rows
        assert "is int, not a song" in str(row)
    else:
        assert says in refusal(written(tmp_path, name, content))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "yaml"])
@given(content=st.binary(max_size=200) | st.text('ab,;"\n\r\t{}[]:-&*!#|> 1', max_size=200).map(str.encode))
def test_any_bytes_are_rows_or_a_refusal(folder, suffix, content):
    with contextlib.suppress(Refused):
        list(raw(written(folder, f"any.{suffix}", content)).rows)


@pytest.mark.parametrize("content", ["", "\ufeff", "id,prompt", "id,prompt\n", "\n\n", "id,prompt\r\n,\r\n"])
def test_an_empty_table_has_no_rows(tmp_path, content):
    assert cells(written(tmp_path, "a.csv", content)) == []


def test_unknown_columns_of_a_table_are_named_once_and_the_rows_still_read(tmp_path):
    manifest = raw(written(tmp_path, "a.csv", "id,promt,seed,\x01\na,pop,1,x\nb,rock,2,y\n"))
    assert [str(problem).split(" ->")[0] for problem in manifest.problems] == [
        "a.csv header, column promt: is no parameter (did you mean prompt?)",
        "a.csv header, column '\\x01': is no parameter",
    ]
    assert [dict(row.cells) for row in manifest.rows] == [{"id": "a", "seed": "1"}, {"id": "b", "seed": "2"}]


def test_a_file_that_is_not_there_or_may_not_be_read(tmp_path):
    assert "no such file or folder" in refusal(tmp_path / "none.csv")
    assert "cannot be read" in refusal(tmp_path / ("x" * 5000 + ".csv"))
    (tmp_path / "empty").mkdir()
    assert "holds no .json file" in refusal(tmp_path / "empty")


def test_yaml_scalars_are_what_the_author_wrote(tmp_path):
    path = written(
        tmp_path,
        "a.yaml",
        "- {id: 012, prompt: 3:30, use_erg_tag: no, use_erg_lyric: Yes, infer_step: 012,\n"
        "   seed: 1e3, output_path: null}\n"
        "- {prompt: no, lyrics: ~, oss_steps: [1, 2], guidance_scale: 1.0e+1, cfg_type: apg}\n"
        "- {prompt: '', lyrics: 'null', audio_duration: , takes: 0o7}\n",
    )
    first, second, third = rows_of(path)
    assert first.id == "012"
    assert dict(first.values) == {
        "prompt": "3:30", "use_erg_tag": False, "use_erg_lyric": True, "infer_step": 12, "actual_seeds": (1000,),
    }  # fmt: skip
    assert dict(second.values) == {"prompt": "no", "oss_steps": (1, 2), "guidance_scale": 10.0, "cfg_type": "apg"}
    assert dict(third.values) == {"prompt": "", "lyrics": "null"}
    assert "a.yaml row 3 (line 4), column takes: '0o7' is not a number" in str(third.problems[0])


def test_yaml_lyrics_in_brackets_are_a_list_and_the_complaint_shows_the_quotes(tmp_path):
    (row,) = rows_of(written(tmp_path, "a.yaml", "prompt: pop\nlyrics: [inst]\n"))
    assert str(row.problems[0]).endswith("-> quote it: '[inst]' (without quotes YAML reads a list)")
    assert "line 1), column lyrics" in str(row.problems[0])


def test_a_yaml_block_ends_where_its_last_line_does(tmp_path):
    path = written(tmp_path, "a.yaml", "lyrics: |\n  [verse]\n  la\n\n  la\nprompt: >\n  pop,\n  rock\n")
    assert dict(rows_of(path)[0].values) == {"lyrics": "[verse]\nla\n\nla", "prompt": "pop, rock"}


def test_what_is_nested_in_yaml_is_no_value_of_a_parameter(tmp_path):
    (row,) = rows_of(written(tmp_path, "a.yaml", "prompt: {a: b}\noss_steps: [[1], {a: 1}]\nlyrics: [a, [b]]\n"))
    assert [str(problem).partition(": ")[2].partition(";")[0] for problem in row.problems] == [
        "{'a': None} is not text", "['[...]', '{...}'] is not a number", "['a', '[...]'] is not text",
    ]  # fmt: skip


def test_a_yaml_alias_bomb_is_inert(tmp_path):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
    (row,) = rows_of(written(tmp_path, "a.yaml", bomb + "prompt: *a39\n"))
    assert len(row.problems) == 41
    assert max(len(str(problem)) for problem in row.problems) < 300
    (loop,) = rows_of(written(tmp_path, "b.yaml", "prompt: &a [*a]\n"))
    assert "is not text" in str(loop.problems[0])


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['exit 1']", "!!python/name:os.system x", "!!binary eA=="]
)
def test_yaml_tags_build_nothing(tmp_path, tag):
    first, second = raw(written(tmp_path, "a.yaml", f"- prompt: {tag}\n- prompt: !!str 12\n")).rows
    assert str(first).startswith("a.yaml row 1 (line 1): has the tag ")
    assert dict(second.cells) == {"prompt": "12"}


def test_comments_and_last_commas_in_json_as_the_guide_writes_them(tmp_path):
    text = """{
  "prompt": "pop // not a comment, /* nor this */",  // a comment, with "quotes"
  "lyrics": "[verse]\\nhttp://x \\"//\\" ,]", /* a
     longer one ,] */
  "oss_steps": [10, 20, // steps
    30, ],
  "infer_step": 60,  // the last
}
// the end"""
    (row,) = rows_of(written(tmp_path, "song.json", text))
    assert row.id == "song"
    assert dict(row.values) == {
        "prompt": "pop // not a comment, /* nor this */", "lyrics": '[verse]\nhttp://x "//" ,]',
        "oss_steps": (10, 20, 30), "infer_step": 60,
    }  # fmt: skip


def json_or_none(text, read):
    try:
        return read(text)
    except (ValueError, Refused):
        return None


def no_json(constant):
    raise ValueError(constant)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused(constant):
    with pytest.raises(Refused, match=f"{constant} is no JSON number"):
        parse_json(f'{{"prompt": {constant}}}', "x")


@given(st.text('{}[]",:/*\\ \n1a', max_size=60) | st.text(max_size=30))
def test_what_is_json_is_read_as_json_and_what_is_not_is_refused(text):
    strict = json_or_none(text, lambda text: json.loads(text, parse_constant=no_json))
    ours = json_or_none(text, lambda text: parse_json(text, "x"))
    assert ours == strict or strict is None or '{"' in text  # a key that is there twice


@pytest.mark.parametrize(
    "evil",
    ["/*" * 200_000, "," * 200_000, '"' * 200_001, "[1, " + "/**/" * 100_000, "//" * 200_000],
    ids=itertools.count(),
)
def test_text_made_to_be_slow_is_refused_as_quickly_as_any(evil):
    with pytest.raises(Refused, match="is not JSON"):
        parse_json(evil, "x")


def test_a_bad_line_of_json_lines_does_not_stop_the_others(tmp_path):
    path = written(
        tmp_path,
        "a.jsonl",
        b'{"prompt": "a"}\n\n{"prompt": \n[1]\n{"prompt": "\xff"}\n{"seed": 1, "seed": 2}\n{"prompt": "b"} // c\n',
    )
    first, broken, listed, bytes_, twice, last = raw(path).rows
    assert str(broken).startswith("a.jsonl row 2 (line 3): is not JSON")
    assert "row 3 (line 4): is list, not a song" in str(listed)
    assert "row 4 (line 5): is not UTF-8" in str(bytes_)
    assert "row 5 (line 6): names seed twice" in str(twice)
    assert (dict(first.cells), dict(last.cells)) == ({"prompt": "a"}, {"prompt": "b"})


def test_a_bad_file_of_a_folder_does_not_stop_the_others_and_names_order_them(tmp_path):
    for name, content in (
        ("b.json", '{"prompt": "b"}'),
        ("B2.JSON", '{"prompt": "B2"}'),
        ("a.json", "{"),
        ("notes.txt", "x"),
    ):
        written(tmp_path, name, content)
    upper, broken, lower = raw(tmp_path).rows
    assert (upper.id_hint, upper.place) == ("B2", Place("B2.JSON", 1))
    assert str(broken).startswith("a.json row 2: is not JSON")
    assert lower.id_hint == "b"


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_defaults_stand_beside_the_songs(tmp_path, suffix):
    document = {"defaults": {"infer_step": 27, "preset": "rap"}, "songs": {"a": {"prompt": "x"}, "b": None}}
    manifest = raw(written(tmp_path, f"m.{suffix}", json.dumps(document)))
    assert manifest.defaults is not None
    assert str(manifest.defaults.place) == f"m.{suffix} defaults" + (" (line 1)" if suffix == "yaml" else "")
    assert {name: str(cell) for name, cell in manifest.defaults.cells.items()} == {"infer_step": "27", "preset": "rap"}
    first, second = manifest.rows
    assert (first.id_hint, dict(first.cells)) == ("a", {"prompt": "x"})
    assert isinstance(second, Refused)


def test_parquet_takes_typed_columns_and_refuses_what_it_cannot_read(tmp_path):
    table = pa.table(
        {"id": [1, 2], "prompt": ["a", ""], "infer_step": [60.0, None], "bf16": [True, None], "nonsense": [1, 2]}
    )
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    manifest = raw(tmp_path / "a.parquet")
    assert "header, column nonsense" in str(manifest.problems[0])
    first, second = rows_of(tmp_path / "a.parquet")
    assert (first.id, dict(first.values)) == ("1", {"prompt": "a", "infer_step": 60, "bf16": True})
    assert (second.id, dict(second.values)) == ("2", {})
    pa.parquet.write_table(pa.table({"guidance_scale": [float("nan")]}), tmp_path / "b.parquet")
    assert "outside the allowed range" in str(rows_of(tmp_path / "b.parquet")[0].problems[0])
    pa.parquet.write_table(
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["seed", "seed"]), tmp_path / "c.parquet"
    )
    assert "header: names seed twice" in refusal(tmp_path / "c.parquet")
    bytes_ = pa.array([b"\xff"]).view(pa.string()) if hasattr(pa.array([b"\xff"]), "view") else None
    pa.parquet.write_table(pa.table({"prompt": bytes_}), tmp_path / "d.parquet")
    assert "cannot be read" in refusal(tmp_path / "d.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    written(tmp_path, "e.parquet", whole[:4] + b"\x00" * 60 + whole[64:])
    assert "e.parquet" in refusal(tmp_path / "e.parquet")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_progress_goes_from_nothing_to_everything_and_a_limit_leaves_no_file_open(tmp_path, name):
    lines = ["prompt\n", *["pop\n"] * 20_000] if name == "a.csv" else ['{"prompt": "pop"}\n'] * 20_000
    manifest = raw(written(tmp_path, name, "".join(lines)))
    assert manifest.progress() == 0.0
    rows = iter(manifest.rows)
    next(rows)
    assert 0.0 < manifest.progress() < 1.0
    for _ in rows:
        pass
    assert manifest.progress() == 1.0
    unread = raw(tmp_path / name)
    next(iter(unread.rows))
    del unread  # an open file would be a ResourceWarning, which is an error here
