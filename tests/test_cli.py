"""The command line as a person meets it: scenarios with the embedded model, and every kind of refusal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import soundfile
import yaml

from acestep_batch.cli import main
from acestep_batch.engine.embedded_identity import embedded_label
from acestep_batch.outputs.tags import read_record

SHORT = ("model=embedded", "hw=cpu", "infer_step=4", "audio_duration=1", "lint=off", "report=false", "measure=false")


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs one command in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_demo_makes_four_songs_with_records_and_a_summary(cli):
    code, out, _ = cli(*SHORT, "report=true", "measure=true")
    assert code == 0
    folder = Path("outputs/demo/v0001")
    assert f"model: {embedded_label()}" in out
    assert "4 songs made, 0 failed" in out
    assert {path.name for path in folder.iterdir()} == {
        "audio", "config.yaml", "overrides.yaml", "manifest.jsonl", "environment.json", "records.jsonl", "run.log",
        "summary.csv", "summary.parquet", "run.json", "plan.jsonl", "seals.json", ".locks",
        "measurements.jsonl", "report.html", "report_files", "playlist.m3u8",
    }  # fmt: skip
    table = pd.read_parquet(folder / "summary.parquet")
    assert list(table["id"]) == ["meena", "rainy_night", "horizon", "la_noche"]
    assert set(table["model"]) == {embedded_label()}
    assert len(pd.read_csv(folder / "summary.csv")) == 4
    for name in table["files"]:
        assert soundfile.info(folder / name).samplerate == 48_000
    assert yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["generation"]["infer_step"] == 4
    assert "infer_step=4" in (folder / "overrides.yaml").read_text(encoding="utf-8")
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    assert {"torch", "numpy", "soundfile"} <= environment["packages"].keys()
    assert environment["machine"]["cpu_vector"]
    assert len((folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()) == 4


def test_a_second_run_takes_a_new_folder_and_makes_the_same_songs(cli):
    cli(*SHORT, "limit=2")
    cli(*SHORT, "limit=2")
    first, second = (records(Path(f"outputs/demo/v000{number}")) for number in (1, 2))
    assert [each["pcm_sha256"] for each in first] == [each["pcm_sha256"] for each in second]
    assert len({each["pcm_sha256"] for each in first}) == 2


def test_a_sidecar_is_a_manifest_that_renders_the_same_song(cli):
    cli(*SHORT, "limit=1", "+preset=precise")
    before = records(Path("outputs/demo/v0001"))[0]
    sidecar = Path("outputs/demo/v0001") / f"{before['files'][0]}.json"
    code, _, err = cli("model=embedded", "hw=cpu", "lint=off", f"manifest.path={sidecar}", "output.name=again")
    assert code == 0, err
    after = records(Path("outputs/again/v0001"))[0]
    assert after["pcm_sha256"] == before["pcm_sha256"]
    assert after["seed"] == before["seed"]


def test_the_sidecar_tells_requested_from_effective_and_stands_in_the_tags(cli):
    short = ("model=embedded", "hw=cpu", "infer_step=4", "lint=off", "audio_duration=-1", "hw.max_duration_s=1")
    cli(*short, "report=false", "limit=1", "output.formats=[wav,flac]")
    folder = Path("outputs/demo/v0001/audio")
    assert len(list(folder.iterdir())) == 4
    for audio in (*folder.glob("*.wav"), *folder.glob("*.flac")):
        sidecar = json.loads(audio.with_name(f"{audio.name}.json").read_text(encoding="utf-8"))
        record = sidecar["record"]
        assert record["requested"]["audio_duration"] == -1
        assert sidecar["audio_duration"] == 1.0
        assert record["stage_seconds"].keys() == {"text", "diffusion", "decode"}
        assert record["file"]["file_sha256"]
        tagged = read_record(audio)
        assert tagged["record"]["file"]["pcm_sha256"] == record["file"]["pcm_sha256"]
        assert tagged["record"]["file"].items() <= record["file"].items()
        assert {name: value for name, value in tagged.items() if name != "record"} == {
            name: value for name, value in sidecar.items() if name != "record"
        }


def test_precise_on_an_a100_composes_exactly(cli):
    code, out, _ = cli("+preset=precise", "hw=a100", "--cfg", "job", "--resolve")
    assert code == 0
    config = yaml.safe_load(out)
    expected = {
        "audio_duration": 180.0, "infer_step": 80, "guidance_scale": 18.0, "cfg_type": "cfg_star",
        "scheduler_type": "heun", "omega_scale": 10.0, "guidance_interval": 0.7, "guidance_interval_decay": 0.0,
        "min_guidance_scale": 5.0, "use_erg_tag": False, "use_erg_lyric": False, "use_erg_diffusion": False,
        "bf16": True, "torch_compile": True,
    }  # fmt: skip
    assert expected.items() <= config["generation"].items()
    assert config["model"]["name"] == "v1"
    assert config["hw"]["max_duration_s"] == 240.0


def test_a_real_run_without_checkpoint_stops_before_any_work(cli, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = cli("+preset=precise", "hw=a100", "model.path=empty")
    assert code == 2
    assert "ace_step_transformer" in err
    assert "music_vocoder" in err
    for line in err.splitlines():
        if "empty" in line and line.startswith("error:"):
            assert line.endswith("`model=embedded` works at once")
    assert not Path("outputs").exists()


def test_one_song_without_a_file(cli):
    Path("words.txt").write_text("[verse]\nOne line of words\n", encoding="utf-8")
    code, _, err = cli(*SHORT, "generation.prompt='pop, rock, upbeat'", "lyrics_file=words.txt", "seed=7")
    assert code == 0, err
    record = records(Path("outputs/song/v0001"))[0]
    assert record["prompt"] == "pop, rock, upbeat"
    assert record["lyrics"] == "[verse]\nOne line of words"
    assert record["seed"] == 7


def test_several_seeds_and_takes_make_one_file_each(cli):
    code, _, err = cli(*SHORT, "limit=1", "seed=[1,2]")
    assert code == 0, err
    assert [record["seed"] for record in records(Path("outputs/demo/v0001"))] == [1, 2]
    cli(*SHORT, "limit=1", "takes=3")
    taken = records(Path("outputs/demo/v0002"))
    assert len({record["seed"] for record in taken}) == len({record["files"][0] for record in taken}) == 3
    code, _, err = cli(*SHORT, "limit=1", "takes=3", "seed=[1,2]")
    assert code == 2
    assert "takes" in err


def test_a_sweep_is_one_folder_with_one_summary_and_loads_once(cli):
    code, out, err = cli("-m", *SHORT, "limit=1", "seed=1,2", "+preset=fast,rap")
    assert code == 0, err
    folder = Path("outputs/demo/v0001")
    assert out.count("loading embedded") == 1
    assert len(list((folder / "cells").iterdir())) == 4
    table = pd.read_csv(folder / "summary.csv")
    cells = set(zip(table["sweep.seed"], table["sweep.preset"], strict=True))
    assert cells == {(1, "fast"), (1, "rap"), (2, "fast"), (2, "rap")}
    assert all((folder / name).is_file() for name in table["files"])
    assert not list(Path().glob("multirun*"))
    ranged = main(["-m", *SHORT, "limit=1", "seed=range(1,3)", "dry_run=true"])
    assert ranged == 0


def test_sweeping_presets_over_rows_with_presets_is_refused(cli):
    code, _, err = cli("-m", *SHORT, "manifest=presets", "+preset=fast,rap")
    assert code == 2
    assert "row 1" in err
    assert "preset" in err


def test_a_request_folder_like_the_demo_of_the_authors(cli, tmp_path):
    folder = tmp_path / "requests"
    folder.mkdir()
    request = {
        "prompt": "pop, rock", "lyrics": "[inst]", "audio_duration": 1.2, "infer_step": 2, "guidance_scale": 15,
        "scheduler_type": "euler", "cfg_type": "apg", "omega_scale": 10, "oss_steps": [], "actual_seeds": [11],
        "timecosts": {"preprocess": 1.0}, "task": "text2music", "retake_seeds": [1], "retake_variance": 0.5,
        "src_audio_path": None, "audio_path": "./outputs/a.wav",
    }  # fmt: skip
    (folder / "one.json").write_text(json.dumps(request), encoding="utf-8")
    (folder / "two.json").write_text(json.dumps(request | {"lora_name_or_path": "/no/such/lora"}), encoding="utf-8")
    code, _, err = cli("model=embedded", "lint=off", f"manifest.path={folder}", "dry_run=true")
    assert code == 2
    assert "two.json" in err
    assert "/no/such/lora" in err
    assert err.count("timecosts") == 1
    assert err.count("retake_seeds") == 1
    code, out, err = cli("model=embedded", "lint=off", f"manifest.path={folder}", "on_invalid=skip")
    assert code == 1, err
    assert "1 song made, 1 failed" in out
    failed, made = sorted(records(Path("outputs/requests/v0001")), key=lambda record: record["status"])
    assert (failed["id"], made["id"], made["seed"]) == ("two", "one", 11)
    assert "lora_name_or_path" in failed["error"]


def test_a_dry_run_reports_everything_and_creates_nothing(cli):
    Path("songs.csv").write_text(
        "id,prompt,infer_step,guidance_scale,lyrics_file,audio_duration\n"
        "a,pop,0,15,,10\n"
        "b,pop,60,many,,10\n"
        "c,pop,60,15,missing.txt,10\n"
        "A,pop,60,15,,10\n"
        "e,pop,60,15,,500\n",
        encoding="utf-8",
    )
    words = ("manifest.path=songs.csv", "dry_run=true", "output.sample_rate=44100", "output.formats=[opus]")
    code, out, err = cli("model=embedded", "lint=off", *words)
    assert code == 2
    assert "5 invalid" in out
    for row, column in ((1, "infer_step"), (2, "guidance_scale"), (3, "lyrics_file"), (4, "id"), (5, "audio_duration")):
        assert any(f"songs.csv row {row}" in line and column in line for line in err.splitlines()), (row, column, err)
    assert "hw.max_duration_s=" in err
    assert "opus" in err
    assert [path.name for path in Path().iterdir()] == ["songs.csv"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("hw=nope",), "allowed: a100"),
        (("hw=4090",), "did you mean rtx4090"),
        (("model=v2",), "allowed: auto, embedded, embedded_v15, embedded_v15_base, v1, v15"),
        (("generation.stepz=3",), "generation.stepz is no parameter"),
        (("+generation.stepz=3",), "generation.stepz is no parameter"),
        (("infer_stp=3",), "did you mean infer_step"),
        (("generation.prompt=pop, rock",), "quote the text twice"),
        (("generation.prompt=it's",), "quote the text twice"),
        (("seed=1,2",), "-m seed=1,2"),
        (("infer_step=1,2",), "-m"),
        (("infer_step=0",), "1 to 1000"),
        (("guidance_scale=nan",), "0 to 100"),
        (("+preset=nope",), "allowed: balanced"),
        (("hw=[a100",), "cannot be read"),
        (("render",), "verbs: doctor"),
        (("manifest.path=nothing.csv",), "no such file"),
        (("--config-dir", "nowhere"), "no such folder"),
        (("preset_file=none.json",), "cannot be read"),
        (("output.template='{nope}'",), "{index}"),
        (("output.formats=[flac,xyz]",), "wav, flac"),
        (("output.wav_subtype=pcm12",), "pcm16, pcm24"),
        (("-m", "output.name=a,b"), "cannot be swept"),
        (("~hw",), "nothing can be deleted"),
        (("-m", "seed=interval(1,2)"), "never ends"),
        (("on_invalid=maybe",), "stop, skip"),
    ],
)
def test_every_mistake_is_one_line_with_a_remedy_and_exit_code_2(cli, words, said):
    code, _, err = cli(*words, *(() if any("model" in word for word in words) else ("model=embedded",)))
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert not Path("outputs").exists()


def test_a_preset_file_in_the_guides_format_loads(cli):
    preset = '{"name": "Mine", "description": "x", "parameters": {"infer_step": 3, // few\n "omega_scale": 11.0}}'
    Path("my.json").write_text(preset, encoding="utf-8")
    code, _, err = cli("model=embedded", "hw=cpu", "lint=off", "audio_duration=1", "limit=1", "+preset_file=my.json")
    assert code == 0, err
    made = records(Path("outputs/demo/v0001"))[0]
    assert (made["infer_step"], made["omega_scale"]) == (3, 11.0)


def test_help_presets_and_version(cli):
    code, out, _ = cli("--help")
    assert code == 0
    assert "infer_step | inference_steps = 60" in out
    code, out, _ = cli("presets")
    assert code == 0
    assert "precise: High Fidelity Precise" in out
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0


@pytest.mark.slow
def test_a_title_that_the_console_cannot_say_does_not_end_the_run(tmp_path):
    (tmp_path / "songs.json").write_text(json.dumps([{"id": "歌", "seed": 1}]), encoding="utf-8")
    command = [sys.executable, "-m", "acestep_batch", *SHORT, "manifest.path=songs.json"]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert records(tmp_path / "outputs/songs/v0001")[0]["id"] == "歌"


@pytest.mark.slow
def test_a_run_outlives_the_reader_of_its_output(tmp_path):
    command = [sys.executable, "-m", "acestep_batch", *SHORT, "limit=2"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    assert len(records(tmp_path / "outputs/demo/v0001")) == 2


def test_own_presets_and_profiles_are_held_against_the_guide_and_decide_the_model(cli):
    for group, text in (
        ("preset", "# @package generation\n# Too rigid.\nguidance_scale: 24.5\n"),
        ("hw", "# @package _global_\nhw: {name: mybox, device: cpu}\ngeneration: {infer_step: 5}\n"),
    ):
        Path("mine", group).mkdir(parents=True)
        Path("mine", group, "mine.yaml").write_text(text, encoding="utf-8")
    code, out, err = cli("--config-dir", "mine", "+preset=mine", "hw=mine", "dry_run=true")
    assert code == 0, err
    assert "model embedded" in out
    assert "guidance_scale: the guide calls 24.5" in err
    assert "infer_step: 5 steps are few" in err
    Path("mine/preset/fast.yaml").write_text("# @package generation\ninfer_step: 3\n", encoding="utf-8")
    code, _, err = cli("--config-dir", "mine", "+preset=fast", "dry_run=true")
    assert code == 2
    assert "hidden by the shipped preset/fast.yaml" in err
    Path("mine/preset/fast.yaml").unlink()
    code, out, _ = cli("presets", "--config-dir", "mine")
    assert code == 0
    assert "mine: Too rigid." in out


def test_the_sidecar_of_a_file_outside_renders_the_song_inside(cli, tmp_path):
    outside = tmp_path / "mine.wav"
    cli(*SHORT, "limit=1", f"output_path={outside}", "output.allow_outside=true")
    code, _, err = cli("model=embedded", "hw=cpu", "lint=off", f"manifest.path={outside}.json", "output.name=again")
    assert code == 0, err
    assert Path("outputs/again/v0001/audio/mine.wav").is_file()


def test_config_yaml_holds_what_files_and_auto_came_to(cli):
    Path("p.txt").write_text("pop, rock\n", encoding="utf-8")
    Path("my.json").write_text('{"name": "x", "description": "", "parameters": {"omega_scale": 11}}', encoding="utf-8")
    words = ("model=embedded", "hw=a100", "lint=off", "infer_step=4", "audio_duration=1", "torch_compile=false")
    code, _, err = cli(*words, "bf16=false", "prompt_file=p.txt", "+preset_file=my.json")
    assert code == 0, err
    config = yaml.safe_load(Path("outputs/song/v0001/config.yaml").read_text(encoding="utf-8"))
    assert (config["generation"]["prompt"], config["generation"]["omega_scale"]) == ("pop, rock", 11.0)
    assert isinstance(config["hw"]["batch_size"], int)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-m", "infer_step=glob(*)"), "cannot be listed"),
        (("-m", "seed=range(1,10,0)"), "cannot be listed"),
        (("--cfg", "job", "--resolve", "prompt=${foo}"), "foo"),
        (("-m", "--cfg", "job", "seed=1"), "cannot stand beside"),
        (("--foo",), "unrecognized arguments"),
        (("hydra.run.dir=x",), "no effect"),
        (("model.name=v1",), "choose with model="),
        (("songs.csv",), "manifest.path=songs.csv"),
        (("manifest=songs.csv",), "manifest.path=songs.csv"),
        (("+preset=fast", "+preset=rap"), "+preset=[fast,rap]"),
        (("model=embedded", "model.path=x"), "belongs to v1"),
        (("model=embedded", "output.sample_rate=44100", "output_path=x.opus"), "opus"),
        (("model=embedded", f"output_path='{sys.executable}/x.wav'", "output.allow_outside=true"), "writable"),
    ],
)
def test_what_once_slipped_through_is_refused_in_one_line(cli, words, said):
    code, _, err = cli(*words, "limit=1", "lint=off")
    assert code == 2
    assert said in err
    assert not Path("outputs").exists()
