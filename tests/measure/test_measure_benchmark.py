"""The benchmark of the measurements runs what it names, on audio that has something to measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.measure import RATE, Cost, costs, crowd, synthesised, table, write


def test_every_part_is_timed_and_shown(tmp_path: Path) -> None:
    found = costs(write(tmp_path / "song.flac", 4), tmp_path / "song.flac", 1)
    whole = found[-1]
    assert whole.share == 1
    assert all(isinstance(one, Cost) and one.processor_s >= 0 and one.wall_s > 0 for one in found)
    assert table(found).count("\n") == len(found)
    assert min(crowd(2, 1)) >= 0


def test_the_audio_has_the_length_asked_for_and_two_channels_that_differ() -> None:
    samples = synthesised(3)
    assert samples.shape == (3 * RATE, 2)
    assert np.abs(samples).max() < 2
    assert not np.array_equal(samples[:, 0], samples[:, 1])
