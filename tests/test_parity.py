"""The parity command: passes on the recordings in this repository, and notices every kind of difference."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from parity.__main__ import main
from parity.pack import requests_of, seeds_of
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "v1"
WEIGHTS = "diffusion_pytorch_model.safetensors"

MakePack = Callable[..., Path]


@pytest.fixture
def make_pack(tmp_path: Path) -> MakePack:
    """Copy the checkpoint and single cases of one stage: ``stage`` is the name of its files."""

    def make(stage: str, *cases: str) -> Path:
        for folder in ("checkpoint", "inputs"):
            shutil.copytree(GOLDEN / folder, tmp_path / folder)
        source = json.loads((GOLDEN / f"{stage}.json").read_text(encoding="utf-8"))
        listed = source["cases"] if isinstance(source, dict) else source
        kept = [case for case in listed if case.get("id", case.get("case")) in cases]
        assert kept
        (tmp_path / stage).parent.mkdir(exist_ok=True)
        (tmp_path / f"{stage}.json").write_text(json.dumps(kept), encoding="utf-8")
        copied = [f"{stage}.safetensors"] if stage != "g_e2e/cases" else [f"g_e2e/{case}.safetensors" for case in cases]
        for name in ["a_lyrics_tokens.json", *copied]:
            if (GOLDEN / name).is_file():
                shutil.copy(GOLDEN / name, tmp_path / name)
        return tmp_path

    return make


def add_to_first_value(file: Path, tensor: str, amount: float) -> None:
    tensors = load_file(file)
    tensors[tensor].view(-1)[0] += amount
    save_file(tensors, file)


@pytest.mark.slow
def test_the_command_passes_on_the_recordings_here() -> None:
    command = [sys.executable, "-m", "tests.parity", str(GOLDEN)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for expected in (
        ["a", "en_basic", "ids", "-", "-", "not", "checked"],
        ["g", "oss_heun_error", "refused", "0", "0", "pass"],
    ):
        assert expected in [line.split() for line in lines]
    passed = {line.split()[1] for line in lines if line.startswith("g") and line.endswith("pass")}
    assert {"retake_v0.2", "repaint_mono"} <= passed
    own_singles = {line.split()[1] for line in lines if line.startswith("g") and "own singles" in line}
    assert own_singles == {"batch2_pingpong", "seed_str"}


def test_token_ids_are_compared_where_there_is_a_vocabulary(
    make_pack: MakePack, lyric_vocab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = make_pack("d_guidance", "d_zero")
    assert main([str(pack), "--lyric-vocab", str(lyric_vocab)]) == 0
    assert "not checked:" not in capsys.readouterr().out
    lyrics = json.loads((pack / "a_lyrics_tokens.json").read_text(encoding="utf-8"))
    lyrics["cases"][0]["ids"][-2] += 1
    (pack / "a_lyrics_tokens.json").write_text(json.dumps(lyrics), encoding="utf-8")
    assert main([str(pack), "--lyric-vocab", str(lyric_vocab)]) == 1


@pytest.mark.parametrize(
    ("stage", "case", "weights", "weight"),
    [
        ("b_text_encoder", "p3", "umt5-base/model.safetensors", "encoder.block.9.layer.0.SelfAttention.q.weight"),
        ("c_transformer", "enc.basic", f"ace_step_transformer/{WEIGHTS}", "lyric_proj.weight"),
        ("f_audio", "dec_batch", f"music_dcae_f8c8/{WEIGHTS}", "decoder.conv_in.weight"),
        ("f_audio", "dec_batch", f"music_vocoder/{WEIGHTS}", "head.conv_post.weight_g"),
        ("f_audio", "a_exact", f"music_dcae_f8c8/{WEIGHTS}", "encoder.conv_in.weight"),
        ("g_e2e/cases", "dur_short", f"ace_step_transformer/{WEIGHTS}", "final_layer.linear.bias"),
        ("g_e2e/cases", "repaint_mono", f"music_dcae_f8c8/{WEIGHTS}", "encoder.conv_in.weight"),
    ],
)
def test_one_changed_weight_is_noticed(
    make_pack: MakePack, capsys: pytest.CaptureFixture[str], stage: str, case: str, weights: str, weight: str
) -> None:
    pack = make_pack(stage, case)
    assert main([str(pack)]) == 0
    add_to_first_value(pack / "checkpoint" / weights, weight, 0.3)
    assert main([str(pack)]) == 1
    assert f"{case} " in next(line for line in capsys.readouterr().out.splitlines() if "FAIL" in line)


@pytest.mark.parametrize(
    ("stage", "case", "tensor"),
    [
        ("b_text_encoder", "p3", "p3.ids"),
        ("b_text_encoder", "p3", "p3.hidden_erg"),
        ("c_transformer", "dec.w7_erg", "dec.w7_erg.out"),
        ("d_guidance", "d0", "d0.s3.apg"),
        ("d_guidance", "d_zero", "d_zero.apg"),
        ("e_schedulers", "tab.heun.8", "tab.heun.8.sigmas"),
        ("e_schedulers", "oss.euler.1", "oss.euler.1.timesteps"),
        ("e_schedulers", "traj.pingpong.om0.b2", "traj.pingpong.om0.b2.x"),
        ("f_audio", "a_exact", "a_exact.latent"),
        ("g_e2e/cases", "dur_short", "randn_0"),
        ("g_e2e/cases", "dur_short", "cond_inputs"),
        ("g_e2e/cases", "dur_short", "final_latents"),
        ("g_e2e/cases", "repaint_mono", "randn_1"),
    ],
)
def test_one_changed_value_is_noticed(make_pack: MakePack, stage: str, case: str, tensor: str) -> None:
    pack = make_pack(stage, case)
    file = pack / f"g_e2e/{case}.safetensors" if stage == "g_e2e/cases" else pack / f"{stage}.safetensors"
    add_to_first_value(file, tensor, 1 if tensor.endswith("ids") else 1e-2)
    assert main([str(pack)]) == 1


@pytest.mark.parametrize(
    ("field", "value"), [("wav_len", 1), ("n_model_calls", 99), ("calls", []), ("actual_seeds", [1])]
)
def test_one_changed_fact_is_noticed(make_pack: MakePack, field: str, value: object) -> None:
    pack = make_pack("g_e2e/cases", "dur_short")
    (case,) = json.loads((pack / "g_e2e/cases.json").read_text(encoding="utf-8"))
    (pack / "g_e2e/cases.json").write_text(json.dumps([{**case, field: value}]), encoding="utf-8")
    assert main([str(pack)]) == 1


def test_a_changed_waveform_is_noticed(make_pack: MakePack) -> None:
    pack = make_pack("g_e2e/cases", "dur_short")
    file = pack / "g_e2e/dur_short.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "wav_mid": tensors["wav_mid"].flip(-1)}, file)
    assert main([str(pack)]) == 1


def test_settings_that_the_engine_accepts_are_no_refusal(make_pack: MakePack) -> None:
    pack = make_pack("g_e2e/cases", "oss_heun_error")
    (case,) = json.loads((pack / "g_e2e/cases.json").read_text(encoding="utf-8"))
    case["params"] |= {"scheduler_type": "euler", "audio_duration": 0.5}
    (pack / "g_e2e/cases.json").write_text(json.dumps([case]), encoding="utf-8")
    assert main([str(pack)]) == 1


def test_weights_that_do_not_load_fail_their_stage_only(
    make_pack: MakePack, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = make_pack("c_transformer", "enc.basic")
    (pack / "checkpoint" / "ace_step_transformer" / WEIGHTS).unlink()
    assert main([str(pack)]) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["c", "loading", "exception", "-", "0", "FAIL"] in lines
    assert ["a", "en_basic", "spelling", "0", "0", "pass"] in lines


def test_lyrics_without_recorded_ids_are_not_checked(make_pack: MakePack, capsys: pytest.CaptureFixture[str]) -> None:
    pack = make_pack("g_e2e/cases", "dur_short")
    (case,) = json.loads((pack / "g_e2e/cases.json").read_text(encoding="utf-8"))
    case["params"]["lyrics"] = "nobody wrote this down"
    (pack / "g_e2e/cases.json").write_text(json.dumps([case]), encoding="utf-8")
    assert main([str(pack)]) == 0
    assert "dur_short: no token ids of its lyrics" in " ".join(capsys.readouterr().out.split())


def test_a_folder_without_recordings_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "nothing to compare" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "songs", "seeds"),
    [
        (7, 1, [7]),
        (7, 2, [7, 7]),
        ([1, 2], 1, [1]),
        ([1, 2], 3, [1, 2, 2]),
        ("11, 22", 2, [11, 22]),
        ("123", 2, [123, 123]),
        ([1.5, 2], 2, None),
        ("", 1, None),
        (None, 1, None),
    ],
)
def test_seeds_are_read_as_the_reference_reads_them(given: object, songs: int, seeds: list[int] | None) -> None:
    assert seeds_of({"manual_seeds": given, "batch_size": songs}) == seeds


def test_a_call_that_names_nothing_has_the_references_defaults() -> None:
    params: dict[str, Any] = {"prompt": "jazz", "lyrics": None, "oss_steps": [1, 2]}
    (request,) = requests_of({"params": params, "actual_seeds": [5]})
    assert (request.seed, request.infer_step, request.oss_steps, request.lyrics) == (5, 60, (), "")
    assert requests_of({"params": {"oss_steps": "1, 5"}})[0].oss_steps == (1, 5)
