"""Who may work in a run's folder at the same time; processes that die are the business of the fault tests."""

from __future__ import annotations

import os
import socket

import pytest

from acestep_batch.lock import is_alone, run_lock
from acestep_batch.problems import Refused
from acestep_batch.shard import Shard, parse_shard


def test_a_second_process_is_refused_with_the_host_and_process_of_the_first(tmp_path):
    with run_lock(tmp_path, None):
        with pytest.raises(Refused) as refused, run_lock(tmp_path, None):
            pass
        assert f"process {os.getpid()} on {socket.gethostname()} is at work" in str(refused.value)
    with run_lock(tmp_path, None):
        pass


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (Shard(1, 2), Shard(2, 2), True),
        (Shard(1, 2), Shard(1, 2), False),
        (Shard(1, 2), Shard(1, 3), False),
        (Shard(1, 2), None, False),
        (None, Shard(1, 2), False),
    ],
)
def test_shards_of_one_count_work_together_and_nobody_else(tmp_path, first, second, together):
    with run_lock(tmp_path, first):
        if together:
            with run_lock(tmp_path, second):
                assert not is_alone(tmp_path, second)
        else:
            with pytest.raises(Refused), run_lock(tmp_path, second):
                pass
        assert is_alone(tmp_path, first)
    with run_lock(tmp_path, second):
        assert is_alone(tmp_path, second)


def test_a_refused_process_leaves_the_others_locks_alone(tmp_path):
    with run_lock(tmp_path, Shard(1, 2)), run_lock(tmp_path, Shard(2, 2)):
        with pytest.raises(Refused), run_lock(tmp_path, None):
            pass
        for shard in (Shard(1, 2), Shard(2, 2)):
            with pytest.raises(Refused), run_lock(tmp_path, shard):
                pass


def test_shards_take_every_batch_once():
    for count in (2, 3, 7):
        for batch in range(20):
            assert sum(Shard(index, count).takes(batch) for index in range(1, count + 1)) == 1
    assert parse_shard(" 2/8 ") == Shard(2, 8)
    assert parse_shard("1/1") is parse_shard(None) is None
