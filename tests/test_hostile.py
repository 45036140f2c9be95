"""Nothing harmful comes of inputs: refused in one line, or taken as what they are; nothing is run or written outside.

``python -m tests.hostile`` asks all of the corpus; here a part of every class, drawn with a seed, and the rest if slow.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hostile.controls import CONTROLS
from hostile.corpus import CASES
from hostile.fuzz import documents
from hostile.report import Answer, answer_of
from hostile.server import Child

ROOT = Path(__file__).resolve().parents[1]
SEED, OF_EACH_CLASS, AT_RANDOM, AT_RANDOM_IF_SLOW = 4, 2, 16, 2_000
CLASSES = sorted({case.group for case in CASES.values()})
SLOW_CONTROLS = {"control-hangs", "control-kills-the-process", "control-takes-its-time", "control-takes-memory"}
NAMED = {
    "traversal", "absolute", "link", "windows", "unicode", "length", "yaml", "json", "override", "config", "formula",
    "csv", "script", "audio", "pickle", "safetensors", "record", "plan", "parquet", "latents", "inspect", "verify",
}  # fmt: skip
"""Classes that the corpus must not lose."""

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the corpus makes pipes, and names that Windows has not"
)


def ids_of(group: str) -> list[str]:
    return [each for each, case in CASES.items() if case.group == group]


def drawn(group: str) -> list[str]:
    own = ids_of(group)
    return random.Random(f"{SEED} {group}").sample(own, min(OF_EACH_CLASS, len(own)))


@pytest.fixture(scope="module")
def child():
    with Child() as started:
        yield started


def complaints(child: Child, ids: list[str]) -> dict[str, Answer]:
    answers = [answer_of(child, each) for each in ids]
    return {each.id: each for each in answers if each.complaints}


def test_the_corpus_has_its_classes():
    assert set(CLASSES) >= NAMED
    assert len(CASES) >= 1_000
    assert {group: len(ids_of(group)) for group in NAMED if len(ids_of(group)) < 5} == {}


@pytest.mark.parametrize("group", CLASSES)
def test_inputs_are_refused_in_one_line_or_inert(child, group):
    assert complaints(child, drawn(group)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("group", CLASSES)
def test_all_other_inputs_are_refused_in_one_line_or_inert(child, group):
    assert complaints(child, [each for each in ids_of(group) if each not in drawn(group)]) == {}


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.slow] * (each in SLOW_CONTROLS)) for each in CONTROLS]
)
def test_the_watch_finds_out_every_control(child, name):
    assert complaints(child, [name]) == {}


def test_inputs_changed_at_random_are_refused_in_one_line_or_inert(child):
    assert complaints(child, [f"fuzz-{SEED}-{number}" for number in range(0, 2 * AT_RANDOM, 2)]) == {}


@pytest.mark.slow
def test_many_inputs_changed_at_random_are_refused_in_one_line_or_inert(child):
    assert len(documents()) < AT_RANDOM_IF_SLOW / 50, "some kind is hardly tried"
    assert complaints(child, [f"fuzz-{SEED + 1}-{number}" for number in range(AT_RANDOM_IF_SLOW)]) == {}


RUN = ["model=embedded", "hw=cpu", "infer_step=2", "audio_duration=1", "lint=off"]
WHOLE_RUN = f"""
import contextlib, io, json, sys
from pathlib import Path
from hostile.watch import Watch

watch = Watch()
watch.install()
watch.begin([Path.cwd()])
from acestep_batch.cli import main

with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    codes = [main({RUN!r} + ["output.formats=[wav,flac,ogg,opus,mp3]"])]
    codes += [main(["verify", "outputs/demo/v0001", "--sample", "2"])]
watch.end()
json.dump({{"codes": codes, "ran": watch.ran, "connected": watch.connected}}, sys.stdout)
"""
FOUND_AT_IMPORT = ("exec ", "compile ", "code.__new__ ", "marshal.load", "ctypes.dlopen ")
"""Events of any import of Python; all others must not be."""


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))), "HF_HUB_OFFLINE": "1", **more}


@pytest.mark.slow
def test_a_whole_run_and_verify_unpickle_nothing_run_nothing_and_open_no_socket(tmp_path):
    command = [sys.executable, "-c", WHOLE_RUN]
    result = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout)
    assert seen["codes"] == [0, 0]
    assert seen["connected"] == []
    assert [each for each in seen["ran"] if not each.startswith(FOUND_AT_IMPORT)] == []


WITHOUT_NETWORK = ["unshare", "--map-root-user", "--net"]


@pytest.mark.slow
def test_without_a_network_a_run_doctor_and_verify_work(tmp_path):
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, of util-linux")
    tried = subprocess.run([*WITHOUT_NETWORK, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"a network namespace is not permitted here: {tried.stderr.strip()}")
    reached = "import socket; socket.create_connection(('1.1.1.1', 53), 2)"
    assert subprocess.run([*WITHOUT_NETWORK, sys.executable, "-c", reached], capture_output=True).returncode == 1
    for words in (RUN, ["doctor"], ["verify", "outputs/demo/v0001"]):
        command = [*WITHOUT_NETWORK, sys.executable, "-m", "acestep_batch", *words]
        result = subprocess.run(
            command, cwd=tmp_path, env=environment(HF_HUB_OFFLINE="0"), capture_output=True, text=True, timeout=300
        )
        assert result.returncode == 0, f"{words}: {result.stderr}"
