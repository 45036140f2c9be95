"""Records to a page: what all share, what tells songs apart, the columns and the grid."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_records import PARAMETERS, made_record, skipped_record, source_of, sweep_of

from acestep_batch.report.page import Entry, Page, page_of, title_of


def names(page: Page) -> list[str]:
    return [column.name for column in page.columns]


def values(page: Page, name: str) -> list[object]:
    place = names(page).index(name)
    return [song.values[place] for song in page.songs]


def parameters(page: Page, song: Entry) -> dict[str, object]:
    """Everything that the page knows a song was asked for."""
    return {**page.common, **song.own, "prompt": song.prompt, "lyrics": song.lyrics}


def test_common_and_own_parameters_are_together_those_of_the_record():
    records = [made_record("a", 1, prompt="x"), made_record("b", 2, guidance_scale=3.0, oss_steps=[1, 5])]
    page = page_of([source_of(*records)])
    assert [parameters(page, song) for song in page.songs] == [
        {name: record[name] for name in PARAMETERS} for record in records
    ]
    assert {"guidance_scale", "oss_steps", "actual_seeds"} <= page.songs[0].own.keys()
    assert "infer_step" in page.common


def test_one_and_true_and_one_point_nought_are_different_values():
    page = page_of([source_of(made_record("a", bf16=True), made_record("b", bf16=1))])
    assert "bf16" not in page.common


def test_only_columns_that_tell_something_are_there():
    page = page_of([source_of(made_record("a", 1), made_record("b", 2, guidance_scale=3.0))])
    assert names(page) == ["id", "guidance_scale", "seed", "duration_s", "seconds"]
    page = page_of([source_of(made_record("a", 1), made_record("b", 2, clipped_samples=7, preset="rap"))])
    assert names(page) == ["id", "preset", "seed", "duration_s", "clipped_samples", "seconds"]


def test_measurements_are_columns_as_they_come():
    measured = {"loudness_lufs": -14.2, "key": "A minor", "tempo_bpm": None}
    page = page_of([source_of(made_record("a", measurements=measured, quality="warn", quality_reasons=["quiet"]),
                              made_record("b"))])  # fmt: skip
    assert values(page, "loudness_lufs") == [-14.2, None]
    assert values(page, "quality") == ["warn", None]
    assert {column.name: column.is_number for column in page.columns}["loudness_lufs"]
    assert not {column.name: column.is_number for column in page.columns}["key"]
    assert "tempo_bpm" not in names(page)
    assert (page.songs[0].quality, page.songs[0].reasons) == ("warn", ("quiet",))
    assert not next(column for column in page.columns if column.name == "key").is_setting


def test_a_measurement_cannot_take_the_place_of_a_setting():
    page = page_of([source_of(made_record("a", 1, measurements={"seed": 5}), made_record("b", 2))])
    assert names(page).count("seed") == 2
    assert [song.values[names(page).index("seed")] for song in page.songs] == [1, 2]


def test_rows_that_were_not_made_say_why_and_hide_nothing_of_the_others():
    page = page_of([source_of(made_record("a", 1), skipped_record("b", "invalid: infer_step"))])
    assert page.songs[1].error == "invalid: infer_step"
    assert page.songs[1].files == ()
    assert "infer_step" in page.common
    assert "status" in names(page)


def test_a_failed_song_has_no_file_even_where_its_record_names_one():
    assert page_of([source_of(made_record("a", status="failed", error="oom"))]).songs[0].files == ()


def test_a_sweep_is_laid_out_by_its_keys_and_parted_by_song():
    page = page_of([sweep_of({"seed": [1, 2, 3], "guidance_scale": [3.0, 7.0]}, ["a", "b"])])
    assert page.grid == ("seed", "guidance_scale", "id")
    assert len({song.key for song in page.songs}) == 12
    assert title_of(page, page.songs[0]) == "a, seed 1, guidance_scale 3"


def test_the_longer_axis_goes_down():
    page = page_of([sweep_of({"seed": [1, 2], "guidance_scale": [3.0, 5.0, 7.0]}, ["a"])])
    assert page.grid == ("guidance_scale", "seed", "")


def test_a_swept_preset_is_an_axis_though_no_song_names_it():
    page = page_of([sweep_of({"seed": [1, 2], "+preset": ["fast", "rap"]}, ["a"])])
    assert page.grid == ("seed", "preset", "")
    assert values(page, "preset") == ["fast", "rap", "fast", "rap"]


def test_takes_of_several_rows_make_a_grid():
    records = [
        made_record(f"{row}_{seed}", seed, row=row, take=take) for row in "ab" for take, seed in ((1, 5), (2, 6))
    ]
    assert page_of([source_of(*records)]).grid == ("row", "take", "")


def test_songs_that_differ_in_everything_at_once_make_no_grid():
    records = [made_record(f"song {number}", number, infer_step=number + 10) for number in range(4)]
    assert page_of([source_of(*records)]).grid is None


def test_several_runs_stand_beside_each_other():
    one, other = (
        source_of(made_record("a", 1), made_record("b", 2), folder=Path(f"/runs/demo/{name}"), key=name)
        for name in ("v1", "v2")
    )
    page = page_of([one, other])
    assert values(page, "run") == ["demo v1", "demo v1", "demo v2", "demo v2"]
    assert page.title == "demo v1 and demo v2"
    assert page.grid == ("run", "id", "")
    assert len({song.key for song in page.songs}) == 4


def test_a_song_has_the_same_key_in_every_report_and_another_once_it_is_made_anew():
    record = made_record("a", 1)
    (alone,) = page_of([source_of(record)]).songs
    beside = page_of([source_of(made_record("c"), key="other"), source_of(record)]).songs[1]
    moved = page_of([source_of(record, folder=Path("/elsewhere/demo/v0001"))]).songs[0]
    anew = page_of([source_of({**record, "identity": "another"})]).songs[0]
    assert alone.key == beside.key == moved.key != anew.key


@pytest.mark.parametrize("records", [[], [skipped_record("a", "invalid")]])
def test_a_run_without_songs_has_a_page_too(records):
    page = page_of([source_of(*records)])
    assert len(page.songs) == len(records)
    assert page.grid is None
