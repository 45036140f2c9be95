"""1.5 on devices of every size: what is the default there, told or refused, and that a user may differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support import BARE, CONF

from acestep_batch.cells import typed_run
from acestep_batch.cli import data_folder
from acestep_batch.compose import Run
from acestep_batch.doctor import Mark, checks
from acestep_batch.doctor_facts import Facts
from acestep_batch.hardware import GIB, Machine, TorchBuild
from acestep_batch.hydra_config import Composer, composer
from acestep_batch.nvml import Driver, DriverState, Gpu
from acestep_batch.preflight import Preflight, preflight
from acestep_batch.run_work import resolved_config
from acestep_batch.target import target_of

CUDA_BUILD = TorchBuild("2.13.0+cu128", "12.8")


def with_gpu(gib: float) -> Machine:
    return replace(BARE, driver=Driver(DriverState.OK, (Gpu("A card", int(gib * GIB)),), "570.86.15", "12.8"))


def mac(gib: int) -> Machine:
    return replace(BARE, os="Darwin", arch="arm64", memory_bytes=gib * GIB)


@pytest.fixture(autouse=True)
def no_weights(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture(scope="module")
def opened() -> Iterator[Composer]:
    with composer(CONF, None, "config") as composing:
        yield composing


def run_of(opened: Composer, *words: str) -> Run:
    return typed_run(opened.cells(("prompt=x", "model=v15", *words), False, "cpu")[0])


def check(opened: Composer, machine: Machine, *words: str) -> Preflight:
    run = run_of(opened, *words)
    return preflight(run, machine, CUDA_BUILD, data_folder("manifests"), lambda rows, _: rows, True)


@pytest.mark.parametrize(
    ("hw", "machine", "plain", "planned"),
    [
        ("cpu", BARE, (180, 1), (180, 1)),
        ("rtx4090", with_gpu(5.8), (360, 1), (360, 1)),
        ("rtx4090", with_gpu(7.8), (360, 2), (240, 1)),
        ("rtx4090", with_gpu(11.7), (360, 4), (240, 2)),
        ("rtx4090", with_gpu(15.7), (480, 8), (480, 4)),
        ("rtx4090", with_gpu(23.5), (480, 8), (480, 4)),
        ("a5000", with_gpu(23.5), (480, 8), (480, 4)),
        ("a100", with_gpu(39.4), (600, 8), (600, 8)),
        ("h100", with_gpu(79.2), (600, 8), (600, 8)),
        ("mac", mac(16), (360, 1), (240, 1)),
        ("mac", mac(24), (480, 1), (480, 1)),
        ("mac", mac(64), (600, 1), (600, 1)),
    ],
)
def test_every_device_has_its_longest_song_and_its_number_at_once(
    opened: Composer, hw: str, machine: Machine, plain: tuple[int, int], planned: tuple[int, int], tmp_path
) -> None:  # type: ignore[no-untyped-def]
    for words, expected in ((("lm=none",), plain), ((f"lm.path={tmp_path}", "lm=0.6b"), planned)):
        state = check(opened, machine, f"hw={hw}", *words)
        assert (state.target.longest_s, state.target.batch_size) == expected
        assert (state.run.hw.max_duration_s, resolved_config(state)["hw"]["max_duration_s"]) == (expected[0],) * 2
        values, _ = state.target.effective(state.rows[0].settings)
        assert values["lm_max_duration"] == expected[0]  # the planner does not choose a longer one


def test_a_song_that_is_too_long_is_refused_and_what_the_user_sets_wins(opened: Composer) -> None:
    words = ("hw=rtx4090", "lm=none", "audio_duration=500")
    (problem,) = check(opened, with_gpu(23.5), *words).row_problems
    assert "500 s is longer than hw=rtx4090 allows (480 s)" in str(problem)
    assert "raise the limit with hw.max_duration_s=500" in str(problem)
    assert not check(opened, with_gpu(23.5), *words, "hw.max_duration_s=500").row_problems
    assert not check(opened, with_gpu(39.4), *words).row_problems
    assert check(opened, with_gpu(7.8), "hw=rtx4090", "hw.batch_size=6").target.batch_size == 6
    v1 = typed_run(opened.cells(("model=v1", "hw=rtx4090", "prompt=x"), False, "cpu")[0])
    assert (target_of(v1, with_gpu(5.8), CUDA_BUILD).longest_s, v1.hw.max_duration_s) == (120, 120)


def test_the_embedded_model_is_too_small_to_ask(opened: Composer) -> None:
    state = check(opened, replace(BARE, memory_bytes=4 * GIB), "model=embedded_v15", "audio_duration=600")
    assert not [*state.problems, *state.row_problems, *state.target.warnings]


@pytest.mark.parametrize(
    ("machine", "offloads", "planner"),
    [
        (with_gpu(11.7), True, "0.6b"),
        (with_gpu(15.7), False, "1.7b"),
        (mac(8), True, "0.6b"),
        (mac(16), True, "1.7b"),
        (mac(32), False, "1.7b"),
    ],
)
def test_small_devices_take_turns_and_a_small_planner(
    opened: Composer, machine: Machine, offloads: bool, planner: str
) -> None:
    hw = "mac" if machine.is_apple_silicon else "rtx4090"
    state = check(opened, machine, f"hw={hw}")
    assert state.target.v15 is not None
    assert state.target.v15.offload_to_cpu is offloads
    assert any(f"there is no planner {planner} " in str(problem) for problem in state.problems)
    other = check(opened, machine, f"hw={hw}", f"hw.offload_to_cpu={str(not offloads).lower()}").target.v15
    assert other is not None
    assert other.offload_to_cpu is not offloads


def test_little_memory_is_told_before_a_run_and_by_the_doctor(opened: Composer) -> None:
    small, large = replace(BARE, memory_bytes=12 * GIB), BARE
    (warning,) = check(opened, small, "hw=cpu").target.warnings
    assert "12.0 GiB of memory are little for ACE-Step 1.5, which wants 16" in warning
    assert not check(opened, large, "hw=cpu").target.warnings
    for machine, is_told in ((small, True), (large, False)):
        facts = Facts(machine, None, {}, {}, data_folder("manifests"), "", 10**12, None, (), None)
        said = [each for each in checks(facts) if each.what.startswith("1.5: ") and each.mark is Mark.WARN]
        assert [each.what for each in said] == ["1.5: 12.0 GiB of memory are little for it"] * is_told


@pytest.mark.parametrize(
    ("gib", "words", "said"),
    [
        (11.7, ("lm=4b",), "lm=4b takes about 12 GiB, the device has 11.7 GiB; a smaller one fits"),
        (
            11.7,
            ("lm=1.7b", "hw.offload_to_cpu=false"),
            "lm=1.7b takes about 8 GiB beside the model, the device has 11.7",
        ),
        (11.7, ("lm=1.7b",), ""),
        (23.5, ("lm=4b",), ""),
    ],
)
def test_a_planner_that_hardly_fits_is_told(opened: Composer, gib: float, words: tuple[str, ...], said: str) -> None:
    told = [each for each in check(opened, with_gpu(gib), "hw=rtx4090", *words).target.warnings if "lm=" in each]
    assert len(told) == bool(said)
    assert not told or said in told[0]
    assert not check(opened, BARE, "hw=cpu", *words).target.warnings
