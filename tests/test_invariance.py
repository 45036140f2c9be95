"""A song is the same alone, in company, in another order, resumed and in two processes; and a check that can fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from sine_engine import SineEngine

from acestep_batch.cli import main
from acestep_batch.compare import Tier, compare
from acestep_batch.ledger import read_ledger
from acestep_batch.outputs.audio_files import read_audio

ROWS = [
    {"id": "a", "seed": 1, "prompt": "calm piano", "lyrics": "[verse]\nsun"},
    {"id": "b", "seed": 2, "prompt": "loud drums and a very long list of words", "lyrics": ""},
    {"id": "c", "seed": 3, "prompt": "", "lyrics": "[verse]\n" + "rain on the roof\n" * 4},
    {"id": "d", "seed": 4, "prompt": "calm piano", "scheduler_type": "pingpong"},
    {"id": "e", "seed": 5, "prompt": "voice", "lyrics": "[chorus]\nla la"},
]
SHORT = ("model=embedded", "hw=cpu", "lint=off", "infer_step=4", "audio_duration=1", "measure=false", "report=false")


@pytest.fixture
def sounds(tmp_path, monkeypatch, capsys):
    """Renders rows with more words: the PCM hash of each song by its id, and the run's folder."""
    monkeypatch.chdir(tmp_path)

    def render(rows, *words: str, name: str) -> dict[str, str]:
        Path(f"{name}.yaml").write_text(yaml.safe_dump(rows), encoding="utf-8")
        assert main((*SHORT, f"manifest.path={name}.yaml", *words)) == 0
        records = read_ledger(Path("outputs", name, "v0001")).records
        return {record["id"]: record["pcm_sha256"] for record in records}

    return render


def test_strict_songs_are_bit_for_bit_the_same_in_any_company(sounds):
    strict = ("strict=true", "hw.batch_size=4")
    expected = sounds(ROWS, *strict, name="together")
    alone = {}
    for row in ROWS:
        alone |= sounds([row], *strict, name=f"alone_{row['id']}")
    assert alone == expected
    assert sounds(ROWS[::-1], *strict, name="backwards") == expected
    parts = {}
    for shard in ("1/2", "2/2"):
        parts |= sounds(ROWS, *strict, f"shard={shard}", name="parts")
    assert parts == expected
    some = sorted(Path("outputs/together/v0001/audio").glob("*.wav"))[1::2]
    for path in some:
        path.unlink()
    assert main(("resume", "outputs/together/v0001")) == 0
    assert {
        record["id"]: record["pcm_sha256"] for record in read_ledger(Path("outputs/together/v0001")).records
    } == expected


@pytest.mark.usefixtures("drawn_weights")
def test_without_strict_songs_of_a_batch_stay_within_a_hair(sounds, capsys):
    sounds(ROWS, "hw.batch_size=4", "output.wav_subtype=float32", name="batched")
    sounds(ROWS, "output.wav_subtype=float32", name="single")
    for one, other in zip(
        *(sorted(Path("outputs", name).rglob("*.wav")) for name in ("batched", "single")), strict=True
    ):
        difference = np.abs(soundfile.read(one)[0] - soundfile.read(other)[0]).max()
        with capsys.disabled():
            print(f"[batch of 4 against alone: {difference:.1e}]", end=" ")
        assert difference < 1e-3


def test_without_strict_songs_of_a_batch_sound_as_alone(sounds):
    """Of the weights that the package has: a vocoder that searches phases makes rounding larger."""
    sounds(ROWS, "hw.batch_size=4", name="batched")
    sounds(ROWS, name="single")
    for pair in zip(*(sorted(Path("outputs", name).rglob("*.wav")) for name in ("batched", "single")), strict=True):
        (one, rate), (other, _) = map(read_audio, pair)
        assert compare(one, other, rate).tier.holds(Tier.PERCEPTUAL)


class Coupled(SineEngine):
    """What the check must find: a song's pitch depends on its place in the batch."""

    def denoise(self, requests, on_step=None):
        songs = super().denoise(requests, on_step)
        for place, song in enumerate(songs):
            song.latents[0] += place
        return songs


@pytest.mark.parametrize(("engine", "is_same"), [(SineEngine, True), (Coupled, False)])
def test_the_comparison_finds_an_engine_that_couples_its_songs(render_rows, engine, is_same):
    rows = [{"id": row["id"], "seed": row["seed"]} for row in ROWS]
    together, alone = (render_rows(rows, f"hw.batch_size={size}", engine=engine())[0].records for size in (4, 1))
    hashes = [{record["id"]: record["pcm_sha256"] for record in records} for records in (together, alone)]
    assert (hashes[0] == hashes[1]) is is_same
