"""Files against records: silence about sound folders, and every kind of damage found and named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from faults.damage import Damage, done, findings, is_named, promised_files, undetected
from forgery import change_line, forge
from mutagen.flac import FLAC

from acestep_batch.checks import check_folder
from acestep_batch.cli import main
from acestep_batch.ledger import ledger_files
from acestep_batch.problems import Refused
from acestep_batch.run_folder import Command, open_cell
from acestep_batch.seals import SEALS, broken_seals

SHORT = ("model=embedded", "hw=cpu", "lint=off", "report=false", "infer_step=2", "audio_duration=0.2",
         "manifest.path=songs.yaml")  # fmt: skip
ROWS = [
    {"id": "a", "seed": 1},
    {"id": "b", "seed": 2, "lyrics": "one\u2028two\u0085three"},
    {"id": "like a", "seed": 1},
    {"id": "c", "takes": 2},
]
RUN = Path("outputs/songs/v0001")


@pytest.fixture
def render(tmp_path, monkeypatch, capsys):
    """Carries out one command on these rows in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, rows=ROWS, code: int = 0) -> None:
        Path("songs.yaml").write_text(yaml.safe_dump(rows), encoding="utf-8")
        assert main(words if words[:1] == ("resume",) else (*SHORT, *words)) == code
        capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run's folder with several formats, micro-batches, twins and takes, which tests leave as it is."""
    folder = tmp_path_factory.mktemp("finished")
    manifest = folder / "songs.yaml"
    manifest.write_text(yaml.safe_dump(ROWS), encoding="utf-8")
    words = (*SHORT[:-1], f"manifest.path={manifest}", f"output.root={folder}", "hw.batch_size=2")
    assert main((*words, "output.formats=[wav,flac,ogg]")) == 0
    return folder / "songs" / "v0001"


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "v0001"))


def found_in(folder: Path) -> list[str]:
    return [str(finding) for finding in findings(folder)]


def test_a_sound_folder_has_no_findings(finished):
    assert found_in(finished) == []
    (checked,) = check_folder(finished)
    assert [song.song_id for song in checked.songs][:3] == ["a", "b", "like a"]
    assert all(len(song.files) == 3 for song in checked.songs)


def test_the_folder_of_two_shards_has_no_findings_and_misses_each_ledger(render):
    for part in ("1/2", "2/2"):
        render("output.wav_subtype=float32", f"shard={part}")
    assert found_in(RUN) == []
    for ledger in ledger_files(RUN):
        with done(Damage("delete", ledger.name), RUN):
            assert any("has no record of it: not made yet, or lost" in line for line in found_in(RUN))


def test_failures_that_were_recorded_are_no_findings(render_rows, render, tmp_path):
    open_cell(tmp_path / "cell", {}, Command((), False, None, "config", str(tmp_path)), {})
    rows = [{"id": "good", "seed": 1}, {"id": "bad", "prompt": "explode"}, {"id": "still", "prompt": "silence"}]
    render_rows(rows, "hw.batch_size=3", into=tmp_path / "cell")
    assert found_in(tmp_path / "cell") == []
    assert [song.is_made for song in check_folder(tmp_path / "cell")[0].songs] == [True, False, False]
    render("on_invalid=skip", rows=[*ROWS, {"id": "wrong", "guidance_scale": -3}], code=1)
    assert found_in(RUN) == []
    assert check_folder(RUN)[0].skipped_rows == 1


def test_a_run_that_went_on_after_edits_and_damage_has_no_findings(render):
    render()
    wav = sorted((RUN / "audio").glob("*.wav"))
    wav[0].write_bytes(wav[0].read_bytes()[:9000])
    render("resume", str(RUN), rows=[ROWS[0], ROWS[1] | {"guidance_scale": 3}, *ROWS[3:], {"id": "new"}])
    assert (RUN / "superseded").is_dir()
    assert found_in(RUN) == []


def test_a_song_without_a_record_is_a_finding(finished):
    ledger = finished / "records.jsonl"
    with done(Damage("flip", ledger.name, 0, 0), finished):
        lines = ledger.read_bytes().splitlines(keepends=True)
        ledger.write_bytes(b"".join(lines[:-1]))
        song = json.loads(lines[-1])["id"]
        assert f"{song}, records.jsonl: has no record of it: not made yet, or lost -> resume the run" in found_in(
            finished
        )


def test_random_damage_to_any_file_is_found_and_named(finished):
    counts = {"flip": 50, "truncate": 10, "delete": 5, "swap": 5}
    tried, missed = undetected(finished, counts, seed=20261122)
    assert tried == counts
    assert missed == []
    assert found_in(finished) == []


def test_every_file_is_missed_when_it_is_gone_and_every_byte_of_the_records_counts(finished):
    for file in promised_files(finished):
        with done(Damage("delete", file), finished):
            assert is_named(file, findings(finished)), file
    for file in ("run.json", SEALS, "overrides.yaml", "environment.json"):
        for position in range(0, (finished / file).stat().st_size, 97):
            with done(Damage("flip", file, position, 0x20), finished):
                assert is_named(file, findings(finished)), (file, position)


def test_a_run_file_of_another_folder_and_environments_without_records_are_named(copied):
    sweep = copied.parent / "sweep"
    shutil.copytree(copied, sweep / "cells" / "one-00000000")
    (sweep / "run.json").write_bytes((copied / "run.json").read_bytes())
    said = [f"{each.file}: {each.message}" for each in findings(sweep)]
    assert "run.json: is that of another folder" in said
    assert "cells/one-00000000/run.json: is that of another folder" in said
    (copied / "records.jsonl").write_text("", encoding="utf-8")
    assert "environment.json" in {each.file for each in findings(copied)}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda line: line.update(guidance_scale=3.0), "the record and the plan differ in guidance_scale"),
        (lambda line: line.update(seed=77), "the record and the plan differ in seed"),
        (lambda line: line.update(identity="0" * 64), "the record is of another song than planned"),
        (lambda line: line.update(micro_batch=7), "differ in micro_batch"),
        (lambda line: line.update(rungs=["overlapped decode"]), "differ in overlapped_decode, rungs"),
        (lambda line: line["audio"][0].update(pcm_sha256="0" * 64), "its samples are not those that were written"),
        (lambda line: line["audio"][0].update(bytes=3), "bytes, not 3;"),
        (lambda line: line.update(audio=[]), "records.jsonl line 3: is not as it was written"),
        (lambda line: line.update(audio=[{}]), "records.jsonl line 3: is not as it was written"),
        (lambda line: line.update(audio=7), "records.jsonl line 3: is not as it was written"),
        (lambda line: line["audio"][0].pop("bytes"), "the record cannot be used"),
    ],
)
def test_a_record_that_was_changed_and_sealed_again_contradicts_the_others(finished, change, complaint):
    with done(Damage("flip", "records.jsonl", 0, 0), finished):
        change_line(finished, "b", change)
        own = [str(finding) for finding in findings(finished) if finding.song == "b"]
        assert any(complaint in line for line in own), own


def test_a_line_that_says_the_same_in_other_bytes_is_found(finished):
    with done(Damage("flip", "records.jsonl", 0, 0), finished):
        lines = (finished / "records.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        lines[1] = json.dumps(json.loads(lines[1]))
        (finished / "records.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert any("records.jsonl line 2: is not as it was written" in line for line in found_in(finished))


def test_a_stray_file_and_a_stale_summary_are_named_with_their_remedy(finished):
    stray = finished / "audio" / "mine.wav"
    stray.write_bytes(b"x")
    try:
        assert any(line.startswith("audio/mine.wav: is in no record") for line in found_in(finished))
    finally:
        stray.unlink()
    summary = finished / "summary.csv"
    content = summary.read_bytes()
    try:
        summary.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]))
        (found,) = found_in(finished)
        assert found.startswith("summary.csv: is not what the records give: stale, or changed -> delete it and resume")
    finally:
        summary.write_bytes(content)


def test_a_file_whose_tags_were_edited_still_has_its_samples(copied):
    file = FLAC(copied / "audio" / "0002_b_2.flac")
    file["TITLE"] = "by a player"
    file.save()
    (found,) = found_in(copied)
    assert "its samples are those that were written" in found


def test_what_a_crash_between_the_runs_own_files_leaves_is_found_and_put_right_by_resume(render):
    render(rows=ROWS[:2])
    for name in ("config.yaml", SEALS):
        content = (RUN / name).read_bytes()
        (RUN / name).write_bytes(content + b"\n")
        assert next(iter(broken_seals(RUN))) == name
        assert any(line.startswith(name) for line in found_in(RUN))
        render("resume", str(RUN), rows=ROWS[:2])
        assert (RUN / name).read_bytes() == content
        assert found_in(RUN) == []
    (RUN / SEALS).unlink()
    render("resume", str(RUN), rows=ROWS[:2])
    assert found_in(RUN) == []


def test_a_forgery_with_every_seal_in_order_is_beyond_the_check_of_files(copied):
    forge(copied, "b", lambda sidecar: sidecar.update(guidance_scale=3.0))
    assert found_in(copied) == []


def test_a_folder_that_is_no_runs_is_refused(tmp_path):
    with pytest.raises(Refused, match="is no run's folder"):
        check_folder(tmp_path)


def test_the_check_of_files_leaves_torch_unimported(finished):
    script = (
        "import sys; from acestep_batch.cli import main; code = main(sys.argv[1:]); print(code, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", script, "verify", "--files-only", "--format", "json", str(finished)]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert result.stdout.endswith("0 False\n"), result.stderr
