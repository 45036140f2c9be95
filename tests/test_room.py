"""Micro-batches and warnings by the memory of a device, at the published sizes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support import checked, make_songs, on, plain_run, written

from acestep_batch.batches import micro_batches
from acestep_batch.room import memory_advice

GOLDEN = Path(__file__).parent / "golden" / "v1"
GB = 10**9


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published sizes without weights."""
    folder = tmp_path_factory.mktemp("published")
    for name, config in json.loads((GOLDEN / "published_configs.json").read_text(encoding="utf-8")).items():
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def gpu(checkpoint: Path, gigabytes: int, batch_size: int = 16):
    memory = (gigabytes * GB,)
    return on("cuda", checkpoint=checkpoint, gpu_count=1, gpu_memory=memory, batch_size=batch_size)


def sizes(target, rows):
    songs = make_songs(rows, target, bf16=True)
    return [len(batch.positions) for batch in micro_batches(songs, target)]


def test_batches_grow_with_the_memory_up_to_the_batch_size(checkpoint):
    rows = [{"id": f"s{number}", "audio_duration": 60, "lyrics": "la " * 300} for number in range(16)]
    found = [max(sizes(gpu(checkpoint, memory), rows)) for memory in (8, 12, 16, 80)]
    assert found == sorted(found)
    assert found[0] == 1
    assert 1 < found[1] < found[2] < 16
    assert found[-1] == 16
    assert sizes(gpu(checkpoint, 80, batch_size=5), rows) == [5, 5, 5, 1]


def test_longer_songs_texts_and_more_branches_make_smaller_batches(checkpoint):
    def largest(**changes) -> int:
        rows = [{"id": f"s{number}", "audio_duration": 120, "lyrics": "la " * 300} | changes for number in range(64)]
        return max(sizes(gpu(checkpoint, 18, batch_size=64), rows))

    plain = largest()
    assert largest(audio_duration=240) < plain
    assert largest(lyrics="la " * 2000) < plain
    assert largest(guidance_scale_text=5, guidance_scale_lyric=2) < plain < largest(guidance_scale=1)


def test_one_long_text_counts_for_its_whole_batch(checkpoint):
    target = gpu(checkpoint, 20)
    rows = [{"id": f"s{number}", "audio_duration": 120} for number in range(16)]
    short = sizes(target, rows)
    rows[0]["lyrics"] = "la " * 2000
    assert sizes(target, rows)[0] < short[0]


def test_a_row_that_hardly_fits_is_named_before_the_run(checkpoint, tmp_path):
    path = written(tmp_path, "songs.json", json.dumps([{"id": "long", "audio_duration": 240}, {"id": "short"}]))
    run = plain_run(base={"audio_duration": 10.0}, hw={"device": "cuda"}, lint="off")
    long, short = checked(path, run, gpu(checkpoint, 12))
    assert [each.rule for each in long.advice] == ["memory"]
    assert "240 s may need" in long.advice[0].message
    assert "GPU 0 has 11.2 GiB" in long.advice[0].message
    assert not long.problems
    assert not short.advice


def test_nothing_is_said_where_the_memory_is_unknown_or_the_model_embedded(checkpoint):
    (song,) = make_songs([{"id": "a", "audio_duration": 240}])
    assert memory_advice(on("cuda", checkpoint=checkpoint), 0, True, song.request()) is None
    assert memory_advice(replace(gpu(checkpoint, 1), checkpoint=None), 0, True, song.request()) is None
    assert memory_advice(gpu(checkpoint, 1), 0, True, song.request()) is not None
