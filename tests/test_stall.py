"""A stage that takes too long is reported while it runs, not after."""

from __future__ import annotations

from threading import Event

from acestep_batch.stall import TIMES_EXPECTED, Stages, reported


def test_a_stage_is_overdue_after_a_multiple_of_the_longest_of_its_kind():
    stages = Stages(first_s=100, least_s=1)
    stages.begin("a step", 0)
    stages.begin("a step", 5)  # the first one took 5 s
    limit = 5 + TIMES_EXPECTED * 5
    assert stages.overdue(limit - 1) is None
    assert stages.overdue(limit) == "a step has been at work for 50 s; the longest so far took 5.0 s"


def test_the_first_stage_of_a_kind_has_time_and_a_short_one_is_never_reported():
    stages = Stages(first_s=100, least_s=20)
    stages.begin("a step", 0)
    assert stages.overdue(99) is None
    assert "the first of its kind" in (stages.overdue(100) or "")
    stages.begin("decoding", 100)
    stages.begin("decoding", 100.01)
    assert stages.overdue(119) is None
    assert stages.overdue(121) is not None


def test_a_stage_that_goes_on_is_reported_ever_more_seldom_and_one_that_ended_no_more():
    stages = Stages(first_s=10, least_s=1)
    stages.begin("a step", 0)
    reports = [now for now in range(100) if stages.overdue(now)]
    assert reports == [10, 20, 40, 80]
    stages.end(100)
    assert stages.overdue(10_000) is None


def test_a_stall_is_said_while_it_lasts():
    said, lines = Event(), []

    def say(line: str) -> None:
        lines.append(line)
        said.set()

    stages = Stages(first_s=0)
    stages.begin("a step", 0)
    with reported(stages, say, every_s=0.001):
        assert said.wait(60)
    assert lines[0].startswith("a step has been at work")
