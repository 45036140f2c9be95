"""Everything that is generated from the schema stands in the files as it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from acestep_batch.manifest import COLUMNS
from acestep_batch.reference import between_marks, generated_files, help_text, json_schema
from acestep_batch.schema import PARAMETERS, SONG

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("path", generated_files(ROOT), ids=lambda path: path.name)
def test_generated_files_are_current(path):
    wanted = generated_files(ROOT)[path]
    assert path.read_text(encoding="utf-8") == wanted, "run python -m acestep_batch.reference"


def test_help_names_every_parameter_with_its_default():
    text = help_text(ROOT / "conf")
    for parameters in PARAMETERS.values():
        for name in parameters:
            assert f"  {name}" in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_editors_schema_knows_every_column():
    known = json_schema()["$defs"]["song"]["properties"].keys()
    assert known == COLUMNS - {"record"}
    assert SONG.keys() <= known


def test_missing_marks_are_an_error():
    with pytest.raises(ValueError, match="<!-- x -->"):
        between_marks("no marks here", "x", "content")
