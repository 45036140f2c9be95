"""Options and fixtures that all tests share."""

from __future__ import annotations

import io
import json
import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the cores are shared out already; before torch is imported

import pytest
from rich.console import Console
from sine_engine import SineEngine

from acestep_batch.cells import typed_run
from acestep_batch.cli import data_folder
from acestep_batch.engine import embedded_identity
from acestep_batch.execute import execute
from acestep_batch.hardware import detect, profile_for, torch_build
from acestep_batch.hydra_config import composer
from acestep_batch.interrupts import Interrupts
from acestep_batch.outputs.folders import claim_version
from acestep_batch.preflight import preflight
from acestep_batch.progress import run_progress


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--lyric-vocab",
        type=Path,
        metavar="FILE",
        help="the published lyric vocabulary (vocab.json of ace-step/ACE-Step), for the tests that compare token ids",
    )


@pytest.fixture(scope="session")
def lyric_vocab(request: pytest.FixtureRequest) -> Path:
    """Path of the published lyric vocabulary, which is not part of this repository."""
    path: Path | None = request.config.getoption("--lyric-vocab")
    if path is None:
        pytest.skip("needs the published lyric vocabulary: give --lyric-vocab=FILE")
    return path


@pytest.fixture
def drawn_weights(tmp_path, monkeypatch):
    """The embedded model as it is without trained weights, in this process: for numbers that hold for drawn ones."""
    monkeypatch.setattr(embedded_identity, "TRAINED", tmp_path / "no trained weights")


@pytest.fixture
def render_rows(tmp_path):
    """Renders rows of a JSON manifest with the sine engine: (result, engine, what was printed)."""

    def run(rows, *overrides: str, swept=None, steps=4, engine=None, into=None, stop=None, shard=None):
        manifest = tmp_path / "songs.json"
        manifest.write_text(json.dumps(rows), encoding="utf-8")
        machine, engine = detect(), engine or SineEngine()
        short = ["model=embedded", "hw=cpu", "lint=off", "audio_duration=0.5", "measure=false"]
        short += [f"infer_step={steps}"] if steps else []
        words = [*short, f"manifest.path={manifest}", f"output.root={tmp_path / 'out'}", *overrides]
        with composer(data_folder("conf"), None, "config") as opened:
            layers = opened.cells(words, False, profile_for(machine)[0])[0]
            run, shipped = replace(typed_run(layers), swept=swept or {}), data_folder("manifests")
            checked = preflight(run, machine, torch_build(), shipped, lambda rows, _: rows, keep_rows=True)
        assert not checked.blocking, checked.blocking
        printed = Console(file=io.StringIO(), width=100)

        @contextmanager
        def watch(songs):
            with run_progress(printed, songs) as progress:
                yield progress

        folder = into or claim_version(Path(checked.run.output.root), checked.name)
        result = execute(checked, folder, {"machine": "test"}, lambda key: engine, watch, stop or Interrupts(), shard)
        return result, engine, printed.file.getvalue()

    return run
