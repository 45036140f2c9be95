"""The same song encoded, louder or filtered is found again among many; other songs are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, resample_poly, sosfilt
from synthesised import RATE, Samples, noise, nothing, sine, song

from acestep_batch.measure.flags import NEAR_DUPLICATE
from acestep_batch.measure.frames import band_powers, mono
from acestep_batch.measure.similarity import BANDS, FRAMES_PER_S, Nearest, fingerprint, nearest


def of(samples: Samples, rate: int = RATE) -> bytes:
    return fingerprint(band_powers(mono(samples), rate), rate / round(rate / 100))


def as_mp3(samples: Samples) -> Samples:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="MP3", subtype="MPEG_LAYER_III")
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


@pytest.fixture(scope="module")
def songs() -> dict[str, bytes]:
    return {f"song {seed}": of(song(10, seed)) for seed in range(8)}


def test_other_songs_are_not_near(songs: dict[str, bytes]) -> None:
    assert max(each.similarity for each in nearest(songs).values()) < 0.6


@pytest.mark.parametrize("change", ["mp3", "quieter", "duller", "44.1 kHz", "a little noise", "its first 7 s"])
def test_what_was_done_to_a_song_does_not_hide_it(change: str, songs: dict[str, bytes]) -> None:
    samples = song(10, 5)
    changed = {
        "mp3": lambda: of(as_mp3(samples)),
        "quieter": lambda: of(samples * np.float32(0.05)),
        "duller": lambda: of(sosfilt(butter(1, 3000, fs=RATE, output="sos"), samples, axis=0).astype(np.float32)),
        "44.1 kHz": lambda: of(resample_poly(samples, 147, 160, axis=0), 44_100),
        "a little noise": lambda: of(samples + 0.1 * noise(10)),
        "its first 7 s": lambda: of(samples[: 7 * RATE]),
    }[change]()
    found = nearest({**songs, "changed": changed})["changed"]
    assert found.name == "song 5"
    assert found.similarity > NEAR_DUPLICATE


def test_silence_tones_and_less_than_5_s() -> None:
    assert of(nothing(10)) == b""
    assert of(song(4.5, 1)) == b""
    tone = of(np.stack([sine(440, 10, -20)] * 2, axis=1))
    assert nearest({"a": tone, "b": tone})["a"].similarity == 0
    assert nearest({"a": b"", "b": tone}) == {}
    assert nearest({}) == {}


def test_a_fingerprint_is_small() -> None:
    assert len(of(song(30, 1))) == pytest.approx(30 * FRAMES_PER_S * BANDS, abs=2 * BANDS)


def test_a_thousand_songs_are_compared_and_the_one_copy_is_found() -> None:
    draws = np.random.default_rng(1)
    prints = {str(n): draws.integers(-40, 40, draws.integers(100, 4800), np.int8).tobytes() for n in range(1000)}
    prints["copy"] = prints["700"]
    found = nearest(prints)
    assert found["copy"] == Nearest("700", 1.0)
    assert found["700"].name == "copy"
    assert sum(each.similarity > NEAR_DUPLICATE for each in found.values()) == 2


@settings(max_examples=30, deadline=None)
@given(data=st.data(), count=st.integers(2, 6))
def test_products_of_matrices_give_what_pairs_give_in_any_order(data: st.DataObject, count: int) -> None:
    lengths = st.integers(10, 40)
    seeds = data.draw(st.lists(st.tuples(st.integers(0, 99), lengths), min_size=count, max_size=count, unique=True))
    prints = {
        str(n): np.random.default_rng(seed).integers(-50, 50, length, np.int8).tobytes()
        for n, (seed, length) in enumerate(seeds)
    }
    names = data.draw(st.permutations(list(prints)))
    found = nearest({name: prints[name] for name in names})
    for name, mine in prints.items():
        expected = max(_correlation(mine, other) for key, other in prints.items() if key != name)
        assert found[name].similarity == pytest.approx(expected, abs=1e-5)


def _correlation(one: bytes, other: bytes) -> float:
    length = min(len(one), len(other))
    a, b = (np.frombuffer(each[:length], np.int8).astype(float) for each in (one, other))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))
