"""Checkpoint folders: faults are told file by file, hashes are remembered, the hub's cache is found without network."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acestep_batch.engine.checkpoint import (
    LYRIC_VOCAB,
    PUBLISHED_FILES,
    commit_of,
    describe_files,
    find_checkpoint,
    missing_files,
)

CHECKPOINT = Path(__file__).parents[1] / "golden" / "v1" / "checkpoint"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    shutil.copytree(CHECKPOINT, folder)
    (folder / LYRIC_VOCAB).write_text("{}", encoding="utf-8")
    return folder


def safetensors(header: object, data: bytes = b"") -> bytes:
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + data


def test_a_whole_checkpoint_has_no_problems(checkpoint: Path) -> None:
    assert missing_files(checkpoint) == []


def test_every_absent_file_is_named_once(tmp_path: Path) -> None:
    problems = missing_files(tmp_path)
    assert [problem.where for problem in problems] == [str(tmp_path / name) for name in (*PUBLISHED_FILES, LYRIC_VOCAB)]
    assert {problem.message for problem in problems} == {"is missing"}
    assert all("download model=v1" in problem.remedy for problem in problems)


def test_an_absent_folder_is_one_problem(tmp_path: Path) -> None:
    (problem,) = missing_files(tmp_path / "nowhere")
    assert "model.path=" in problem.remedy


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("umt5-base/tokenizer.json", b"", "is empty"),
        ("umt5-base/model.safetensors", b"abc", "is not a safetensors file"),
        ("umt5-base/model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "is not a safetensors file"),
        ("umt5-base/model.safetensors", b"\xff" * 8, "is not a safetensors file"),
        ("umt5-base/model.safetensors", (2).to_bytes(8, "little") + b"[]", "its header is damaged"),
        ("umt5-base/model.safetensors", (9).to_bytes(8, "little") + b'{"a": nul', "its header is damaged"),
        ("umt5-base/model.safetensors", (90_000).to_bytes(8, "little") + b"[" * 90_000, "its header is damaged"),
        ("umt5-base/model.safetensors", (500).to_bytes(8, "little") + b"{", "9 bytes found, its header alone has 508"),
        ("music_dcae_f8c8/config.json", b"\xff\xfe", "is not readable as JSON"),
        ("music_dcae_f8c8/config.json", b'{"_class_name": "AutoencoderKL"}', "_class_name is 'AutoencoderKL'"),
        ("music_vocoder/config.json", b"[]", "_class_name is None, expected 'ADaMoSHiFiGANV1'"),
        ("umt5-base/config.json", b'{"model_type": "t5"}', "model_type is 't5', expected 'umt5'"),
    ],
)
def test_a_damaged_or_foreign_file_is_told(checkpoint: Path, name: str, content: bytes, message: str) -> None:
    (checkpoint / name).write_bytes(content)
    (problem,) = missing_files(checkpoint)
    assert problem.where == str(checkpoint / name)
    assert message in problem.message


def test_a_download_that_broke_off_is_told_with_both_sizes(checkpoint: Path) -> None:
    file = checkpoint / "music_vocoder" / "diffusion_pytorch_model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1000])
    (problem,) = missing_files(checkpoint)
    assert f"{len(whole) - 1000:,} bytes found, {len(whole):,} expected" in problem.message


@pytest.mark.parametrize("offsets", [[0, 4], [4, 8], [8, 0], [0, True], [0.0, 8.0], [0], "08", None])
def test_headers_must_describe_exactly_the_bytes_there(checkpoint: Path, offsets: object) -> None:
    header = {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2], "data_offsets": offsets}}
    (checkpoint / "umt5-base" / "model.safetensors").write_bytes(safetensors(header, bytes(8)))
    assert len(missing_files(checkpoint)) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(content=st.binary(max_size=200))
def test_no_bytes_make_the_check_fail(checkpoint: Path, content: bytes) -> None:
    for name in ("umt5-base/model.safetensors", "umt5-base/config.json"):
        (checkpoint / name).write_bytes(content)
    assert len(missing_files(checkpoint)) == 2


def test_a_lyric_vocabulary_may_lie_elsewhere(checkpoint: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "vocab.json"
    (checkpoint / LYRIC_VOCAB).rename(elsewhere)
    assert missing_files(checkpoint, elsewhere) == []
    elsewhere.unlink()
    (problem,) = missing_files(checkpoint, elsewhere)
    assert problem.where == str(elsewhere)
    assert problem.remedy == "correct model.lyric_vocab="


def test_files_are_described_by_size_and_hash(checkpoint: Path, tmp_path: Path) -> None:
    facts = describe_files(checkpoint, tmp_path / "cache")
    assert [fact["path"] for fact in facts] == [*PUBLISHED_FILES, LYRIC_VOCAB]
    for fact in facts:
        content = (checkpoint / fact["path"]).read_bytes()
        assert fact["size"] == len(content)
        assert fact["sha256"] == hashlib.sha256(content).hexdigest()


def test_hashes_are_remembered_until_size_or_time_change(checkpoint: Path, tmp_path: Path) -> None:
    cache, file = tmp_path / "cache", checkpoint / LYRIC_VOCAB
    before = describe_files(checkpoint, cache)
    status = file.stat()
    file.write_text("[]", encoding="utf-8")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert describe_files(checkpoint, cache) == before, "same path, size and time: not read again"
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert describe_files(checkpoint, cache)[-1]["sha256"] == hashlib.sha256(b"[]").hexdigest()


@pytest.mark.parametrize("damage", [b"", b"\x00\xff", b"[1]", b'{"a": 3}', b"{" * 100_000])
def test_a_damaged_cache_is_replaced(checkpoint: Path, tmp_path: Path, damage: bytes) -> None:
    cache = tmp_path / "cache"
    before = describe_files(checkpoint, cache)
    (remembered_in,) = cache.iterdir()
    whole = remembered_in.read_bytes()
    remembered_in.write_bytes(damage)
    assert describe_files(checkpoint, cache) == before
    assert remembered_in.read_bytes() == whole
    assert list(cache.iterdir()) == [remembered_in]


def test_a_cache_that_cannot_be_written_is_only_warned_about(
    checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "a file"
    cache.write_text("in the way", encoding="utf-8")
    assert len(describe_files(checkpoint, cache)) == len(PUBLISHED_FILES) + 1
    assert "computed again" in caplog.text


def test_only_a_snapshot_of_the_published_repository_has_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "hub"
    snapshot = cache / "models--ACE-Step--ACE-Step-v1-3.5B" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    monkeypatch.chdir(snapshot)
    assert commit_of(snapshot) == commit_of(Path()) == COMMIT
    for other in (
        tmp_path / COMMIT,
        snapshot.with_name("main"),
        snapshot.with_name(COMMIT[:-1]),
        snapshot / "music_vocoder",
        cache / "models--somebody--else" / "snapshots" / COMMIT,
    ):
        assert commit_of(other) is None, other


def test_a_given_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert find_checkpoint(tmp_path / "mine") == tmp_path / "mine"


def test_the_hub_cache_is_found_by_revision_without_network_or_torch(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--ACE-Step--ACE-Step-v1-3.5B"
    snapshot = repository / "snapshots" / COMMIT
    (snapshot / "music_vocoder").mkdir(parents=True)
    (snapshot / "music_vocoder" / "config.json").write_text("{}", encoding="utf-8")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    script = (
        "import sys; from acestep_batch.engine.checkpoint import find_checkpoint as find;"
        f"print(find(None)); print(find(None, {COMMIT!r})); print(find(None, 'other')); print('torch' in sys.modules)"
    )
    hub_settings = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGINGFACE_"))}
    done = subprocess.run(
        [sys.executable, "-c", script], env={**kept, **hub_settings}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(snapshot), str(snapshot), "None", "False"]
