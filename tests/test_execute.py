"""A run carried out with a sine engine: batches, failures, names, records and the summary."""

from __future__ import annotations

import json
from threading import Event, current_thread, main_thread

import pandas as pd
import pytest
import torch
from sine_engine import SineEngine

from acestep_batch.engine.base import Decoding
from acestep_batch.progress import Pace, clock
from acestep_batch.summary import summary_table
from acestep_batch.summary_columns import SUMMARY_COLUMNS, V15_COLUMNS


def test_songs_that_share_their_settings_render_in_micro_batches_up_to_the_batch_size(render_rows):
    rows = [{"id": f"s{number}", "seed": number} for number in range(1, 8)]
    rows[2]["infer_step"] = 5
    result, engine, _ = render_rows(rows, "hw.batch_size=4", steps=None)
    assert engine.batches == [[1, 2, 4, 5], [3], [6, 7]]
    assert [record["seed"] for record in result.records] == [1, 2, 4, 5, 3, 6, 7]


def test_a_song_that_fails_is_recorded_alone_even_inside_a_batch(render_rows):
    rows = [{"id": "good", "seed": 1}, {"id": "bad", "seed": 2, "prompt": "explode"}, {"id": "fine", "seed": 3}]
    result, engine, printed = render_rows(rows, "hw.batch_size=4")
    assert engine.batches == [[1, 2, 3], [1], [2], [3]]
    by_id = {record["id"]: record for record in result.records}
    assert by_id["bad"]["status"] == "failed"
    assert by_id["bad"]["error"] == "RuntimeError: the prompt exploded"
    assert by_id["good"]["status"] == by_id["fine"]["status"] == "ok"
    assert result.failed == 1
    assert "FAILED" in printed


@pytest.mark.parametrize(("prompt", "reason"), [("silence", "silent"), ("nan", "not finite")])
def test_audio_that_is_no_song_is_a_failed_row_without_a_file(render_rows, prompt, reason):
    result, _, _ = render_rows([{"id": "a", "seed": 1, "prompt": prompt}])
    assert reason in result.records[0]["error"]
    assert not (result.folder / "audio").exists()


def test_on_error_stop_ends_after_the_first_failure(render_rows):
    rows = [{"id": "a", "prompt": "explode"}, {"id": "b"}]
    assert len(render_rows(rows, "on_error=stop")[0].records) == 1
    assert len(render_rows(rows, "on_error=continue")[0].records) == 2


def test_an_interrupt_keeps_what_is_finished(render_rows):
    result, _, _ = render_rows([{"id": "a"}, {"id": "b", "prompt": "interrupt"}, {"id": "c"}])
    assert result.not_tried == 2
    assert [record["id"] for record in result.records] == ["a"]
    assert len(pd.read_csv(result.folder / "summary.csv")) == 1


def test_a_file_that_appears_meanwhile_is_never_overwritten(render_rows, tmp_path):
    mine = tmp_path / "mine.wav"
    rows = [{"id": "first", "output_path": str(mine)}, {"id": "second"}]
    render_rows(rows, "output.allow_outside=true", "limit=1")
    before = mine.read_bytes()
    with pytest.raises(AssertionError, match="exists and is never overwritten"):
        render_rows(rows, "output.allow_outside=true")
    assert mine.read_bytes() == before


def test_names_that_would_collide_get_a_suffix(render_rows):
    rows = [
        {"id": "Song", "seed": 1},
        {"id": "x", "seed": 1, "output_path": "song.wav"},
        {"id": "y", "seed": 1, "output_path": "SONG.wav"},
    ]
    result, _, _ = render_rows(rows, "output.template='{id}'")
    names = [record["files"][0].casefold() for record in result.records]
    assert len(set(names)) == 3


def test_several_seeds_with_an_output_path_get_their_seed_as_suffix(render_rows):
    result, _, _ = render_rows([{"id": "a", "actual_seeds": [5, 6], "output_path": "take.wav"}])
    assert [record["files"] for record in result.records] == [["audio/take_5.wav"], ["audio/take_6.wav"]]


def test_the_summary_and_the_records_hold_the_same_songs(render_rows):
    result, _, _ = render_rows([{"id": "a", "seed": 1}, {"id": "b", "prompt": "explode"}, {"id": "c", "takes": 2}])
    lines = [json.loads(line) for line in (result.folder / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    table, text = pd.read_parquet(result.folder / "summary.parquet"), pd.read_csv(result.folder / "summary.csv")
    assert list(table["id"]) == list(text["id"]) == [line["id"] for line in lines]
    assert list(table["status"]) == ["ok", "failed", "ok", "ok"]
    assert "RuntimeError" in (result.folder / "run.log").read_text(encoding="utf-8")


def test_manifest_jsonl_is_a_manifest_of_the_same_songs(render_rows, tmp_path):
    result, _, _ = render_rows([{"id": "a", "takes": 3}, {"id": "b", "seed": "random"}])
    rows = [json.loads(line) for line in (result.folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    again, _, _ = render_rows(rows, "output.name=again")
    assert [record["pcm_sha256"] for record in again.records] == [record["pcm_sha256"] for record in result.records]


def test_the_eta_follows_from_finished_songs_alone():
    pace = Pace(remaining=40.0)
    assert pace.eta_s is None
    pace.finish(10.0, 5.0)
    assert pace.eta_s == 15.0
    assert [clock(seconds) for seconds in (None, 5.4, 65, 3725)] == ["-:--", "0:05", "1:05", "1:02:05"]


def test_a_sweep_tells_absolute_paths_apart_by_cell(render_rows, tmp_path):
    rows = [{"id": "a", "output_path": str(tmp_path / "mine.wav")}]
    for cell in (1, 2):
        result, _, _ = render_rows(rows, "output.allow_outside=true", f"seed={cell}", swept={"seed": str(cell)})
        assert result.failed == 0
    assert len(list(tmp_path.glob("mine_*.wav"))) == 2


def test_ids_that_takes_would_share_with_a_row_stay_apart(render_rows):
    result, _, _ = render_rows([{"id": "a", "seed": [1, 2]}, {"id": "a_1"}])
    rows = [json.loads(line) for line in (result.folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({row["id"] for row in rows}) == 3
    assert render_rows(rows, "output.name=again")[0].failed == 0


class BesideEngine(SineEngine):
    """Decodes in another thread: the first batch only once the second is being denoised."""

    decodes_beside_denoising = True

    def __init__(self) -> None:
        super().__init__()
        self.second_began = Event()

    def denoise(self, requests, on_step=None):
        if self.batches:
            self.second_began.set()
        return super().denoise(requests, on_step)

    def decode(self, songs, sample_rate, decoding=Decoding.PLAIN):
        assert self.second_began.wait(timeout=60)
        return super().decode(songs, sample_rate, decoding)


def test_where_the_device_allows_it_one_batch_is_decoded_while_the_next_is_denoised(render_rows):
    rows = [{"id": f"s{number}", "seed": number} for number in range(4)]
    beside, _, _ = render_rows(rows, engine=BesideEngine())
    plain, _, _ = render_rows(rows)
    assert [record["pcm_sha256"] for record in beside.records] == [record["pcm_sha256"] for record in plain.records]
    assert beside.failed == 0


class FlakyDecoder(BesideEngine):
    """Runs out of memory whenever it decodes beside other work."""

    def decode(self, songs, sample_rate, decoding=Decoding.PLAIN):
        if current_thread() is not main_thread():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().decode(songs, sample_rate, decoding)


def test_decoding_that_fails_beside_other_work_is_put_right_alone(render_rows):
    result, _, _ = render_rows([{"id": f"s{number}", "seed": number} for number in range(3)], engine=FlakyDecoder())
    assert [record["status"] for record in result.records] == ["ok", "ok", "ok"]


def test_the_summary_has_every_column_in_its_order_and_type_whatever_there_is_to_say(render_rows):
    result, _, _ = render_rows([{"id": "a", "prompt": "explode"}])
    nothing, made = summary_table([]), pd.read_parquet(result.folder / "summary.parquet")
    for table in (nothing, made):
        assert [(str(name), str(kind)) for name, kind in table.dtypes.items()] == [
            (column.name, column.dtype) for column in SUMMARY_COLUMNS if column.name not in V15_COLUMNS
        ]
    of_v15 = summary_table([{"id": "a", "family": "v15"}])
    assert [*of_v15] == [column.name for column in SUMMARY_COLUMNS]
    assert len({column.name for column in SUMMARY_COLUMNS}) == len(SUMMARY_COLUMNS)
    recorded = result.records[0].keys() - {"audio", "environment"}
    assert recorded <= {column.name for column in SUMMARY_COLUMNS}
