"""Two audios to a tier: the tiers' edges, the number behind them, and what real renderings reach."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support import make_songs

from acestep_batch.compare import LARGEST_DIFFERENCE, LOG_MEL_DB, Tier, compare, log_mel_distance
from acestep_batch.engine.embedded import load_drawn_engine
from acestep_batch.engine.v1.pipeline import V1Engine

RATE = 48_000


def noise(seconds: float = 1.0, seed: int = 1, level: float = 0.2):
    samples = np.random.default_rng(seed).standard_normal((2, int(seconds * RATE)))
    return (level * samples).astype(np.float32)


def tone(hertz: float, seconds: float = 1.0):
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)
    return np.stack([wave, wave]).astype(np.float32)


def test_equal_samples_are_bit_identical_and_nothing_else_is():
    audio = noise()
    assert compare(audio, audio.copy(), RATE).tier is Tier.BIT_IDENTICAL
    other = audio.copy()
    other[1, 777] = np.nextafter(other[1, 777], np.float32(1))
    assert compare(audio, other, RATE).tier is Tier.NUMERICAL


@pytest.mark.parametrize("step", [0.0, 2.0**-15])
def test_numerical_ends_at_the_largest_difference_and_one_step_of_the_sample_type(step):
    audio = np.zeros((2, 5000), np.float32)
    for share, tier in ((0.99, Tier.NUMERICAL), (1.01, Tier.DIFFERENT)):
        other = audio.copy()
        other[0, 4321] = share * (LARGEST_DIFFERENCE + step)
        found = compare(audio, other, RATE, step)
        assert found.tier is tier
        assert found.largest == pytest.approx(share * (LARGEST_DIFFERENCE + step))


def test_perceptual_ends_at_the_log_mel_distance():
    audio = noise(2.0)
    for share, tier in ((0.95, Tier.PERCEPTUAL), (1.05, Tier.DIFFERENT)):
        louder = (audio * 10 ** (share * LOG_MEL_DB / 20)).astype(np.float32)
        found = compare(audio, louder, RATE)
        assert found.tier is tier
        assert found.log_mel_db == pytest.approx(share * LOG_MEL_DB, rel=1e-3)


def test_a_gain_is_its_own_distance_and_the_distance_is_symmetric():
    audio = noise(1.5)
    halved = audio / 2
    assert log_mel_distance(audio, halved, RATE) == pytest.approx(20 * np.log10(2), rel=1e-6)
    assert log_mel_distance(halved, audio, RATE) == log_mel_distance(audio, halved, RATE)
    assert log_mel_distance(audio, audio, RATE) == 0.0


def test_another_pitch_another_channel_and_a_late_change_are_all_seen():
    assert compare(tone(440), tone(470), RATE).tier is Tier.DIFFERENT
    one_sided = tone(440)
    one_sided[1] = 0.0
    assert compare(tone(440), one_sided, RATE).tier is Tier.DIFFERENT
    audio = noise(20.0)  # more windows than are transformed at once
    changed = audio.copy()
    changed[:, -RATE // 2 :] = noise(0.5, seed=9)
    assert log_mel_distance(audio, changed, RATE) > 0.1
    assert compare(audio, changed, RATE).tier is not Tier.NUMERICAL


def test_windows_in_blocks_give_what_all_at_once_give():
    one, other = noise(13.0), noise(13.0, seed=2)
    whole = log_mel_distance(one, other, RATE)
    parts = [log_mel_distance(one[:, a:b], other[:, a:b], RATE) for a, b in ((0, 6 * RATE), (6 * RATE, 13 * RATE))]
    assert whole == pytest.approx(np.sqrt((6 * parts[0] ** 2 + 7 * parts[1] ** 2) / 13), rel=0.02)


def test_silence_below_the_floor_does_not_count():
    loud = tone(1000)
    quiet_noise = (loud + noise(level=1e-5)).astype(np.float32)
    assert log_mel_distance(loud, quiet_noise, RATE) < 0.1
    silence = np.zeros((2, 100), np.float32)
    assert log_mel_distance(silence, silence, RATE) == 0.0


@pytest.mark.parametrize("shape", [(2, 4799), (1, 4800)])
def test_audios_of_other_shapes_are_different_and_say_so(shape):
    found = compare(np.zeros((2, 4800), np.float32), np.zeros(shape, np.float32), RATE)
    assert found.tier is Tier.DIFFERENT
    assert str(shape[1]) in str(found)


def test_a_better_tier_holds_a_lower_one():
    order = [Tier.BIT_IDENTICAL, Tier.NUMERICAL, Tier.PERCEPTUAL, Tier.DIFFERENT]
    for place, reached in enumerate(order):
        assert [reached.holds(expected) for expected in order] == [place <= other for other in range(4)]


@pytest.fixture(scope="module")
def rendered():
    """Audio of the embedded model: of ``seeds``, all together or one by one, on so many threads."""
    songs = make_songs([{"id": "a", "prompt": "calm piano", "lyrics": "[verse]\nsun", "infer_step": 8}])
    types = {False: torch.float32, True: torch.bfloat16}
    engines = {bf16: load_drawn_engine("cpu", dtype, compile_transformer=False) for bf16, dtype in types.items()}

    def render(seeds=(1, 2, 3), together=False, threads=1, bf16=False):
        requests = [replace(songs[0].request(), seed=seed, audio_duration=1.0) for seed in seeds]
        engine, before = engines[bf16], torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            groups = [requests] if together else [[request] for request in requests]
            # past the embedded engine's own single thread
            return [
                song.audio
                for group in groups
                for song in V1Engine.decode(engine, V1Engine.denoise(engine, group), RATE)
            ]
        finally:
            torch.set_num_threads(before)

    return render


def tiers(one, other) -> set[Tier]:
    return {compare(*pair, RATE).tier for pair in zip(one, other, strict=True)}


def test_what_moves_the_last_bits_of_float32_stays_numerical(rendered):
    alone = rendered()
    assert tiers(alone, rendered()) == {Tier.BIT_IDENTICAL}
    assert tiers(alone, rendered(together=True)) <= {Tier.BIT_IDENTICAL, Tier.NUMERICAL}


@pytest.mark.slow  # two threads for layers so small wait for each other, on a busy machine for long
def test_two_threads_move_the_last_bits_of_float32_alone(rendered):
    assert tiers(rendered(), rendered(threads=2)) <= {Tier.BIT_IDENTICAL, Tier.NUMERICAL}


def test_what_moves_the_last_bits_of_bfloat16_stays_perceptual_and_another_seed_does_not(rendered):
    alone = rendered(bf16=True)
    assert tiers(alone, rendered(bf16=True, together=True)) <= {Tier.BIT_IDENTICAL, Tier.PERCEPTUAL}
    assert tiers(alone, rendered(bf16=True, seeds=(5, 6, 7))) == {Tier.DIFFERENT}
    assert tiers(rendered(), rendered(seeds=(5, 6, 7))) == {Tier.DIFFERENT}
