"""Copies at the loudness that was asked for: they have it, keep their peaks down, and leave the masters as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acestep_batch.checks import check_folder
from acestep_batch.cli import main
from acestep_batch.measure.measurement import measure_file
from acestep_batch.measurements import read_measurements
from acestep_batch.outputs.audio_files import file_sha256
from acestep_batch.outputs.tags import read_record

RUN = Path("outputs/songs/v0001")
SHORT = ("manifest.path=songs.json", "model=embedded", "hw=cpu", "lint=off", "infer_step=1", "report=false")
ROWS = [{"id": "a", "seed": 1}, {"id": "like a", "seed": 1}, {"id": "b", "seed": 2}]


@pytest.fixture
def render(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words: str, rows=ROWS) -> None:
        Path("songs.json").write_text(json.dumps(rows), encoding="utf-8")
        assert main(words if words[0] == "resume" else [*SHORT, "audio_duration=2", *words]) == 0

    return run


def audio(folder: Path) -> dict[str, str]:
    return {path.name: file_sha256(path) for path in sorted(folder.glob("*.wav"))}


def test_a_copy_has_the_loudness_or_stays_below_the_ceiling_and_the_master_is_untouched(render):
    render("output.name=plain")
    render("output.loudness_lufs=-20", "output.true_peak_ceiling_dbtp=-6")
    assert {name for name, _ in audio(RUN / "audio").items()} == set(audio(Path("outputs/plain/v0001/audio")))
    for copy in (RUN / "audio" / "loudness").glob("*.wav"):
        found = measure_file(copy).measurement
        master = measure_file(RUN / "audio" / copy.name).measurement
        assert found.true_peak_dbtp < -5.9
        assert found.loudness_lufs == pytest.approx(-20, abs=0.1) or found.true_peak_dbtp == pytest.approx(-6, abs=0.1)
        told = read_record(copy)["record"]["loudness_copy"]["gain_db"]
        assert found.loudness_lufs - master.loudness_lufs == pytest.approx(told, abs=0.1)
    assert len(audio(RUN / "audio" / "loudness")) == 2  # what sounds the same has one copy
    assert [each.findings for each in check_folder(RUN)] == [[]]


def test_what_is_missing_is_made_again_and_what_is_changed_is_found_and_kept(render):
    render("output.loudness_lufs=-20")
    first, second = sorted((RUN / "audio" / "loudness").glob("*.wav"))
    before = audio(RUN / "audio" / "loudness")
    first.unlink()
    second.write_bytes(b"mine")
    assert {each.file for each in check_folder(RUN)[0].findings} == {
        f"audio/loudness/{path.name}" for path in (first, second)
    }
    render("resume", str(RUN))
    assert second.read_bytes() == b"mine"
    assert file_sha256(first) == before[first.name]
    second.rename("mine.wav")
    render("resume", str(RUN))
    assert audio(RUN / "audio" / "loudness") == before
    assert check_folder(RUN)[0].findings == []


def test_a_copy_gives_way_with_its_song(render):
    render("output.loudness_lufs=-20")
    before = audio(RUN / "audio" / "loudness")
    render("resume", str(RUN), rows=[{**ROWS[0], "prompt": "jazz"}, ROWS[2]])
    after = audio(RUN / "audio" / "loudness")
    assert after.keys() != before.keys() or after != before
    assert set(before.values()) - set(after.values()) <= set(
        audio(RUN / "superseded" / "0001" / "audio" / "loudness").values()
    )
    assert check_folder(RUN)[0].findings == []


def test_a_song_without_loudness_has_no_copy_and_is_not_tried_again(render):
    render("output.loudness_lufs=-20", "audio_duration=0.2", rows=ROWS[:1])
    (line,) = read_measurements(RUN).lines.values()
    assert (line.copy.gain_db, line.copy.path) == (None, "")
    before = (RUN / "measurements.jsonl").read_bytes()
    render("resume", str(RUN), rows=ROWS[:1])
    assert (RUN / "measurements.jsonl").read_bytes() == before
