"""The wheel, installed into a new environment and used from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile
import yaml

pytestmark = pytest.mark.slow

MOST_BYTES = 30 * 10**6
"""Of the wheel; 25 MB of it at most are the embedded model's weights."""
ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}


def call(command: list[str | Path], folder: Path) -> str:
    """Standard output of a command that must succeed, run in ``folder``."""
    result = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, encoding="utf-8", timeout=600
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder.parent).as_posix() for path in folder.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class Installed:
    """A new environment that holds the wheel."""

    packages: Path
    by_module: list[str | Path]
    by_script: list[str | Path]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of this checkout and the wheel made from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    call([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT], folder)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own; the dependencies are those of the environment that runs the tests.

    They come through a .pth file, which adds a folder but not the .pth files in it, so that an editable installation
    of this checkout stays invisible.
    """
    folder = tmp_path_factory.mktemp("environment")
    call([sys.executable, "-m", "venv", "--without-pip", folder], folder)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    python = programs / Path(sys.executable).name
    packages = Path(call([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip())
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    call([*pip, "install", "--no-deps", "--no-index", wheel], folder)
    others = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (packages / "dependencies.pth").write_text("\n".join(others) + "\n", encoding="utf-8")
    return Installed(packages, [python, "-m", "acestep_batch"], [programs / "acestep-batch"])


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_the_wheel_holds_the_whole_package_and_its_data_and_no_tests(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = {name for name in files_below(ROOT / "acestep_batch") if "__pycache__" not in name}
    data = {f"acestep_batch/{name}" for folder in ("conf", "manifests") for name in files_below(ROOT / folder)}
    assert names == package | data
    assert not any(name.startswith("training") for name in names)
    assert wheel.stat().st_size < MOST_BYTES


def test_the_sdist_holds_what_the_tests_need(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tests = {name for name in files_below(ROOT / "tests") if "__pycache__" not in name}
    recipe = {path.relative_to(ROOT).as_posix() for path in (ROOT / "training").rglob("*.py")}
    probes = "training/evaluate/probes.npz"
    named = {"LICENSE", "README.md", "CONTRIBUTING.md", "constraints.txt", "pyproject.toml"}
    assert tests | recipe | named | {probes} <= names


def test_module_and_console_script_check_the_demo_and_leave_nothing(installed: Installed, empty: Path) -> None:
    by_module = call([*installed.by_module, "dry_run=true", "hw=cpu"], empty)
    by_script = call([*installed.by_script, "dry_run=true", "hw=cpu"], empty)
    assert "4 songs" in by_module
    assert "4 songs" in by_script
    assert list(empty.iterdir()) == []


def test_the_configuration_is_the_wheels_own(installed: Installed, empty: Path) -> None:
    shown = call([*installed.by_script, "--info", "searchpath"], empty)
    assert str(installed.packages / "acestep_batch" / "conf") in shown
    assert str(ROOT) not in shown


def test_a_folder_of_the_users_own_adds_a_preset(installed: Installed, empty: Path, tmp_path: Path) -> None:
    preset = tmp_path / "mine" / "preset" / "hushed.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text("# @package generation\n# Quiet and short.\ninfer_step: 33\nomega_scale: 8.5\n", encoding="utf-8")
    mine = ["--config-dir", tmp_path / "mine", "+preset=hushed", "hw=cpu"]
    config = yaml.safe_load(call([*installed.by_script, *mine, "--cfg", "job", "--resolve"], empty))
    assert (config["generation"]["infer_step"], config["generation"]["omega_scale"]) == (33, 8.5)
    assert config["generation"]["guidance_scale"] == 15.0
    assert "4 songs" in call([*installed.by_module, *mine, "dry_run=true"], empty)
    assert list(empty.iterdir()) == []


def test_the_wheel_renders_a_song(installed: Installed, empty: Path) -> None:
    words = ["model=embedded", "hw=cpu", "limit=1", "infer_step=2", "audio_duration=1", "lint=off"]
    call([*installed.by_module, *words], empty)
    folder = empty / "outputs" / "demo" / "v0001"
    (audio,) = (folder / "audio").glob("*.wav")
    assert soundfile.info(audio).samplerate == 48_000
    assert (folder / "summary.csv").is_file()
    assert [path.name for path in empty.iterdir()] == ["outputs"]
