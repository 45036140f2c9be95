"""The ledger: lines that are durable, sealed, and told apart from torn and altered ones."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from acestep_batch.ledger import append_record, latest, ledger_files, read_ledger
from acestep_batch.shard import Shard

SONG = {
    "id": "a", "status": "failed", "error": "夜 \u2028 x", "seed": 1, "finished_at": "2026-01-01T00:00:00",
}  # fmt: skip


def record(song_id: str, finished_at: str, error: str) -> dict[str, str]:
    return {"id": song_id, "status": "failed", "error": error, "finished_at": finished_at}


def test_what_is_appended_is_read_back_in_order(tmp_path):
    for number in range(3):
        append_record(tmp_path, None, {**SONG, "seed": number})
    assert [each["seed"] for each in read_ledger(tmp_path).records] == [0, 1, 2]
    assert read_ledger(tmp_path).records[0] == {**SONG, "seed": 0}


def test_every_shard_has_a_ledger_of_its_own_and_all_are_read(tmp_path):
    for shard in (None, Shard(1, 2), Shard(2, 2)):
        append_record(tmp_path, shard, {**SONG, "id": str(shard)})
    assert [path.name for path in ledger_files(tmp_path)] == [
        "records-1of2.jsonl", "records-2of2.jsonl", "records.jsonl",
    ]  # fmt: skip
    assert {each["id"] for each in read_ledger(tmp_path).records} == {"None", "1/2", "2/2"}


def test_a_torn_last_line_never_counted_and_the_next_line_is_whole(tmp_path):
    append_record(tmp_path, None, SONG)
    file = tmp_path / "records.jsonl"
    whole = file.read_bytes()
    for cut in range(len(whole)):
        file.write_bytes(whole + whole[:cut])
        found = read_ledger(tmp_path)
        assert len(found.records) == 1 + (cut == len(whole) - 1)  # a line that lacks its end alone is all there
        assert not found.damaged
        append_record(tmp_path, None, {**SONG, "id": "b"})
        found = read_ledger(tmp_path)
        assert [each["id"] for each in found.records][-1] == "b"
        assert not found.damaged


@given(st.data())
def test_a_line_that_was_altered_does_not_count_and_is_named(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    append_record(folder, None, SONG)
    append_record(folder, None, {**SONG, "id": "b"})
    file = folder / "records.jsonl"
    content = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, content.index(b"\n") - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    found = read_ledger(folder)
    assert "b" in {each["id"] for each in found.records}
    assert SONG not in found.records
    assert found.damaged
    assert found.damaged[0].where.startswith(str(file))


def test_a_line_with_another_lines_seal_does_not_count(tmp_path):
    append_record(tmp_path, None, SONG)
    append_record(tmp_path, None, {**SONG, "seed": 2})
    file = tmp_path / "records.jsonl"
    first, second = map(json.loads, file.read_text(encoding="utf-8").split("\n")[:2])
    first["line_sha256"] = second["line_sha256"]
    file.write_text(json.dumps(first, ensure_ascii=False) + "\n", encoding="utf-8")
    assert not read_ledger(tmp_path).records


def test_the_last_record_of_a_song_counts_whichever_ledger_it_stands_in(tmp_path):
    append_record(tmp_path, Shard(1, 2), record("a", "2026-01-02", "new"))
    append_record(tmp_path, Shard(2, 2), record("b", "2026-01-01", "new"))
    append_record(tmp_path, None, record("a", "2026-01-01", "old"))
    found = latest(read_ledger(tmp_path).records)
    assert {name: each["error"] for name, each in found.items()} == {"a": "new", "b": "new"}


def test_within_a_ledger_a_later_line_counts_even_if_the_clock_was_set_back(tmp_path):
    append_record(tmp_path, None, record("a", "2030-01-01", "old"))
    append_record(tmp_path, None, record("a", "2026-01-01", "new"))
    assert latest(read_ledger(tmp_path).records)["a"]["error"] == "new"
