"""The dataset on disk: the same whether it was rendered at once, was killed half way, or grew later."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from acestep_batch.problems import Refused
from training.composer import compose
from training.dataset import main, render_dataset
from training.recipe import MODULES, recipe
from training.shards import VERSION, Manifest, read_clips, whole_shards

ROOT = Path(__file__).resolve().parents[2]


def manifest(clips: int = 3, seed: int = 5, shard_clips: int = 2) -> Manifest:
    return Manifest(VERSION, clips, seed, "few", False, recipe(), shard_clips)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".tmp-")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert list(render_dataset(folder, manifest())) == [0, 1]
    return folder


def test_a_dataset_has_the_documented_form(whole: Path) -> None:
    lines = [json.loads(line) for line in (whole / "clips.jsonl").read_text("utf-8").splitlines()]
    assert [line["clip"] for line in lines] == [0, 1, 2]
    assert list(lines[0]) == [
        *("clip", "seed", "prompt", "lyrics", "bpm", "key", "lead", "accompaniment", "drums", "genre", "mood"),
        "beats_per_bar",
    ]
    shapes = []
    for clips, mel, audio in whole_shards(whole, read_clips(whole)):
        assert (mel.dtype, audio.dtype) == (np.float16, np.int16)
        shapes.append((len(clips), mel.shape, audio.shape))
    assert shapes == [(n, (n, 2, 128, 1024), (n, 2, 1024 * 512)) for n in (2, 1)]


def test_a_clip_is_what_its_seed_composes(whole: Path) -> None:
    for clip in read_clips(whole):
        composition = compose(clip.seed)
        assert (clip.prompt, clip.lyrics, clip.tags) == (composition.prompt, composition.lyrics, composition.tags)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_equal(whole: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from training.dataset import render_dataset;"
        "from training.shards import Manifest;"
        f"[print(shard, flush=True) for shard in render_dataset(Path(sys.argv[1]), {manifest()!r})]"
    )
    process = subprocess.Popen([sys.executable, "-c", program, tmp_path], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline().strip() == b"0"
        process.kill()
    assert contents(tmp_path).keys() < contents(whole).keys()
    assert list(render_dataset(tmp_path, manifest())) == [1]
    assert contents(tmp_path) == contents(whole)
    assert list(render_dataset(tmp_path, manifest())) == []


def test_audio_without_its_mel_is_not_a_whole_shard(whole: Path, tmp_path: Path) -> None:
    for name in ("manifest.json", "clips.jsonl", "audio_0000.npy", "mel_0000.npy"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    (tmp_path / "audio_0001.npy").write_bytes(b"half")
    assert [len(clips) for clips, _, _ in whole_shards(tmp_path, read_clips(tmp_path))] == [2]
    assert list(render_dataset(tmp_path, manifest())) == [1]
    assert contents(tmp_path) == contents(whole)


def test_a_dataset_grows(whole: Path, tmp_path: Path) -> None:
    assert list(render_dataset(tmp_path, manifest(clips=1))) == [0]
    assert list(render_dataset(tmp_path, manifest())) == [0, 1]
    assert contents(tmp_path) == contents(whole)


def test_another_dataset_is_refused_and_left_alone(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(whole)
    with pytest.raises(Refused, match="seed"):
        list(render_dataset(whole, manifest(seed=6)))
    assert main(["--out", str(whole), "--clips", "3", "--seed", "6"]) == 2
    assert "manifest.json: seed" in capsys.readouterr().err
    assert contents(whole) == before


def test_the_recipe_names_every_module_that_a_clip_follows_from() -> None:
    found, open_ends = set(), {"composer", "synth", "analysis"}
    while open_ends:
        found.add(name := open_ends.pop())
        for node in ast.walk(ast.parse((ROOT / "training" / f"{name}.py").read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "training":
                open_ends |= {alias.name for alias in node.names} - found
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("training."):
                open_ends |= {(node.module or "").partition(".")[2]} - found
    assert found == set(MODULES)


def test_the_product_does_not_import_its_training() -> None:
    sources = list((ROOT / "acestep_batch").rglob("*.py"))
    assert sources
    assert [
        path for path in sources if "from training" in (text := path.read_text("utf-8")) or "import training" in text
    ] == []
