"""The Markdown table: one line for each song, whatever stands in its texts."""

from __future__ import annotations

import pytest
from report_records import made_record, skipped_record, source_of

from acestep_batch.report.markdown import markdown
from acestep_batch.report.page import page_of


def lines_of(*records) -> list[str]:
    return markdown(page_of([source_of(*records)])).splitlines()


def test_a_table_has_a_line_for_each_song_and_a_cell_for_each_column():
    lines = lines_of(made_record("a", 1, prompt="calm piano"), made_record("b", 2, guidance_scale=3.0))
    assert lines[0] == "**demo v0001**: 2 songs; made 2026-11-22, model embedded, untrained"
    assert lines[2] == "| id | guidance_scale | seed | duration_s | seconds | prompt |"
    assert lines[3] == "| --- | ---: | ---: | ---: | ---: | --- |"
    assert lines[4:] == ["| a | 15 | 1 | 8 | 0.5 | calm piano |", "| b | 3 | 2 | 8 | 0.5 |  |"]


def test_what_was_not_made_is_counted():
    assert "1 songs, 1 not made" in lines_of(made_record("a"), skipped_record("b", "invalid"))[0]


@pytest.mark.parametrize(
    "hostile",
    ["a | b", "line\n# heading", "<script>alert(1)</script>", "@everyone", "`code` ``more``", "![x](y)", "\u202eevil",
     "**bold** _it_", "- list", "\\| escaped", "x" * 500, "~~~"],
)  # fmt: skip
def test_no_text_breaks_the_table_or_marks_anything_up(hostile):
    lines = lines_of(made_record("a", prompt=hostile), made_record("b", 2))
    assert len(lines) == 6
    cell = lines[4].rsplit(" | ", 1)[1] if hostile != "a | b" else "`a \\| b` |"
    assert len(lines[4]) < 150
    if not hostile.startswith("x"):
        assert cell.startswith("`")
    assert lines[4].replace("\\|", "").count("|") == lines[2].count("|")
