"""The shipped configuration: every file composes, and presets and profiles hold exactly what the control guide says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from acestep_batch.cells import typed_run
from acestep_batch.cli import data_folder
from acestep_batch.compose import Run
from acestep_batch.hardware import CpuVector, Machine, TorchBuild, profile_for
from acestep_batch.hydra_config import Composer, composer
from acestep_batch.models import MODELS
from acestep_batch.nvml import Driver, DriverState
from acestep_batch.preflight import Preflight, preflight
from acestep_batch.schema import GROUPS, PARAMETERS, SONG
from acestep_batch.schema_run import Hardware

CONF = data_folder("conf")
MANIFESTS = data_folder("manifests")
TASKS = MANIFESTS / "tasks"
BARE = Machine("Linux", "x86_64", "3.11.9", 8, 32 * 2**30, CpuVector.AVX2, Driver(DriverState.NO_GPU))

COMMON = {"use_erg_tag": True, "use_erg_lyric": True, "use_erg_diffusion": True, "cfg_type": "apg"}
PRESETS: dict[str, dict[str, Any]] = {
    # The control guide, Recommended Parameter Recipes and Parameter Preset Library.
    "balanced": COMMON
    | {"infer_step": 60, "guidance_scale": 15.0, "scheduler_type": "euler", "omega_scale": 10.0}
    | {"guidance_interval": 0.5, "guidance_interval_decay": 0.0, "min_guidance_scale": 3.0},
    "freestyle": COMMON
    | {"infer_step": 50, "guidance_scale": 9.0, "scheduler_type": "pingpong", "omega_scale": 11.0}
    | {"guidance_interval": 0.3, "guidance_interval_decay": 0.5, "min_guidance_scale": 2.0},
    "precise": {"use_erg_tag": False, "use_erg_lyric": False, "use_erg_diffusion": False, "cfg_type": "cfg_star"}
    | {"infer_step": 80, "guidance_scale": 18.0, "scheduler_type": "heun", "omega_scale": 10.0}
    | {"guidance_interval": 0.7, "guidance_interval_decay": 0.0, "min_guidance_scale": 5.0},
    "fast": COMMON
    | {"infer_step": 27, "guidance_scale": 15.0, "scheduler_type": "euler", "omega_scale": 10.0}
    | {"guidance_interval": 0.5, "guidance_interval_decay": 0.0, "min_guidance_scale": 3.0},
    "rap": COMMON
    | {"use_erg_lyric": False}
    | {"infer_step": 60, "guidance_scale": 15.0, "scheduler_type": "pingpong", "omega_scale": 11.0}
    | {"guidance_interval": 0.5, "guidance_interval_decay": 0.0, "min_guidance_scale": 3.0},
    "instrumental": COMMON
    | {"infer_step": 60, "guidance_scale": 12.0, "scheduler_type": "euler", "omega_scale": 9.0}
    | {"guidance_interval": 0.5, "guidance_interval_decay": 0.2, "min_guidance_scale": 2.0},
    # The same guide, Quality vs Speed Trade-offs.
    "max_quality": {"infer_step": 100, "scheduler_type": "heun", "guidance_scale": 18.0},
    "max_speed": {"infer_step": 27, "scheduler_type": "euler", "guidance_scale": 15.0},
}

# The control guide, Hardware-Specific Optimization: the Optimal Recipe as song parameters, the table as limits.
A100_RECIPE = {"audio_duration": 180.0, "infer_step": 100, "guidance_scale": 15.0, "bf16": True, "torch_compile": True}
PROFILES: dict[str, tuple[dict[str, Any], Hardware]] = {
    "cpu": ({"bf16": False}, Hardware("cpu", "cpu", 1, 240.0)),
    "mac": ({"bf16": False}, Hardware("mac", "mps", 1, 240.0)),
    "a5000": (
        {"audio_duration": 70.0, "infer_step": 60, "guidance_scale": 15.0, "bf16": True, "torch_compile": False},
        Hardware("a5000", "cuda", 1, 90.0, recommended_steps=(50, 60), recommended_guidance=(12, 16)),
    ),
    "rtx4090": (
        {"audio_duration": 90.0, "infer_step": 70, "guidance_scale": 15.0, "bf16": True, "torch_compile": True},
        Hardware("rtx4090", "cuda", 1, 120.0, recommended_steps=(60, 80)),
    ),
    "a100": (A100_RECIPE, Hardware("a100", "cuda", "auto", 240.0, recommended_steps=(80, 100))),
    "h100": (A100_RECIPE, Hardware("h100", "cuda", "auto", 240.0, recommended_steps=(80, 100))),
}


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.fixture(scope="module")
def opened() -> Iterator[Composer]:
    with composer(CONF, None, "config") as composing:
        yield composing


@pytest.fixture(scope="module")
def run_of(opened: Composer) -> Callable[..., Run]:
    """Composes overrides on a bare machine into a typed run."""

    def compose(*overrides: str) -> Run:
        (cell,) = opened.cells(overrides, False, profile_for(BARE)[0])
        return typed_run(cell)

    return compose


@pytest.fixture(scope="module")
def checked(run_of: Callable[..., Run]) -> Callable[..., Preflight]:
    """Composes overrides and checks the run's rows, as a dry run does."""

    def check(*overrides: str) -> Preflight:
        build = TorchBuild("2.13.0", None)
        return preflight(run_of(*overrides), BARE, build, MANIFESTS, lambda rows, _: rows, keep_rows=True)

    return check


def test_the_groups_are_those_that_the_command_line_knows() -> None:
    folders = {folder.name for folder in CONF.iterdir() if folder.is_dir()}
    assert folders == {*GROUPS, "song"}  # song follows from the model and is no choice
    assert [path.name for path in CONF.glob("*.yaml")] == ["config.yaml"]
    assert {name for name in options("preset") if not name.startswith("v15_")} == PRESETS.keys()
    assert set(options("hw")) == {"auto", *PROFILES}
    assert set(options("model")) == {"auto", "v15", *MODELS}
    assert set(options("lm")) == set(PARAMETERS["lm"]["name"].choices)


@pytest.mark.parametrize("hw", PROFILES)
def test_every_profile_composes_with_every_model_and_preset(hw: str, run_of: Callable[..., Run]) -> None:
    pairs = [("v1", preset) for preset in PRESETS] + [("embedded", None)]
    for model, preset in pairs:
        run = run_of(f"hw={hw}", f"model={model}", *([f"+preset={preset}"] if preset else []))
        assert (run.hw.name, run.model.name) == (hw, model)
        assert dict(run.layers.preset) == PRESETS.get(preset or "", {})
        assert run.layers.base.keys() == SONG.keys()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_composes_with_the_embedded_model(preset: str, run_of: Callable[..., Run]) -> None:
    assert dict(run_of("hw=cpu", "model=embedded", f"+preset={preset}").layers.preset) == PRESETS[preset]


@pytest.mark.parametrize("hw", options("hw"))
@pytest.mark.parametrize("model", options("model"))
def test_auto_is_decided_before_composition_and_explicit_wins(hw: str, model: str, run_of: Callable[..., Run]) -> None:
    run = run_of(f"hw={hw}", f"model={model}")
    assert run.hw.name == ("cpu" if hw == "auto" else hw)
    decided = {"auto": "embedded" if run.hw.name == "cpu" else "v1", "v15": "v15_turbo"}
    assert run.model.name == decided.get(model, model)


@pytest.mark.parametrize("key", ["lyrics", "generation.lyrics"])
@pytest.mark.parametrize("tag", ["[inst]", "[solo piano]"])
def test_a_tag_alone_is_a_text_and_no_list(key: str, tag: str, run_of: Callable[..., Run]) -> None:
    assert run_of(f"{key}={tag}").layers.command_line == {"lyrics": tag}


@pytest.mark.parametrize(
    ("group", "option"), [(group, each) for group in ("manifest", "output") for each in options(group)]
)
def test_every_manifest_and_output_option_composes(group: str, option: str, run_of: Callable[..., Run]) -> None:
    run = run_of(f"{group}={option}")
    chosen = asdict(run.manifest if group == "manifest" else run.output)
    written = yaml.safe_load((CONF / group / f"{option}.yaml").read_text(encoding="utf-8"))
    defaults = {name: parameter.default for name, parameter in PARAMETERS[group].items()}
    typed = {name: tuple(value) if isinstance(value, list) else value for name, value in written.items()}
    assert chosen == defaults | typed


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_exactly_what_the_guide_says(name: str, opened: Composer, run_of: Callable[..., Run]) -> None:
    assert dict(opened.load_preset(name)) == PRESETS[name]
    settings = run_of(f"+preset={name}", "hw=a100").config["generation"]
    untouched = {"audio_duration": 180.0, "bf16": True, "torch_compile": True}
    assert {key: settings[key] for key in (*PRESETS[name], *untouched)} == {**PRESETS[name], **untouched}


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_the_guides_recipe_and_its_limits_for_v1(name: str, run_of: Callable[..., Run]) -> None:
    recipe, hardware = PROFILES[name]
    run = run_of(f"hw={name}", "model=v1")
    assert run.hw == hardware
    assert dict(run.layers.base) == {key: parameter.default for key, parameter in SONG.items()} | recipe


@pytest.mark.parametrize("name", PROFILES)
def test_the_embedded_model_keeps_its_own_short_duration(name: str, run_of: Callable[..., Run]) -> None:
    assert run_of(f"hw={name}", "model=embedded").layers.base["audio_duration"] == 10.0


def test_without_any_choice_the_demo_runs_on_what_there_is(run_of: Callable[..., Run]) -> None:
    run = run_of()
    assert (run.hw.name, run.model.name, run.manifest.path) == ("cpu", "embedded", "shipped:demo.yaml")
    assert (run.output.root, run.output.formats, run.output.sample_rate) == ("outputs", ("wav",), 48_000)
    assert run.presets == ()


@pytest.mark.parametrize("path", sorted(MANIFESTS.iterdir()), ids=lambda path: path.name)
def test_every_shipped_manifest_is_an_option_and_valid(path: Path, checked: Callable[..., Preflight]) -> None:
    assert f"path: shipped:{path.name}" in (CONF / "manifest" / f"{path.stem}.yaml").read_text(encoding="utf-8")
    model = {"latin_trap": "embedded_v15", "tasks_v15": "embedded_v15_base"}.get(path.stem, "embedded")
    state = checked(f"manifest={path.stem}", f"model={model}")
    assert (state.problems, state.row_problems) == ([], [])
    assert state.counts["rows"] > 0


@pytest.mark.parametrize("manifest", ["demo", "presets", "tasks", *(f"tasks/{path.stem}" for path in TASKS.iterdir())])
def test_the_guide_has_no_advice_on_the_shipped_songs_of_v1(manifest: str, checked: Callable[..., Preflight]) -> None:
    state = checked(f"manifest.path=shipped:{manifest}.yaml", "lint=error", "model=v1")
    assert state.row_problems == []
    assert state.counts["rows"] > 0


def test_the_demo_has_words_that_the_embedded_model_knows(checked: Callable[..., Preflight]) -> None:
    state = checked("manifest=demo", "lint=error", "model=embedded")
    assert (state.problems, state.row_problems) == ([], [])


def test_every_preset_has_its_example() -> None:
    songs = yaml.safe_load((MANIFESTS / "presets.yaml").read_text(encoding="utf-8"))["songs"]
    assert {key: song["preset"] for key, song in songs.items()} == {name: name for name in PRESETS}


@pytest.mark.parametrize("name", PROFILES)
def test_every_preset_passes_lint_with_its_example_on_every_profile(
    name: str, checked: Callable[..., Preflight]
) -> None:
    state = checked("manifest=presets", f"hw={name}", "model=v1", "lint=error")
    assert state.row_problems == []
    assert state.counts["rows"] == len(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_file_in_the_guides_format_means_the_same(
    name: str, tmp_path: Path, checked: Callable[..., Preflight]
) -> None:
    file = tmp_path / "my.json"
    document = {"name": name, "description": "the guide's own format", "parameters": PRESETS[name]}
    file.write_text("// a comment, as in the guide\n" + json.dumps(document), encoding="utf-8")
    from_file = checked(f"preset_file='{file.as_posix()}'", "generation.prompt=jazz").rows[0].settings
    from_preset = checked(f"+preset={name}", "generation.prompt=jazz").rows[0].settings
    assert from_file is not None
    assert from_preset is not None
    assert from_file.values == from_preset.values
