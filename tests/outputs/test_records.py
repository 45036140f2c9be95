"""Records are plain JSON, exact, and durable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.outputs.records import append_jsonl, json_text, parse_json_text, write_json

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=5), children, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES, st.sampled_from([None, 2]))
def test_any_value_comes_back_from_utf8(value: object, indent: int | None) -> None:
    text = json_text(value, indent=indent)
    assert json.loads(text.encode("utf-8")) == value == parse_json_text(text)


def test_order_and_unicode_stay_readable() -> None:
    assert json_text({"b": "雨 \U0001f3b5", "a": 1}) == '{"b":"雨 \U0001f3b5","a":1}'


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_lacks_is_an_error(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_text({"x": [number]})
    with pytest.raises(TypeError):
        json_text({"x": Path("x")})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_what_json_lacks_is_not_read_either(number: str) -> None:
    with pytest.raises(ValueError, match=f"^{number} is no number of JSON"):
        parse_json_text(f'{{"x": [{number}]}}')


def test_a_sidecar_comes_back_and_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "song.json"
    write_json(path, {"id": "a", "seed": 1})
    assert path.read_bytes() == b'{\n  "id": "a",\n  "seed": 1\n}\n'
    with pytest.raises(FileExistsError):
        write_json(path, {})
    write_json(path, {"id": "b"}, replace=True)
    assert json.loads(path.read_bytes()) == {"id": "b"}


def test_lines_are_appended_and_a_torn_one_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_jsonl(path, {"id": "a", "lyrics": "one\ntwo"})
    append_jsonl(path, {"id": "b"})
    assert [json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()] == ["a", "b"]
    with path.open("ab") as file:
        file.write(b'{"id": "torn')
    append_jsonl(path, {"id": "c"})
    assert path.read_bytes().splitlines()[2:] == [b'{"id":"c"}']
    path.write_bytes(path.read_bytes()[:-1])
    append_jsonl(path, {"id": "d"})
    assert path.read_bytes().splitlines()[2:] == [b'{"id":"c"}', b'{"id":"d"}']
