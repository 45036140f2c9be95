"""The download against a small hub on this machine; no other address is ever asked."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiny_v15 import write_official, write_planner

from acestep_batch.download import V1, Request, Source, disk_problem, fetch, fetch_vocabulary, parse, published_sizes
from acestep_batch.download_v15 import fetch_v15, run
from acestep_batch.engine.checkpoint import (
    CLASS_KEYS,
    LYRIC_VOCAB,
    PUBLISHED_FILES,
    REPOSITORY,
    commit_of,
    find_checkpoint,
    missing_files,
)
from acestep_batch.engine.v15.checkpoint_layout import REPOSITORIES
from acestep_batch.engine.v15.planner_files import PLANNERS, planner_problems
from acestep_batch.engine.v15.variant import Variant
from acestep_batch.engine.v15.weights import PlannerSource, V15Source, find_planner, model_problems, planner_facts
from acestep_batch.problems import Refused

COMMIT = "0123456789abcdef0123456789abcdef01234567"
VOCABULARY = b'{"model": {"vocab": {"[UNK]": 1}}}'
VOCABULARY_PATH = "/vocab.json"
EMPTY_SAFETENSORS = (2).to_bytes(8, "little") + b"{}"


def tiny_file(name: str) -> bytes:
    """A file that is whole by the checkpoint's own rules."""
    if name.endswith(".safetensors"):
        return EMPTY_SAFETENSORS
    return json.dumps(dict([CLASS_KEYS[name]]) if name in CLASS_KEYS else {"name": name}).encode()


@dataclass
class Hub:
    """A hub that publishes tiny files of the right names, and what it was asked for."""

    files: dict[str, bytes]
    asked: list[str]
    address: str = ""
    repository: str = REPOSITORY

    def source(self) -> Source:
        digest = hashlib.sha256(VOCABULARY).hexdigest()
        return Source(REPOSITORY, "0.00 GB", self.address + VOCABULARY_PATH, digest, endpoint=self.address)

    def answer(self, path: str) -> tuple[int, bytes]:
        path = path.partition("?")[0]
        blobs = {name: hashlib.sha1(content).hexdigest() for name, content in self.files.items()}
        if path == VOCABULARY_PATH:
            return 200, VOCABULARY
        if path == f"/api/models/{self.repository}/revision/main":
            siblings = [{"rfilename": name, "size": len(self.files[name]), "blobId": blobs[name]} for name in blobs]
            return 200, json.dumps({"id": self.repository, "sha": COMMIT, "siblings": siblings}).encode()
        if path == f"/api/models/{self.repository}/tree/{COMMIT}":
            tree = [{"type": "file", "path": n, "size": len(self.files[n]), "oid": blobs[n]} for n in blobs]
            return 200, json.dumps(tree).encode()
        name = path.removeprefix(f"/{self.repository}/resolve/{COMMIT}/")
        return (200, self.files[name]) if name in self.files else (404, b"{}")


@pytest.fixture
def hub() -> Iterator[Hub]:
    served = Hub({name: tiny_file(name) for name in (*PUBLISHED_FILES, "unwanted.bin")}, [])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = served.answer(self.path)
            served.asked.append(f"{self.command} {self.path}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: the test looks at what was asked."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own cache stays as it is, and the user's own network settings do not matter."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return cache


def test_a_download_tells_sizes_first_and_leaves_a_whole_checkpoint(hub: Hub, tmp_path: Path) -> None:
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("free disk"):
            assert not any("resolve" in asked for asked in hub.asked), "a file was asked for before the sizes were told"

    folder = fetch(Request(tmp_path / "v1", "main"), hub.source(), say)
    assert missing_files(folder) == []
    assert (folder / LYRIC_VOCAB).read_bytes() == VOCABULARY
    assert not (folder / "unwanted.bin").exists()
    assert [line.split()[0] for line in said] == [f"{hub.source().repo_id},", "size", "to", "free", "done"]
    assert COMMIT in said[0]


def test_without_a_folder_it_goes_where_a_run_looks_by_itself(hub: Hub, own_cache: Path) -> None:
    assert find_checkpoint(None) is None
    said: list[str] = []
    folder = fetch(Request(None, "main"), hub.source(), said.append)
    assert folder.is_relative_to(own_cache)
    assert find_checkpoint(None) == folder
    assert commit_of(folder) == COMMIT
    assert missing_files(folder) == []
    assert said[-1].endswith("`model=v1`")
    hub.asked.clear()
    fetch(Request(None, "main"), hub.source(), said.append)
    assert not any(asked.startswith("GET") and "resolve" in asked for asked in hub.asked)


def test_a_second_download_fetches_nothing_again(hub: Hub, tmp_path: Path) -> None:
    said: list[str] = []
    fetch(Request(tmp_path, "main"), hub.source(), said.append)
    hub.asked.clear()
    fetch(Request(tmp_path, "main"), hub.source(), said.append)
    assert not any(asked.startswith("GET") and ("resolve" in asked or "vocab" in asked) for asked in hub.asked)
    assert "0.00 GB of them to fetch" in said[6]


def test_a_file_that_is_not_published_any_more_is_named(hub: Hub, tmp_path: Path) -> None:
    del hub.files["umt5-base/tokenizer.json"]
    with pytest.raises(Refused, match=r"no longer lists umt5-base/tokenizer\.json"):
        fetch(Request(tmp_path / "v1", "main"), hub.source(), print)
    assert not (tmp_path / "v1").exists()


def test_a_file_that_arrives_broken_is_named(hub: Hub, tmp_path: Path) -> None:
    hub.files["music_vocoder/diffusion_pytorch_model.safetensors"] = EMPTY_SAFETENSORS + b"rest"
    with pytest.raises(Refused, match=r"music_vocoder.*cut off or damaged"):
        fetch(Request(tmp_path, "main"), hub.source(), print)


def test_an_unknown_revision_and_a_closed_port_are_one_line_with_a_way_out(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"refused: .*check revision=.*model\.path=DIR"):
        fetch(Request(tmp_path, "nope"), hub.source(), print)
    closed = replace(hub.source(), endpoint="http://127.0.0.1:9")
    with pytest.raises(Refused, match=r"127\.0\.0\.1:9 cannot be reached.*model\.path=DIR") as refusal:
        fetch(Request(tmp_path, "main"), closed, print)
    assert "\n" not in str(refusal.value)


def test_a_vocabulary_that_is_not_the_known_one_is_not_kept(hub: Hub, tmp_path: Path) -> None:
    other = replace(hub.source(), vocabulary_sha256="0" * 64)
    with pytest.raises(Refused, match="expected 0000"):
        fetch_vocabulary(other, tmp_path / LYRIC_VOCAB)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / LYRIC_VOCAB).write_bytes(b"an older one")
    fetch_vocabulary(hub.source(), tmp_path / LYRIC_VOCAB)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [VOCABULARY]


def test_a_vocabulary_that_cannot_be_fetched_is_one_line(tmp_path: Path) -> None:
    nowhere = replace(V1, vocabulary_url="http://127.0.0.1:9/vocab.json")
    with pytest.raises(Refused, match="cannot be fetched"):
        fetch_vocabulary(nowhere, tmp_path / LYRIC_VOCAB)


def test_sizes_come_from_the_hub_s_listing() -> None:
    listed = {**dict.fromkeys(PUBLISHED_FILES, 7), "README.md": 3}
    assert published_sizes(listed, V1) == dict.fromkeys(PUBLISHED_FILES, 7)
    with pytest.raises(Refused):
        published_sizes({**listed, PUBLISHED_FILES[0]: None}, V1)


def test_a_full_disk_is_refused_with_what_is_lacking(tmp_path: Path) -> None:
    assert disk_problem(8_280_000_000, 8_280_000_000, tmp_path) is None
    problem = disk_problem(8_280_000_000, 5_000_000_000, tmp_path)
    assert problem is not None
    assert "8.28 GB" in problem.message
    assert "free 3.28 GB" in problem.remedy


def test_the_words_of_a_download(tmp_path: Path) -> None:
    assert parse(["model=v1"]) == Request(None, "main")
    assert parse(["to=" + str(tmp_path), "revision=v2", "model=v1"]) == Request(tmp_path, "v2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no model"),
        (["model=v2"], "unknown model"),
        (["model=embedded"], "comes with the package"),
        (["v1"], "not key=value"),
        (["model="], "not key=value"),
        (["model=v1", "too=x"], "did you mean to"),
        (["model=v1", "model=v1"], "twice"),
    ],
)
def test_other_words_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(Refused, match=message):
        parse(words)


@pytest.mark.parametrize(("offline", "words"), [("1", "HF_HUB_OFFLINE is set"), ("0", "cannot be reached")])
def test_offline_nothing_is_attempted_and_without_network_one_line_says_so(
    tmp_path: Path, offline: str, words: str
) -> None:
    environment = os.environ | {"HF_HUB_OFFLINE": offline, "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-m", "acestep_batch", "download", "model=v1", f"to={tmp_path / 'v1'}"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "v1").exists()


def published(folder: Path, *others: str) -> dict[str, bytes]:
    """The files of a folder by name, and others that nobody needs."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return files | dict.fromkeys(others, b"raise SystemExit")


def test_a_checkpoint_of_1_5_arrives_whole_and_without_code(hub: Hub, tmp_path: Path) -> None:
    unwanted = ("acestep-v15-turbo/modeling.py", "vae/other.bin", "README.md", "acestep-5Hz-lm-1.7B/config.json")
    hub.repository, hub.files = REPOSITORIES[Variant.TURBO], published(write_official(tmp_path / "made"), *unwanted)
    said: list[str] = []
    fetch_v15(["model=v15_turbo", f"to={tmp_path / 'here'}"], said.append, hub.address)
    assert model_problems(tmp_path / "here", V15Source(Variant.TURBO)) == []
    assert published(tmp_path / "here").keys() & set(unwanted) == set()
    assert said[-1] == f"done       use it with `model=v15_turbo model.path={tmp_path / 'here'}`"


def test_a_planner_goes_where_a_run_looks_by_itself(hub: Hub, tmp_path: Path, own_cache: Path) -> None:
    assert find_planner(None, "0.6b", "main") is None
    hub.repository, hub.files = PLANNERS["0.6b"].repository, published(write_planner(tmp_path / "made"), "run.py")
    fetch_v15(["lm=0.6b"], lambda _: None, hub.address)
    folder = find_planner(None, "0.6b", "main")
    assert folder is not None
    assert planner_problems(folder) == []
    assert planner_facts(PlannerSource("0.6b", folder, "main"))["commit"] == COMMIT


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lm=2b"], "unknown planner"),
        (["model=v15_xl"], "unknown model"),
        (["model=v15_sft", "lm=4b"], "two downloads"),
    ],
)
def test_other_words_for_1_5_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(Refused, match=message):
        run(words)


def test_json_is_all_that_a_script_reads_and_all_else_goes_to_people(hub: Hub, tmp_path: Path) -> None:
    """In a process of its own, which asks the hub of this machine alone."""
    hub.repository, hub.files = PLANNERS["0.6b"].repository, published(write_planner(tmp_path / "made"))
    own = {"HF_ENDPOINT": hub.address, "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "acestep_batch", "download", "--json"]

    def download(words: list[str], **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **own, **more}
        return subprocess.run([*command, *words], env=environment, capture_output=True, text=True, check=False)

    done = download(["lm=0.6b"])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.keys() == {"model", "folder", "revision"}
    assert (found["model"], found["revision"]) == ("0.6b", "main")
    assert planner_problems(Path(found["folder"])) == []
    assert "free disk" in done.stderr
    for words in (["lm=0.6b"], ["model=v1"], ["model=v15_turbo"]):
        offline = download(words, HF_HUB_OFFLINE="1")
        assert (offline.returncode, offline.stdout) == (2, "")
        assert "HF_HUB_OFFLINE is set" in offline.stderr
