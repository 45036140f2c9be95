"""Reports about machines made by hand, and one about this machine."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from acestep_batch.doctor import WIDTH, Check, Mark, checks, render, run
from acestep_batch.doctor_facts import Facts, torch_faults
from acestep_batch.hardware import WORKS_AT_ONCE, CpuVector, Machine, TorchBuild
from acestep_batch.nvml import Driver, DriverState, Gpu
from acestep_batch.problems import Problem, Refused
from acestep_batch.scores.known import Found

GIB = 2**30
CARD = Driver(DriverState.OK, (Gpu("NVIDIA A100-SXM4-40GB", 40 * GIB),), "570.86.15", "12.8")
MACHINE = Machine("Linux", "x86_64", "3.11.9", 8, 64 * GIB, CpuVector.AVX2, CARD)
ALL_WELL = Facts(
    machine=MACHINE,
    build=TorchBuild("2.13.0+cu128", "12.8"),
    torch_faults={"cpu": "", "cuda:0": ""},
    formats={"wav pcm_16": None, "flac pcm_24": None},
    output_root=Path("outputs"),
    output_fault="",
    free_bytes=10**12,
    checkpoint=Path("weights"),
    checkpoint_problems=(),
    compile_obstacle=None,
)
WITHOUT_GPU = replace(
    ALL_WELL,
    machine=replace(MACHINE, driver=Driver(DriverState.NO_GPU)),
    build=TorchBuild("2.13.0+cpu", None),
    torch_faults={"cpu": ""},
    checkpoint=None,
)


def marks(facts: Facts) -> set[Mark]:
    return {check.mark for check in checks(facts)}


def found(facts: Facts, words: str) -> Check:
    (check,) = [check for check in checks(facts) if words in check.what]
    return check


def test_a_machine_with_everything_has_nothing_to_remedy() -> None:
    assert marks(ALL_WELL) == {Mark.OK}
    assert not any(check.remedy for check in checks(ALL_WELL))
    assert "hw=a100" in found(ALL_WELL, "profile").what


def test_no_gpu_and_no_checkpoint_are_warnings_that_name_what_works() -> None:
    assert marks(WITHOUT_GPU) == {Mark.OK, Mark.WARN}
    assert found(WITHOUT_GPU, "no NVIDIA GPU").remedy.endswith(WORKS_AT_ONCE)
    assert "download model=v1" in found(WITHOUT_GPU, "checkpoint").remedy
    assert "hw=cpu" in found(WITHOUT_GPU, "profile").what


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (replace(ALL_WELL, build=None, torch_faults={}), "torch: not installed"),
        (replace(ALL_WELL, torch_faults={"cpu": "OSError: DLL load failed"}), "DLL load failed"),
        (replace(ALL_WELL, output_fault="/x is a file, not a folder"), "/x is a file"),
        (replace(ALL_WELL, formats={"wav pcm_16": "no libsndfile"}), "no format can be written"),
    ],
)
def test_what_stops_even_the_embedded_model_fails(broken: Facts, words: str) -> None:
    check = found(broken, words)
    assert check.mark is Mark.FAIL
    assert check.remedy


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        (replace(ALL_WELL, torch_faults={"cpu": "", "cuda:0": "CUDA error: out of memory"}), "out of memory"),
        (replace(ALL_WELL, formats={"wav pcm_16": None, "opus opus": "no opus"}), "no opus opus (no opus)"),
        (replace(ALL_WELL, compile_obstacle="Triton is missing: pip install triton"), "falls back to eager"),
        (replace(ALL_WELL, free_bytes=10**8), "0.10 GB free"),
        (replace(ALL_WELL, machine=replace(MACHINE, memory_bytes=4 * GIB)), "4.0 GiB memory"),
    ],
)
def test_what_stops_only_some_runs_is_a_warning_with_a_remedy(lacking: Facts, words: str) -> None:
    check = found(lacking, words)
    assert check.mark is Mark.WARN
    assert check.remedy
    assert Mark.FAIL not in marks(lacking)


def test_files_of_the_checkpoint_share_a_line_where_they_lack_the_same() -> None:
    folder = ALL_WELL.checkpoint or Path()
    problems = (
        Problem(str(folder / "music_vocoder" / "config.json"), "is missing", "fetch it"),
        Problem(str(folder / "lyric_vocab.json"), "is missing", "fetch it"),
        Problem(str(folder / "umt5-base" / "model.safetensors"), "is empty", "delete it"),
    )
    facts = replace(ALL_WELL, checkpoint_problems=problems)
    missing = found(facts, "is missing")
    assert missing.what.endswith(f"{Path('music_vocoder') / 'config.json'}, lyric_vocab.json")
    assert missing == replace(missing, mark=Mark.WARN, remedy="fetch it")
    assert found(facts, "is empty").remedy == "delete it"


def test_apple_silicon_is_asked_for_mps_and_not_for_cuda() -> None:
    mac = replace(MACHINE, os="Darwin", arch="arm64", driver=Driver(DriverState.NO_GPU))
    facts = replace(ALL_WELL, machine=mac, build=TorchBuild("2.13.0", None), torch_faults={"cpu": "", "mps": ""})
    assert marks(facts) == {Mark.OK}
    assert found(facts, "mps").what == "device: mps, Apple silicon"
    assert "hw=mac" in found(facts, "profile").what


def test_each_score_has_a_line_with_its_weights_or_the_way_to_them() -> None:
    missing = Found(problem="x/y is not in the Hugging Face cache", remedy="`hf download x/y` (0.8 GB) fetches it")
    facts = replace(ALL_WELL, scores={"clap": missing, "lyrics": Found(Path("w"), "openai/whisper-small@0123")})
    assert marks(facts) == {Mark.OK}
    assert "hf download x/y" in found(facts, "scores=clap").what
    assert found(facts, "scores=lyrics").what == "scores=lyrics: openai/whisper-small@0123"


def test_the_report_is_narrow_plain_text_with_a_remedy_on_its_own_line() -> None:
    report = checks(replace(WITHOUT_GPU, build=None, formats={"wav": None, "mp3": "kein Encoder für mp3"}))
    lines = render(report).splitlines()
    assert all(line.isascii() and len(line) <= WIDTH for line in lines)
    assert sum(line.startswith("      -> ") for line in lines) == sum(bool(check.remedy) for check in report)
    assert {line[:6].strip() for line in lines} <= {"ok", "warn", "FAIL", ""}


def test_a_device_that_torch_does_not_have_is_reported_and_the_others_work() -> None:
    faults = torch_faults(["cpu", "nonsense"])
    assert faults["cpu"] == ""
    assert "nonsense" in faults["nonsense"]


def test_the_report_on_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([f"output.root={tmp_path / 'runs'}"]) == 0
    assert not (tmp_path / "runs").exists()
    assert "torch: " in capsys.readouterr().out


def test_unknown_words_and_folders_that_cannot_be_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refused, match=r"did you mean output\.root\?"):
        run(["output.rot=x"])
    (tmp_path / "file").touch()
    assert run([f"output.root={tmp_path / 'file' / 'runs'}"]) == 2
    assert "FAIL" in capsys.readouterr().out


def test_reading_the_module_imports_no_torch() -> None:
    code = "import sys, acestep_batch.doctor; assert not {'torch', 'transformers', 'pandas'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
