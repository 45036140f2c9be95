"""The verb `verify`: sound runs pass to the bit, whatever was changed is named with the tier it reaches."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import yaml
from faults.damage import Damage, done, findings, is_named, promised_files
from forgery import change_line, forge
from sine_engine import SineEngine
from starved_engine import StarvedEngine
from tiny_v1 import snapshot_in

from acestep_batch.checks import check_folder
from acestep_batch.cli import main
from acestep_batch.companies import companies_of, sample
from acestep_batch.compare import Tier
from acestep_batch.engine.base import Decoding
from acestep_batch.engine.embedded_identity import embedded_files, is_trained
from acestep_batch.junit import junit_text
from acestep_batch.outputs.audio_files import read_audio, write_audio
from acestep_batch.outputs.formats import audio_format
from acestep_batch.problems import Refused
from acestep_batch.song_checks import Finding
from acestep_batch.verdicts import Report, SongVerdict
from acestep_batch.verify import verify_again
from acestep_batch.weights_place import WeightsPlace

SHORT = (
    "hw=cpu",
    "lint=off",
    "measure=false",
    "report=false",
    "infer_step=2",
    "audio_duration=0.2",
    "manifest.path=songs.yaml",
)
ROWS = [
    {"id": "a", "seed": 1},
    {"id": "b", "seed": 2, "lyrics": "[verse]\nsun"},
    {"id": "like a", "seed": 1},
    {"id": "c", "seed": 3, "scheduler_type": "pingpong"},
]
ROUNDED = Tier.PERCEPTUAL if is_trained() else Tier.NUMERICAL
"""What another rounding makes of the embedded model's songs."""
RUN = Path("outputs/songs/v0001")


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs one command in an empty folder that holds songs.yaml: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    write_rows(ROWS)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def write_rows(rows) -> None:
    Path("songs.yaml").write_text(yaml.safe_dump(rows), encoding="utf-8")


def made(cli, *words: str) -> None:
    assert cli("model=embedded", *SHORT, *words)[0] == 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of these rows, to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    manifest = folder / "songs.yaml"
    manifest.write_text(yaml.safe_dump(ROWS), encoding="utf-8")
    assert main(("model=embedded", *SHORT[:-1], f"manifest.path={manifest}", f"output.root={folder}")) == 0
    return folder / "songs" / "v0001"


@pytest.fixture
def copied(cli, finished):
    """A copy of it as ``RUN``."""
    shutil.copytree(finished, RUN)


def songs(out: str) -> dict[str, dict]:
    return {song["id"]: song for song in json.loads(out)["songs"]}


def test_a_run_is_bit_identical_twice_in_a_row_alone_and_in_its_micro_batches(cli):
    made(cli, "hw.batch_size=2", "output.formats=[wav,flac,ogg,mp3]")
    before = {path: path.stat().st_mtime_ns for path in Path("outputs").rglob("*")}
    for _ in range(2):
        code, out, _ = cli("verify", str(RUN))
        assert code == 0
        assert "4 songs: 4 ok; 4 bit-identical" in out
        assert "expected no better" not in out
    assert {path: path.stat().st_mtime_ns for path in Path("outputs").rglob("*")} == before


def test_one_changed_byte_of_one_audio_file_is_found_and_the_song_named(cli, copied):
    path = next((RUN / "audio").glob("*_b_*.wav"))
    content = bytearray(path.read_bytes())
    content[4001] ^= 8
    path.write_bytes(content)
    code, out, _ = cli("verify", str(RUN))
    assert code == 1
    assert "b, audio/0002_b_2.wav: its samples are not those that were written -> resume the run" in out
    assert "the record makes its samples again; the file has others" in out
    assert "4 songs: 3 ok, 1 differs" in out
    assert cli("verify", str(RUN), "--files-only")[0] == 1


def test_a_song_that_is_not_made_yet_is_missing_and_not_damaged(cli, copied):
    ledger = RUN / "records.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:-1]))
    code, out, _ = cli("verify", str(RUN), "--files-only")
    assert code == 1
    assert "4 songs: 1 missing, 3 files hold" in out
    xml = cli("verify", str(RUN), "--format", "junit")[1]
    assert '<testsuite name="outputs/songs/v0001" tests="5" failures="2"' in xml


def test_one_changed_parameter_is_found_in_the_files_or_if_every_seal_was_made_again_by_rendering(cli, copied):
    change_line(RUN, "b", lambda line: line.update(guidance_scale=3.0))
    code, out, _ = cli("verify", str(RUN))
    assert code == 1
    assert "b, records.jsonl: the record and the plan differ in guidance_scale" in out
    forge(RUN, "b", lambda sidecar: sidecar.update(guidance_scale=3.0))
    assert cli("verify", str(RUN), "--files-only")[0] == 0
    code, out, _ = cli("verify", str(RUN))
    assert code == 1
    assert "b, audio/0002_b_2.wav: " in out
    assert ", expected bit-identical (largest difference " in out
    assert "4 songs: 3 ok, 1 differs" in out


def test_a_twin_whose_record_was_forged_is_rendered_by_itself(cli, copied):
    forge(RUN, "like a", lambda sidecar: sidecar.update(guidance_scale=3.0))
    code, out, _ = cli("verify", str(RUN), "--format", "json")
    assert code == 1
    assert {name: song["state"] for name, song in songs(out).items()}["a"] == "ok"
    assert songs(out)["like a"]["state"] != "ok"


@pytest.fixture
def v1(cli, tmp_path, monkeypatch):
    """A run of the tiny v1 checkpoint that lies in ``weights``."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # hashes of files are remembered there
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "nowhere"))
    write_rows([{"id": "a", "lyrics": "la la"}, {"id": "b"}])
    snapshot = snapshot_in(tmp_path / "hub")
    assert cli("model=v1", f"model.path={snapshot}", *SHORT)[0] == 0
    return snapshot


def test_one_changed_weight_another_engine_and_other_libraries_cannot_be_checked(cli, v1):
    assert cli("verify", str(RUN))[0] == 0
    weights = v1 / "music_vocoder" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)

    def others(sidecar):
        sidecar["record"]["engine"]["engine_version"] = 0
        sidecar["record"]["engine"]["lyric_libraries"]["cutlet"] = "0.1"

    forge(RUN, "a", others)
    code, out, _ = cli("verify", str(RUN))
    assert code == 2
    name = "music_vocoder/diffusion_pytorch_model.safetensors"
    assert f"cannot be checked: {name}: is sha256 " in out
    assert "(2 songs)" in out
    assert "cannot be checked: engine_version: is 1 here, and the songs were made by 0" in out
    assert (
        "cannot be checked: cutlet: is 0.5.2 here, and the songs were made with 0.1 -> pip install cutlet==0.1" in out
    )
    assert "2 songs: 2 cannot be checked" in out
    assert cli("verify", str(RUN), "--files-only")[0] == 0
    path = next((RUN / "audio").glob("*_b_*.wav"))
    path.write_bytes(path.read_bytes()[:9000])
    assert cli("verify", str(RUN))[0] == 1


def test_weights_that_moved_are_found_where_the_command_says(cli, v1):
    moved = v1.rename(v1.parents[3] / "moved")
    code, out, _ = cli("verify", str(RUN))
    assert code == 2
    assert "is not a folder" in out
    assert cli("verify", str(RUN), f"model.path={moved}")[0] == 0


def test_the_embedded_models_weights_are_compared(cli, copied):
    forge(RUN, "a", lambda sidecar: sidecar["record"]["engine"]["files"][0].update(sha256="0" * 64))
    code, out, _ = cli("verify", str(RUN))
    assert code == 2
    weights = embedded_files()[0]
    here = f"{weights['path']}: is sha256 {weights['sha256'][:12]}... here"
    assert f"{here}, and the songs were made with 000000000000..." in out


def moved_by_a_hair(path: Path) -> None:
    """Every hundredth sample one 16-bit step further."""
    audio, rate = read_audio(path)
    audio[:, ::100] = np.clip(audio[:, ::100] + 2.0**-15, -1, 1)
    write_audio(path, audio, rate, audio_format("wav", "pcm16"))


def test_what_differs_in_the_ground_lowers_the_tier_by_name_and_strict_does_not_let_it(cli, copied):
    moved_by_a_hair(RUN / "audio" / "0002_b_2.wav")
    forge(RUN, "b")
    code, out, _ = cli("verify", str(RUN))
    assert code == 1
    assert "numerical, expected bit-identical (largest difference " in out
    forge(RUN, "b", lambda sidecar: sidecar["record"]["engine"]["made_on"].update(torch="2.0.0", threads=3))
    code, out, _ = cli("verify", str(RUN))
    assert code == 0
    assert f"expected no better than {ROUNDED}: torch 2.0.0 and " in out
    assert "threads 3 and 1" in out
    assert "(1 song)" in out
    assert "4 songs: 4 ok; 3 bit-identical, 1 numerical" in out
    assert cli("verify", str(RUN), "--strict")[0] == 1


def test_a_company_that_cannot_be_found_any_more_lowers_the_tier(cli):
    made(cli, "hw.batch_size=2")
    write_rows([ROWS[0] | {"seed": 8}, *ROWS[1:]])
    assert cli("resume", str(RUN))[0] == 0
    code, out, _ = cli("verify", str(RUN))
    assert code == 0
    assert f"expected no better than {ROUNDED}: 2 and 1 song in the micro-batch" in out
    assert "(2 songs)" in out


def test_songs_that_failed_in_the_run_are_passed_over_and_their_company_is_kept(render_rows):
    rows = [{"id": "a", "seed": 1}, {"id": "still", "seed": 2, "prompt": "silence"}, {"id": "b", "seed": 3}]
    engine = SineEngine()
    result, _, _ = render_rows(rows, "hw.batch_size=3", engine=engine)
    report, _ = verify_again(
        result.folder, check_folder(result.folder), None, 0, False, WeightsPlace(), lambda key: engine
    )
    assert engine.batches == [[1, 2, 3], [1, 2, 3]]
    assert {song.song_id: str(song.state) for song in report.songs} == {
        "a": "ok", "still": "failed in the run", "b": "ok",
    }  # fmt: skip


def test_songs_that_were_made_with_less_memory_are_made_again_as_they_were(render_rows):
    def fits(stage: str, count: int, is_offloaded: bool, decoding: Decoding) -> bool:
        return count <= 2 and (stage == "denoise" or decoding is Decoding.OVERLAPPED)

    rows = [{"id": f"s{number}", "seed": number} for number in range(5)]
    result, _, _ = render_rows(rows, "hw.batch_size=5", engine=StarvedEngine(fits))
    assert result.failed == 0
    decodings = []

    class Watched(SineEngine):
        def decode(self, songs, sample_rate, decoding=Decoding.PLAIN):
            decodings.append(decoding)
            return super().decode(songs, sample_rate, decoding)

    engine = Watched()
    report, _ = verify_again(
        result.folder, check_folder(result.folder), None, 0, False, WeightsPlace(), lambda key: engine
    )
    assert engine.batches == [[0, 1], [2], [3, 4]]
    assert set(decodings) == {Decoding.OVERLAPPED}
    assert all(song.worst.found.tier == "bit-identical" for song in report.songs)
    assert any("only one was made with: component offload" in reason for reason in report.reasons())


def test_a_sample_is_drawn_by_its_seed_and_whole_companies_are_rendered(cli):
    write_rows([{"id": f"s{number}", "seed": number} for number in range(10)])
    made(cli, "hw.batch_size=2")

    def drawn(seed: int, asked: str) -> set[str]:
        code, out, _ = cli("verify", str(RUN), "--sample", asked, "--seed", str(seed), "--format", "json")
        assert code == 0
        return {name for name, song in songs(out).items() if song["files"]}

    assert len(drawn(0, "5%")) == 2
    (checked,) = check_folder(RUN)
    companies = companies_of(checked)
    assert len({tuple(map(id, sample(companies, "1", seed))) for seed in range(20)}) == 5
    assert [len(sample(companies, asked, 0)) for asked in ("1", "2", "3", "20%", "21%", "100%", "99")] == [
        1,
        1,
        2,
        1,
        2,
        5,
        5,
    ]
    for asked in ("0%", "101%", "none", "-1", "2.5"):
        with pytest.raises(Refused, match="neither a share nor a number"):
            sample(companies, asked, 0)


def test_a_sweep_is_verified_over_its_cells(cli):
    write_rows(ROWS[:2])
    made(cli, "-m", "guidance_scale=5,7")
    code, out, err = cli("verify", str(RUN))
    assert code == 0
    assert "4 songs: 4 ok; 4 bit-identical" in out
    assert err.count("loading") == 1
    for file in promised_files(RUN)[::3]:
        with done(Damage("delete", file), RUN):
            assert is_named(file, findings(RUN)), file
    assert findings(RUN) == []
    cell = sorted((RUN / "cells").iterdir())[1]
    (cell / "config.yaml").write_text("x", encoding="utf-8")
    code, out, _ = cli("verify", str(RUN), "--files-only")
    assert code == 1
    assert f"{cell.name}: config.yaml: is not as it was written" in out


def test_two_runs_are_compared_song_by_song(cli):
    made(cli, "output.formats=[flac]")
    made(cli, "output.formats=[flac]", "hw.batch_size=2")
    write_rows([ROWS[0], ROWS[1] | {"guidance_scale": 3}, {"id": "renamed", "seed": 3, "scheduler_type": "pingpong"}])
    made(cli, "output.formats=[flac]")
    first, second, third = (Path(f"outputs/songs/v000{number}") for number in (1, 2, 3))
    code, out, err = cli("verify", str(first), "--against", str(second))
    assert (code, err) == (0, "")
    assert "1 and 2 songs in the micro-batch" in out
    code, out, _ = cli("verify", str(first), "--against", str(third))
    assert code == 1
    assert "like a, the other run: has no such song" in out
    found = songs(cli("verify", str(first), "--against", str(third), "--format", "json")[1])
    assert {name: song["state"] for name, song in found.items()} == {
        "a": "ok", "b": found["b"]["state"], "like a": "differs", "c": "ok",
    }  # fmt: skip
    assert found["b"]["files"][0]["reasons"] == ["another guidance_scale"]
    assert found["c"]["files"][0]["reached"] == "bit-identical"
    other = next((second / "audio").glob("*_b_*.flac"))
    other.write_bytes(other.read_bytes()[:5000])
    assert "the other run's audio/0002_b_2.flac" in cli("verify", str(first), "--against", str(second))[1]


def test_junit_has_a_case_for_every_song_and_one_for_the_files(cli):
    write_rows([*ROWS, {"id": "x <&>", "seed": 5}])
    made(cli)
    path = next((RUN / "audio").glob("*_b_*.wav"))
    path.write_bytes(path.read_bytes()[:9000])
    (RUN / "config.yaml").unlink()
    code, out, _ = cli("verify", str(RUN), "--format", "junit")
    assert code == 1
    suite = ElementTree.fromstring(out).find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "2", "0")
    cases = {case.get("name"): case for case in suite}
    assert "config.yaml: is missing" in cases["the run's own files"].find("failure").text
    assert "b, audio/0002_b_2.wav" in cases["b"].find("failure").text
    assert cases["a"].find("system-out").text == "bit-identical: every sample is the same"
    assert "x <&>" in cases


def test_junit_is_xml_whatever_a_song_is_called():
    verdict = SongVerdict("", "x\x01\ud800<&>", findings=[Finding("x", "y\0z", "is odd")])
    root = ElementTree.fromstring(junit_text(Report(Path("run"), "files", [verdict])))
    assert root.findall(".//testcase")[1].get("name") == "x\ufffd\ufffd<&>"
    assert root.find(".//failure").text == "x, y\\x00z: is odd"


def test_words_that_mean_nothing_are_refused(cli, tmp_path):
    for words, message in (
        ((), "names no folder"),
        (("nowhere",), "is no run's folder"),
        ((".", "--against", ".", "--files-only"), "exclude each other"),
        ((".", "models.path=x"), "`models.path=` is unknown"),
        ((".", "--format", "xml"), "invalid choice"),
    ):
        code, _, err = cli("verify", *words)
        assert code == 2
        assert message in err
    assert cli("verify", "--help")[1].startswith("python -m acestep_batch verify FOLDER")


class SparseMemory(SineEngine):
    """The song of seed 2 can be decoded in overlapping windows only."""

    def decode(self, songs, sample_rate, decoding=Decoding.PLAIN):
        if decoding is not Decoding.OVERLAPPED and any(song.latents[0] == 2 for song in songs):
            raise torch.OutOfMemoryError("CUDA out of memory")
        audio = super().decode(songs, sample_rate, decoding)
        if decoding is Decoding.OVERLAPPED:
            audio = [replace(song, audio=song.audio * 0.99) for song in audio]
        return audio


def test_a_song_of_a_micro_batch_that_alone_was_decoded_in_windows_is_again(render_rows):
    rows = [{"id": f"s{number}", "seed": number} for number in (1, 2, 3)]
    result, _, _ = render_rows(rows, "hw.batch_size=3", engine=SparseMemory())
    sounds = {song["id"]: song["rungs"] for song in result.records}
    assert [name for name, rungs in sounds.items() if "overlapped decode" in rungs] == ["s2"]
    checked = check_folder(result.folder)
    report, _ = verify_again(result.folder, checked, None, 0, False, WeightsPlace(), lambda key: SparseMemory())
    assert {song.worst.found.tier for song in report.songs} == {Tier.BIT_IDENTICAL}


class Lonely(SineEngine):
    """Cannot make the song of seed 2."""

    def denoise(self, requests, on_step=None):
        if any(request.seed == 2 for request in requests):
            raise RuntimeError("no luck")
        return super().denoise(requests, on_step)


def test_a_song_that_cannot_be_made_again_is_told_and_the_others_are_compared(render_rows):
    result, _, _ = render_rows([{"id": f"s{number}", "seed": number} for number in (1, 2)])
    checked = check_folder(result.folder)
    report, _ = verify_again(result.folder, checked, None, 0, False, WeightsPlace(), lambda key: Lonely())
    assert [str(song.state) for song in report.songs] == ["ok", "cannot be checked"]
    assert [str(problem) for problem in report.obstacles()] == ["s2: could not be made again: RuntimeError: no luck"]


def test_each_finding_says_what_helps(copied, cli):
    (RUN / "summary.csv").unlink()
    assert "summary.csv: is missing -> resume the run" in cli("verify", str(RUN), "--files-only")[1]
    plan = RUN / "plan.jsonl"
    plan.write_text("{", encoding="utf-8")
    assert "-> delete that file and resume: the run is planned again" in cli("verify", str(RUN), "--files-only")[1]


def test_the_folder_stands_on_one_line_however_long_its_path_is(copied, cli):
    folder = Path("a folder with a name that is longer than the table below it") / ("x" * 80)
    folder.parent.mkdir()
    RUN.rename(folder)
    assert f"{folder}: files against records" in cli("verify", str(folder), "--files-only")[1].splitlines()
