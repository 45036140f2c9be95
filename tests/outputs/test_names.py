"""Every file system takes every name, and no two songs get one."""

from __future__ import annotations

import string
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.outputs.names import (
    MAX_PATH_CHARS,
    safe_name,
    shortened,
    stem_from_template,
    stem_room,
    template_problem,
    unique_stems,
)
from acestep_batch.problems import Refused

ANY_TEXT = st.text(st.characters())
STEMS = st.text("aAäÄßsẞﬁfi_23 .ÅÅ", min_size=1, max_size=6).map(safe_name)


def case_insensitive(name: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


@given(ANY_TEXT)
def test_a_safe_name_is_safe_and_stays_itself(text: str) -> None:
    name = safe_name(text)
    assert name
    assert name == safe_name(name)
    assert name == unicodedata.normalize("NFC", name)
    assert not set(name) & set('<>:"/\\|?*')
    assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs") for char in name)
    assert name[0] not in " ."
    assert name[-1] not in " ."


@given(ANY_TEXT)
def test_this_file_system_takes_any_safe_name_and_gives_it_back(text: str) -> None:
    name = shortened(safe_name(text), 100) + ".flac"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(b"x")
        assert [unicodedata.normalize("NFC", entry.name) for entry in Path(folder).iterdir()] == [name]


@pytest.mark.parametrize("device", ["CON", "prn", "Aux", "nul", "COM1", "com9", "LPT1", "lpt9", "COM²", "CONIN$"])
@pytest.mark.parametrize("ending", ["", ".txt", ".tar.gz", " .flac", "...", "  "])
def test_windows_device_names_are_avoided(device: str, ending: str) -> None:
    base = safe_name(device + ending).split(".")[0].rstrip()
    assert base == f"_{device}"


@pytest.mark.parametrize("name", ["CONCERT", "com10", "null", "auxiliary", "my con", "lpt"])
def test_names_that_only_resemble_devices_stay(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "unnamed"),
        ("...", "unnamed"),
        (".hidden", "hidden"),
        ("a/b\\c:d", "a_b_c_d"),
        ("line\nbreak\0", "line_break_"),
        ("trailing. ", "trailing"),
        ("évil\u202egnp", "évil_gnp"),
        ("雨の歌 – 夜", "雨の歌 – 夜"),
        ("\ud800", "_"),
    ],
)
def test_safe_name_examples(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_a_template_is_filled() -> None:
    values = {"index": 7, "id": "intro/verse", "seed": 42, "preset": None, "guidance_scale": 15.0}
    assert stem_from_template("{index}_{id}_{seed}", values) == "0007_intro_verse_42"
    assert stem_from_template("{{{preset}}} at {guidance_scale}", values) == "{none} at 15.0"
    assert stem_from_template("{index}", {"index": 123_456}) == "123456"


def test_braces_in_a_value_are_no_template() -> None:
    assert stem_from_template("{id}", {"id": "{seed}", "seed": 1}) == "{seed}"


@pytest.mark.parametrize(
    "template", ["{sede}", "{}", "{0}", "{seed.real}", "{seed[0]}", "{seed!r}", "{seed:09d}", "{seed", " "]
)
def test_a_wrong_template_is_one_problem_that_names_the_allowed_fields(template: str) -> None:
    problem = template_problem(template, ["index", "seed"], "output.template")
    assert problem is not None
    assert problem.where == "output.template"
    assert "\n" not in str(problem)
    assert "{" in problem.remedy
    with pytest.raises(Refused):
        stem_from_template(template, {"index": 1, "seed": 2})


def test_an_unknown_field_names_all_allowed_ones() -> None:
    assert str(template_problem("{sede}", ["index", "id", "seed"])) == (
        "output.template: '{sede}' has the unknown field {sede} -> use {index}, {id}, {seed}"
    )


@given(st.text(string.ascii_letters + "音楽🎵é", max_size=400), st.integers(0, 150))
def test_paths_stay_within_the_limit_with_sidecar_and_suffix(text: str, depth: int) -> None:
    folder = Path(Path.cwd().anchor) / ("d" * depth) / "audio"
    stem = shortened(safe_name(text), stem_room(folder))
    longest = str(folder / f"{stem}_1234567.flac.json")
    assert len(longest.encode("utf-16-le")) // 2 <= MAX_PATH_CHARS
    assert len(f"{stem}_1234567.flac.json".encode()) <= 255
    assert safe_name(stem) == stem


def test_long_names_that_differ_only_at_the_end_stay_apart() -> None:
    first, second = (shortened("x" * 300 + end, 100) for end in "ab")
    assert first != second
    assert len(first) == len(second) == 100
    assert shortened("x" * 300 + "a", 100) == first


@given(st.lists(STEMS, max_size=12))
def test_unique_stems_never_collide(stems: list[str]) -> None:
    result = unique_stems(stems)
    assert len({case_insensitive(name) for name in result}) == len(stems)
    assert all(name.startswith(stem) for name, stem in zip(result, stems, strict=True))
    assert result == unique_stems(stems)
    assert unique_stems(result) == result
    for position, stem in enumerate(stems):
        if case_insensitive(stem) not in map(case_insensitive, stems[:position]):
            assert result[position] == stem


def test_unique_stems_examples() -> None:
    assert unique_stems(["a", "A", "a", "b", "A_2"]) == ["a", "A_3", "a_4", "b", "A_2"]
    assert unique_stems(["é", "e\u0301"]) == ["é", "e\u0301_2"]
    assert unique_stems([]) == []


def test_many_equal_stems_are_numbered_in_order() -> None:
    assert unique_stems(["song"] * 5000) == ["song", *(f"song_{number}" for number in range(2, 5001))]
