"""Micro-batches: who may be rendered with whom, in which order, and how many."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support import CPU_TARGET, make_songs

from acestep_batch.batches import engine_key, micro_batches
from acestep_batch.engine.load import micro_batch_key

FOUR = replace(CPU_TARGET, batch_size=4)


def test_songs_share_a_batch_where_length_solver_and_guided_steps_agree():
    rows = [{"id": f"s{number}", "prompt": f"p{number}", "guidance_scale": 5 + number} for number in range(4)]
    rows.insert(1, {"id": "other", "infer_step": 7})
    batches = micro_batches(make_songs(rows, FOUR), FOUR)
    assert [batch.positions for batch in batches] == [(0, 2, 3, 4), (1,)]


def test_songs_of_one_engine_stand_together():
    rows = [{"id": "a"}, {"id": "b", "bf16": True}, {"id": "c"}, {"id": "d", "bf16": True}]
    batches = micro_batches(make_songs(rows, CPU_TARGET), CPU_TARGET)
    assert [batch.positions for batch in batches] == [(0,), (2,), (1,), (3,)]


lengths = st.sampled_from([1.0, 1.05, 2.0, 3.0])


@given(
    st.lists(st.tuples(lengths, st.integers(1, 3), st.booleans(), st.booleans()), min_size=1, max_size=12),
    st.integers(1, 5),
)
def test_every_song_is_in_one_batch_with_songs_like_itself(facts, size):
    target = replace(CPU_TARGET, batch_size=size)
    names = ("audio_duration", "infer_step", "bf16", "overlapped_decode")
    rows = [{"id": f"s{number}", **dict(zip(names, own, strict=True))} for number, own in enumerate(facts)]
    songs = make_songs(rows, target)
    batches = micro_batches(songs, target)
    positions = [position for batch in batches for position in batch.positions]
    assert sorted(positions) == list(range(len(songs)))
    for batch in batches:
        own = [songs[position] for position in batch.positions]
        assert 1 <= len(own) <= size
        assert list(batch.positions) == sorted(batch.positions)
        assert {engine_key(song, target) for song in own} == {batch.engine}
        assert len({micro_batch_key(song.request()) for song in own}) == 1
    firsts = [batch.positions[0] for batch in batches if batch.engine == batches[0].engine]
    assert firsts == sorted(firsts)
