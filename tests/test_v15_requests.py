"""Requests as the authors of 1.5 write them: a folder of them is a manifest, and renders as it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from task_rows import folder, records  # noqa: F401

from acestep_batch.cli import main

REQUESTS = Path(__file__).parent / "requests_v15"
WORDS = ("model=embedded_v15", "hw=cpu", "measure=false", "report=false")
NAMES = {
    "caption": "prompt",
    "language": "vocal_language",
    "duration": "audio_duration",
    "think": "thinking",
}
"""Their names of parameters that have another one here."""


def requests() -> dict[str, dict[str, Any]]:
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in REQUESTS.glob("*.json")}


@pytest.mark.slow
def test_a_folder_of_requests_renders_as_it_says(folder: Path) -> None:  # noqa: F811
    assert main((*WORDS, f"manifest.path={REQUESTS}", "output.name=asked")) == 0
    found, asked = records(Path("outputs/asked/v0001")), requests()
    assert list(found) == sorted(asked)
    for name, request in asked.items():
        record = found[name]
        assert {key: record[NAMES.get(key, key)] for key in request} == request
        assert ("planned_codes" in record) == request["think"]
        if not request["think"]:  # nothing is left open either: there is nothing to plan
            continue
        given = {key: value for key, value in request.items() if value not in (None, "", "unknown", -1)}
        planned = {"bpm": record["planned_bpm"], "keyscale": record["planned_keyscale"]}
        planned |= {"duration": record["planned_duration_s"], "language": record["planned_vocal_language"]}
        for key, value in planned.items():
            assert value == given.get(key, value), (name, key)
            assert value, (name, key)
        assert record["planned_codes"] == 5 * record["planned_duration_s"] == 5 * record["duration_s"]
    assert main(("verify", "outputs/asked/v0001")) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bpm": 500}, "column bpm: 500 is outside the allowed range"),
        ({"keyscale": "H minor"}, "keyscale: 'H minor' is not one of A to G"),
        ({"duration": 900}, "audio_duration: 900 s is longer than hw=cpu allows (600 s)"),
        ({"timesignature": "5"}, "timesignature: '5' is not one of 2, 3, 4, 6"),
        ({"language": "xx"}, "column language: 'xx' is not one of the choices"),
        ({"think": "perhaps"}, "column think: 'perhaps' is neither true nor false"),
        ({"mood": "sad"}, "column mood: is no parameter"),
        ({"prompt": "y"}, "column prompt: sets prompt, which another column of this row sets too"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_by_name(
    folder: Path,  # noqa: F811
    change: dict[str, Any],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(REQUESTS, "mine")
    Path("mine/06_wrong.json").write_text(json.dumps(requests()["01_harbour"] | change), encoding="utf-8")
    assert main((*WORDS, "manifest.path=mine", "dry_run=true")) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert lines
    assert all(line.startswith("error: 06_wrong.json row 6, ") for line in lines)
    assert said in lines[0]
