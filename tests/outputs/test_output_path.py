"""`output_path` means what the guide says, and never leaves the run's folder unasked."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.outputs.output_path import OutputRules, OutputTarget, output_target, unique_targets
from acestep_batch.problems import Problem

AUDIO = Path.cwd().anchor / Path("run", "audio")
RULES = OutputRules(AUDIO, formats=("flac",), formats_asked=False, allow_outside=False)
OUTSIDE = replace(RULES, allow_outside=True)


def test_nothing_given_is_the_template() -> None:
    assert output_target(None, "0001_a_7", RULES, suffix="_7") == OutputTarget(AUDIO, "0001_a_7", ("flac",))


@pytest.mark.parametrize(
    ("given_path", "folder", "stem", "formats"),
    [
        ("song", AUDIO, "song", ("flac",)),
        ("song.flac", AUDIO, "song", ("flac",)),
        ("Song.WAV", AUDIO, "Song", ("wav",)),
        ("my_song.opus", AUDIO, "my_song", ("opus",)),
        ("vol. 2", AUDIO, "vol. 2", ("flac",)),
        ("mix.final", AUDIO, "mix.final", ("flac",)),
        (".flac", AUDIO, "flac", ("flac",)),
        ("con.flac", AUDIO, "_con", ("flac",)),
        ("./takes/one.mp3", AUDIO / "takes", "one", ("mp3",)),
        ("雨" * 100 + "/one", AUDIO / ("雨" * 55 + "-535a8d2d"), "one", ("flac",)),
        ("takes\\nul\\one", AUDIO / "takes" / "_nul", "one", ("flac",)),
    ],
)
def test_names_and_relative_paths_stay_in_the_audio_folder(
    given_path: str, folder: Path, stem: str, formats: tuple[str, ...]
) -> None:
    assert output_target(given_path, "template", RULES) == OutputTarget(folder, stem, formats)


def test_the_ending_must_agree_with_formats_that_were_asked_for() -> None:
    asked = replace(RULES, formats=("flac", "mp3"), formats_asked=True)
    target = output_target("song.mp3", "t", asked)
    assert target == OutputTarget(AUDIO, "song", ("flac", "mp3"))
    assert isinstance(target, OutputTarget)
    assert target.path("flac") == AUDIO / "song.flac"
    problem = output_target("song.wav", "t", asked, where="songs.csv:3: output_path")
    assert isinstance(problem, Problem)
    assert str(problem) == (
        "songs.csv:3: output_path: ends in '.wav', but output.formats is [flac, mp3]"
        " -> leave the ending off, or add wav to output.formats"
    )


def test_an_audio_ending_that_cannot_be_written_is_a_problem_not_a_name() -> None:
    problem = output_target("song.m4a", "t", RULES)
    assert isinstance(problem, Problem)
    assert "flac, mp3, ogg, opus" in problem.remedy


@pytest.mark.parametrize(
    "given_path", ["", "  ", "takes/", "takes\\", "../x.flac", "a/../../x", "a\\..\\x", "~/x", "a\0b"]
)
@pytest.mark.parametrize("rules", [RULES, OUTSIDE])
def test_paths_that_name_no_plain_file_are_refused(given_path: str, rules: OutputRules) -> None:
    problem = output_target(given_path, "t", rules)
    assert isinstance(problem, Problem)
    assert problem.where
    assert problem.remedy


@pytest.mark.parametrize(
    "given_path",
    ["/music/x.flac", "C:\\music\\x.flac", "C:/music/x.flac", "c:x.flac", "\\x.flac", "\\\\server\\share\\x.flac"],
)
def test_an_absolute_path_of_any_system_needs_permission(given_path: str) -> None:
    problem = output_target(given_path, "t", RULES)
    assert isinstance(problem, Problem)
    assert "output.allow_outside=true" in problem.remedy


def test_with_permission_an_absolute_path_is_taken(tmp_path: Path) -> None:
    target = output_target(str(tmp_path / "rap: take?.wav"), "t", OUTSIDE, suffix="_7")
    assert target == OutputTarget(tmp_path, "rap_ take__7", ("wav",))


@pytest.mark.skipif(os.name == "nt", reason="a Windows path is native there")
@pytest.mark.parametrize("given_path", ["C:\\music\\x.flac", "\\\\server\\share\\x.flac"])
def test_a_windows_path_elsewhere_is_refused_even_with_permission(given_path: str) -> None:
    problem = output_target(given_path, "t", OUTSIDE)
    assert isinstance(problem, Problem)
    assert "Windows" in problem.message


def test_a_suffix_goes_before_the_ending() -> None:
    target = output_target("song.flac", "t", RULES, suffix="_7")
    assert isinstance(target, OutputTarget)
    assert target.path("flac").name == "song_7.flac"


def test_a_folder_without_room_for_names_is_a_problem() -> None:
    problem = output_target(None, "t", replace(RULES, audio_folder=AUDIO / ("x" * 220)))
    assert isinstance(problem, Problem)
    assert "too long" in problem.message


@given(st.text(st.characters(), max_size=300), st.booleans())
def test_no_text_leads_outside_unasked(text: str, formats_asked: bool) -> None:
    target = output_target(text, "t", replace(RULES, formats_asked=formats_asked))
    if isinstance(target, OutputTarget):
        path = target.path(target.formats[0])
        assert path.is_relative_to(AUDIO)
        assert ".." not in path.parts


def test_targets_are_unique_in_their_folder_only() -> None:
    targets = [OutputTarget(AUDIO / folder, stem, ("flac",)) for folder, stem in [("a", "x"), ("b", "x"), ("A", "X")]]
    assert [target.stem for target in unique_targets(targets)] == ["x", "x", "X_2"]
    assert [target.folder for target in unique_targets(targets)] == [target.folder for target in targets]
