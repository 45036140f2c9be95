"""Machines made by hand: which profile they get and what each is told to do."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from acestep_batch.hardware import (
    WORKS_AT_ONCE,
    CpuVector,
    Machine,
    TorchBuild,
    card_warning,
    cpu_vector,
    detect,
    device_problem,
    gpu_problem,
    parse_torch_version,
    profile_for,
    torch_build,
)
from acestep_batch.nvml import Driver, DriverState, Gpu

GIB = 2**30
CUDA_BUILD = TorchBuild("2.13.0+cu128", "12.8")
CPU_BUILD = TorchBuild("2.13.0+cpu", None)
BARE = Machine("Linux", "x86_64", "3.11.9", 8, 32 * GIB, CpuVector.AVX2, Driver(DriverState.NO_GPU))
MAC = replace(BARE, os="Darwin", arch="arm64", vector=CpuVector.NEON)


def with_card(name: str, gib: float) -> Machine:
    return replace(BARE, driver=Driver(DriverState.OK, (Gpu(name, int(gib * GIB)),), "570.86.15", "12.8"))


A100 = with_card("NVIDIA A100-SXM4-40GB", 39.6)


@pytest.mark.parametrize(
    ("name", "gib", "profile"),
    [
        ("NVIDIA RTX A5000", 22.5, "a5000"),
        ("NVIDIA GeForce RTX 4090", 24.0, "rtx4090"),
        ("NVIDIA A100-SXM4-40GB", 39.6, "a100"),
        ("NVIDIA A100 80GB PCIe", 80.0, "a100"),
        ("NVIDIA H100 80GB HBM3", 79.6, "h100"),
        ("NVIDIA H200", 140.4, "h100"),
        ("NVIDIA H800", 79.6, "h100"),
        ("NVIDIA GH200 480GB", 95.6, "h100"),
    ],
)
def test_a_named_card_has_its_profile_and_nothing_to_say(name: str, gib: float, profile: str) -> None:
    machine = with_card(name, gib)
    assert profile_for(machine) == (profile, "")
    assert card_warning(profile, machine) is None


@pytest.mark.parametrize(
    ("name", "gib", "profile"),
    [
        ("NVIDIA B200", 180.0, "h100"),
        ("NVIDIA L40S", 45.0, "a100"),
        ("NVIDIA GeForce RTX 5090", 31.8, "a5000"),
        ("NVIDIA GeForce RTX 3090", 24.0, "a5000"),
        ("NVIDIA A100-SXM4-40GB MIG 3g.20gb", 19.6, "a5000"),
        ("NVIDIA RTX A1000", 8.0, "a5000"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 16.0, "a5000"),
        ("a card that tells no memory", 0.0, "a5000"),
    ],
)
def test_another_card_is_judged_by_its_memory_and_told_so(name: str, gib: float, profile: str) -> None:
    machine = with_card(name, gib)
    chosen, note = profile_for(machine)
    assert chosen == profile
    assert name in note
    assert "treated as" in note
    assert name in (card_warning(profile, machine) or "")
    assert ("smaller" in note) == (gib < 22)


def test_a_gpu_profile_on_a_smaller_or_another_card_is_a_warning() -> None:
    small = with_card("NVIDIA GeForce RTX 3060", 12.0)
    assert "smaller" in (card_warning("a100", small) or "")
    assert "not the profile's" in (card_warning("a5000", A100) or "")
    assert card_warning("cpu", small) is None
    assert card_warning("mac", MAC) is None
    assert card_warning("a100", BARE) is None, "no card at all is a problem, not a warning"


def test_device_id_chooses_the_card_that_is_judged() -> None:
    gpus = (Gpu("NVIDIA A100-SXM4-40GB", 40 * GIB), Gpu("NVIDIA GeForce RTX 4090", 24 * GIB))
    machine = replace(BARE, driver=Driver(DriverState.OK, gpus, "570", "12.8"))
    assert [profile_for(machine, i)[0] for i in (0, 1, 2)] == ["a100", "rtx4090", "a100"]
    assert card_warning("rtx4090", machine, 1) is None
    assert card_warning("rtx4090", machine, 0) is not None
    assert "device_id=2" in str(gpu_problem(machine, CUDA_BUILD, 2))


def test_machines_without_cuda() -> None:
    assert profile_for(BARE) == ("cpu", "")
    assert profile_for(MAC) == ("mac", "")
    assert profile_for(replace(MAC, arch="x86_64")) == ("cpu", "")
    profile, note = profile_for(replace(BARE, driver=Driver(DriverState.MISSING)))
    assert profile == "cpu"
    assert "driver" in note


def test_every_obstacle_to_cuda_has_its_own_words_and_ends_with_what_works() -> None:
    windows = replace(A100, os="Windows", arch="AMD64")
    old_driver = replace(A100, driver=replace(A100.driver, version="470.1", cuda="11.4"))
    cases = {
        "no NVIDIA GPU": (BARE, CUDA_BUILD),
        "driver does not answer": (replace(BARE, driver=Driver(DriverState.MISSING)), CUDA_BUILD),
        "hides every": (replace(BARE, driver=Driver(DriverState.HIDDEN)), CUDA_BUILD),
        "plain PyPI gives on Windows": (windows, CPU_BUILD),
        "is a build without CUDA": (A100, CPU_BUILD),
        "supports CUDA 11.4": (old_driver, CUDA_BUILD),
        "torch is not installed": (A100, None),
    }
    problems = {words: gpu_problem(*case) for words, case in cases.items()}
    for words, problem in problems.items():
        assert problem is not None
        assert words in problem.message
        assert problem.remedy.endswith(WORKS_AT_ONCE)
        assert str(problem).isascii()
    assert len({problem.message for problem in problems.values() if problem}) == len(cases)
    assert gpu_problem(A100, CUDA_BUILD) is None


def test_a_newer_minor_cuda_version_than_the_driver_s_is_no_obstacle() -> None:
    assert gpu_problem(A100, TorchBuild("2.13.0+cu129", "12.9")) is None


def test_the_driver_s_own_words_are_passed_on() -> None:
    broken = Driver(DriverState.MISSING, fault="nvmlInit_v2: Driver/library version mismatch")
    assert "version mismatch" in str(gpu_problem(replace(BARE, driver=broken), CUDA_BUILD))


def test_cuda_needs_a_gpu() -> None:
    assert device_problem("cuda", BARE, CUDA_BUILD) == gpu_problem(BARE, CUDA_BUILD)
    assert device_problem("cuda", A100, CUDA_BUILD) is None


def test_mps_needs_apple_silicon_and_every_device_needs_torch() -> None:
    assert "Apple silicon" in str(device_problem("mps", BARE, CPU_BUILD))
    assert device_problem("mps", MAC, CPU_BUILD) is None
    assert device_problem("cpu", BARE, CPU_BUILD) is None
    assert "not installed" in str(device_problem("mps", MAC, None))
    assert "not installed" in str(device_problem("cpu", BARE, None))


def test_the_torch_build_is_read_from_its_source() -> None:
    cpu = "__version__ = '2.13.0+cpu'\ndebug = False\ncuda: Optional[str] = None\nhip: Optional[str] = None\n"
    assert parse_torch_version(cpu) == CPU_BUILD
    assert parse_torch_version(cpu.replace("+cpu", "+cu128").replace("None", "'12.8'", 1)) == CUDA_BUILD
    assert parse_torch_version('__version__ = "2.0.1"\ncuda = "11.7"\n') == TorchBuild("2.0.1", "11.7")


def test_the_installed_torch_is_found_without_importing_it() -> None:
    build = torch_build()
    assert build is not None
    assert build.version.partition("+")[0] == importlib.metadata.version("torch").partition("+")[0]


def test_cpu_vector_classes(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    classes = {"fpu sse2": CpuVector.NONE, "sse2 avx2": CpuVector.AVX2, "avx2 avx512f": CpuVector.AVX512}
    for flags, vector in classes.items():
        cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
        assert cpu_vector("arm64", cpuinfo) is CpuVector.NEON
        if sys.platform != "win32":
            assert cpu_vector("x86_64", cpuinfo) is vector


def test_detection_tells_this_machine_in_one_line_without_torch() -> None:
    machine = detect()
    assert machine.cpu_count >= 1
    assert machine.memory_bytes > GIB // 2
    assert "\n" not in str(machine)
    code = (
        "import sys; from acestep_batch import hardware as h; machine = h.detect(); h.torch_build();"
        "h.profile_for(machine); assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
