"""Every flag appears when its limit is passed, and not before."""

from __future__ import annotations

import dataclasses
import math

import pytest

from acestep_batch.measure.columns import COLUMNS, Measurement
from acestep_batch.measure.flags import RULES, Quality, Rule, judged

GOOD = Measurement(
    file_duration_s=60.0,
    duration_error_s=0.0,
    broken_samples=0,
    loudness_lufs=-14.0,
    loudness_range_lu=6.0,
    true_peak_dbtp=-1.0,
    sample_peak_dbfs=-1.1,
    crest_factor_db=12.0,
    clipped_runs=0,
    dc_offset=0.0001,
    silence_head_s=0.2,
    silence_tail_s=1.0,
    longest_gap_s=0.5,
    spectral_centroid_hz=2500.0,
    spectral_rolloff_hz=12000.0,
    spectral_flatness=0.1,
    stereo_correlation=0.6,
    stereo_width=0.2,
    tempo_bpm=120.0,
    tempo_confidence=0.5,
    key="A minor",
    key_confidence=0.7,
)


def test_an_ordinary_song_is_fine() -> None:
    verdict = judged(GOOD)
    assert (verdict.quality, verdict.reasons) == (Quality.OK, ())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.column} {rule.level}")
def test_every_rule_speaks_beyond_its_limits_alone(rule: Rule) -> None:
    step = 1 if rule.column in ("broken_samples", "clipped_runs") else 0.0001
    for limit, outwards in ((rule.above, step), (rule.below, -step)):
        if math.isinf(limit):
            continue
        within, beyond = (
            judged(dataclasses.replace(GOOD, **{rule.column: value})) for value in (limit, limit + outwards)
        )
        assert within.quality is not rule.level
        assert beyond.quality is rule.level
        assert beyond.reasons == (rule.says.format(limit + outwards),)


def test_a_number_that_is_far_off_is_told_once() -> None:
    verdict = judged(dataclasses.replace(GOOD, duration_error_s=-30.0))
    assert verdict.quality is Quality.FAIL
    assert verdict.reasons == ("-30.0 s against what was asked",)


def test_all_reasons_are_told_and_the_worst_counts() -> None:
    verdict = judged(dataclasses.replace(GOOD, clipped_runs=7, broken_samples=2, stereo_correlation=-0.5))
    assert verdict.quality is Quality.FAIL
    assert verdict.reasons == (
        "2 samples are not finite", "clipped 7 times", "channels out of phase: correlation -0.50"
    )  # fmt: skip


def test_digital_silence_fails_and_a_dead_channel_warns() -> None:
    silent = judged(dataclasses.replace(GOOD, sample_peak_dbfs=None, true_peak_dbtp=None, stereo_width=None))
    assert (silent.quality, silent.reasons) == (Quality.FAIL, ("digital silence",))
    dead = judged(dataclasses.replace(GOOD, stereo_correlation=None, stereo_width=0.5))
    assert (dead.quality, dead.reasons) == (Quality.WARN, ("one channel is silent",))


def test_a_near_duplicate_is_named() -> None:
    twin = judged(GOOD, "0007_song", 0.987)
    assert (twin.quality, twin.reasons) == (Quality.WARN, ("nearly the same as 0007_song (0.99)",))
    assert judged(GOOD, "0007_song", 0.89).quality is Quality.OK


def test_what_was_not_measured_is_not_judged() -> None:
    assert judged(Measurement()).quality is Quality.OK


def test_every_rule_is_about_a_column() -> None:
    assert {rule.column for rule in RULES} <= {column.name for column in COLUMNS}
