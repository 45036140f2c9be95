"""The parity command of 1.5: passes on the recordings in this repository, and notices what is different."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acestep_batch.engine.v15.embedded_planner_text import planner_tokenizer_path
from tests.parity15.__main__ import main

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "v15"

Change = Callable[[Any], object]


def a_pack(folder: Path, name: str, change: Change) -> Path:
    """A pack of one changed file of recordings."""
    content = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    change(content)
    (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_the_command_passes_on_the_recordings_here() -> None:
    command = [sys.executable, "-m", "tests.parity15", str(GOLDEN)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert ["lm_prompt_token_ids", "3", "3", "0", "0", "3"] in [line.split() for line in lines]
    assert "token ids need --tokenizer" in done.stdout


@pytest.mark.parametrize(
    ("name", "change", "failed"),
    [
        ("lm_prompts", lambda all_: all_["generate"][0]["cot"].update(cond="x"), 1),
        ("lm_prompts", lambda all_: all_["generate"][0]["codes"][0]["uncond"].update({"noise": "x"}), 1),
        ("lm_prompts", lambda all_: all_["inspiration"][0].update(instrumental=False), 1),
        ("lm_cot_format", lambda all_: all_[0]["metadata"].update(bpm=94), 1),
        ("lm_output_parsing", lambda all_: all_[0]["metadata"].update(bpm="93"), 1),
        ("lm_output_parsing", lambda all_: all_[0]["dit_code_ids"].append(1), 1),
        ("orchestration", lambda all_: all_["cases"][0]["dit_call"].update(captions="x"), 1),
        ("orchestration", lambda all_: all_["cases"][0]["lm_calls"].clear(), 1),
        ("orchestration", lambda all_: all_["cases"][0]["lm_returns"].update(bpm=94), 1),
        ("fsm", lambda all_: all_["runs"][0].update(text=all_["runs"][0]["text"].replace("bpm: 57", "bpm: 20")), 3),
        ("fsm", lambda all_: all_["runs"][-5].update(n_codes=6), 3),
        ("dit_text_prompts", lambda all_: all_["cases"][0].update(text_prompt="x"), 1),
        ("dit_text_prompts", lambda all_: all_["caption_extraction"][0].update(output="x"), 1),
        ("constants", lambda all_: all_["languages"].remove("en"), 1),
        ("gpu_tiers", lambda all_: all_["configs"]["tier2"].update(max_duration_with_lm=240), 2),
        ("gpu_tiers", lambda all_: all_["configs"]["unlimited"]["lm_memory_gb"].update({"4B": 13}), 3),
        ("constants", lambda all_: all_["task_instructions"].update(lego="x"), 1),
        ("durations", lambda all_: all_["cases"][0].update(lm_target_codes=7), 1),
        ("seeds", lambda all_: all_["cases"][0].update(out=[43]), 1),
        ("param_defaults", lambda all_: all_["GenerationParams"].update(lm_top_p=["float", 0.8]), 1),
    ],
)
def test_one_changed_recording_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, change: Change, failed: int
) -> None:
    assert main([str(a_pack(tmp_path, name, lambda _: None))]) == 0
    capsys.readouterr()
    assert main([str(a_pack(tmp_path, name, change))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"FAIL {name}/") for line in lines)
    assert f"{failed} of" in lines[-1]


def test_token_ids_are_compared_where_there_is_a_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(planner_tokenizer_path(), tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}', encoding="utf-8")
    pack = a_pack(tmp_path, "lm_prompt_token_ids", lambda _: None)
    assert main([str(pack), "--tokenizer", str(tmp_path)]) == 1  # the embedded planner's ids are others
    out = capsys.readouterr().out
    assert "FAIL lm_prompt_token_ids/0, ids" in out
    assert "the tokenizer has no chat template" in out


def test_a_file_that_cannot_be_read_fails_its_stage_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(GOLDEN / "durations.json", tmp_path)
    (tmp_path / "seeds.json").write_text("{", encoding="utf-8")
    assert main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "FAIL seeds/reading, exception" in out
    assert ["durations", "16", "48", "48", "0", "0"] in [line.split() for line in out.splitlines()]


def test_a_folder_without_recordings_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "nothing to compare" in capsys.readouterr().out
