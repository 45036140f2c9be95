"""The `download` verb: fetches the published files of a model when asked to; nothing else here ever does."""

from __future__ import annotations

import hashlib
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from acestep_batch.engine.checkpoint import LYRIC_VOCAB, PUBLISHED_FILES, REPOSITORY, missing_files
from acestep_batch.outputs.atomic import write_bytes
from acestep_batch.outputs.folders import check_writable, free_bytes
from acestep_batch.outputs.records import json_text
from acestep_batch.problems import Problem, Refused, refuse
from acestep_batch.words import parse_words

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

PUBLISHED = "v1, v15_turbo, v15_base, v15_sft"
USAGE = (
    "python -m acestep_batch download model=v1|v15_turbo|v15_base|v15_sft [to=DIR] [revision=main] [--json], "
    "or lm=0.6b|1.7b|4b"
)
_VOCABULARY_LIMIT_BYTES = 8_000_000
_TIMEOUT_S = 30.0
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be fetched, and where it goes."""

    folder: Path | None
    """None is the Hugging Face cache, where a run looks by itself."""
    revision: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model's files are published."""

    repo_id: str
    size: str
    """For people who have to fetch it by other means."""
    vocabulary_url: str = ""
    """Of v1 alone; empty for none."""
    vocabulary_sha256: str = ""
    endpoint: str | None = None
    """The hub's address; None is the hub client's own choice (``HF_ENDPOINT`` or the public hub)."""
    required: tuple[str, ...] = PUBLISHED_FILES
    """Files without which it is no model."""
    patterns: tuple[str, ...] = ()
    """What else is fetched where the repository lists it, such as the shards of weights."""


V1 = Source(
    repo_id=REPOSITORY,
    size="8.28 GB",
    vocabulary_url="https://raw.githubusercontent.com/ace-step/ACE-Step/d612523f50e252c0e138e68ae75b06223f96e934"
    "/acestep/models/lyrics_utils/vocab.json",
    vocabulary_sha256="c2a66ea48c478c0bb9acb5497144b926acdeaa37128faa799508d40f2b9cc558",
)


def run(argv: Sequence[str]) -> int:
    """Carry out `download` with its words and return 0. Raises Refused as `parse` and `fetch` do."""
    if set(argv) & {"-h", "--help"}:
        print(
            f"usage: {USAGE}\n\n{V1.repo_id} ({V1.size}) and its lyric vocabulary, into the Hugging Face cache or to="
        )
    elif "--json" in argv:
        request = parse([word for word in argv if word != "--json"])
        folder = fetch(request, V1, lambda line: print(line, file=sys.stderr))
        print(json_text({"model": "v1", "folder": str(folder), "revision": request.revision}, indent=2))
    else:
        fetch(parse(argv), V1, print)
    return 0


def parse(words: Sequence[str]) -> Request:
    """Read the words of `download`. Raises Refused for unknown words and for models that are not published."""
    values = parse_words("download", words, ("model", "to", "revision"))
    model = values.get("model")
    if model is None:
        raise refuse("download", "no model is named", USAGE)
    if model in ("embedded", "embedded_v15", "embedded_v15_base"):
        raise refuse(f"download model={model}", "the embedded model comes with the package", "use it as it is")
    if model != "v1":
        raise refuse(f"download model={model}", "unknown model", f"allowed: {PUBLISHED}")
    return request_of(values)


def request_of(values: Mapping[str, str]) -> Request:
    """Where files go, and of which revision."""
    folder = Path(values["to"]).expanduser().absolute() if "to" in values else None
    return Request(folder, values.get("revision", "main"))


def fetch(request: Request, source: Source, say: Callable[[str], None]) -> Path:
    """Fetch what v1 lacks and return its folder.

    Raises Refused as ``fetch_files``, when the vocabulary is not the known one, or when a file that arrived is not
    whole.
    """
    folder = fetch_files(request, source, say)
    fetch_vocabulary(source, folder / LYRIC_VOCAB)
    if missing := missing_files(folder):
        raise Refused(missing)
    where = f" model.path={folder}" if request.folder else ""
    say(f"done       use it with `model=v1{where}`")
    return folder


def fetch_files(request: Request, source: Source, say: Callable[[str], None]) -> Path:
    """Fetch what is missing of a source and return its folder; sizes and free disk are told first.

    Raises Refused when offline, unreachable, unpublished or out of disk.
    """
    from huggingface_hub import constants, snapshot_download

    if constants.is_offline_mode():
        raise refuse("download", "HF_HUB_OFFLINE is set, so nothing is fetched", _by_other_means(source, "unset it"))
    target = request.folder or Path(constants.HF_HUB_CACHE)
    if problem := check_writable(target):
        raise refuse("download", problem.message, "choose another folder with to=")
    info = _asking(source, lambda: _ask_hub(request, source))
    sizes = published_sizes({file.rfilename: file.size for file in info.siblings or ()}, source)
    needed = sum(size for name, size in sizes.items() if not _is_there(request, source, info, name, size))
    free = free_bytes(target)
    say(f"{source.repo_id}, revision {request.revision}, commit {info.sha}")
    say(f"size       {_gb(sum(sizes.values()))} in {len(sizes)} files, {_gb(needed)} of them to fetch")
    say(f"to         {target}")
    say(f"free disk  {_gb(free)}")
    if problem := disk_problem(needed, free, target):
        raise Refused([problem])
    # By name, not by commit: the cache then remembers which commit the name means. Files in place are not fetched.
    return Path(
        _asking(
            source,
            lambda: snapshot_download(
                source.repo_id,
                revision=request.revision,
                local_dir=request.folder,
                allow_patterns=list(sizes),
                endpoint=source.endpoint,
            ),
        )
    )


def published_sizes(listed: Mapping[str, int | None], source: Source) -> dict[str, int]:
    """Bytes of each file that the model needs, from the hub's listing. Raises Refused for files not listed."""
    names = [*source.required, *(name for name in listed if _matches(name, source) and name not in source.required)]
    sizes = {name: size for name in names if (size := listed.get(name)) is not None}
    if absent := [name for name in source.required if name not in sizes]:
        raise refuse("download", f"{source.repo_id} no longer lists {', '.join(absent)}", "try another revision=")
    return sizes


def _matches(name: str, source: Source) -> bool:
    """Whether one of the patterns names a file; a star stands for no folder."""
    return any(fnmatchcase(name, each) and name.count("/") == each.count("/") for each in source.patterns)


def disk_problem(needed_bytes: int, free_bytes: int, folder: Path) -> Problem | None:
    """Whether the files still to be fetched fit on the disk."""
    if needed_bytes <= free_bytes:
        return None
    message = f"{_gb(needed_bytes)} are needed in {folder}, {_gb(free_bytes)} are free"
    return Problem("download", message, f"free {_gb(needed_bytes - free_bytes)}, or choose another disk with to=")


def fetch_vocabulary(source: Source, target: Path) -> None:
    """Fetch the lyric vocabulary, which the hub does not hold, unless the known one is there already.

    Raises Refused when it cannot be fetched or is not byte for byte the known one; then nothing is written.
    """
    if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == source.vocabulary_sha256:
        return
    try:
        with urllib.request.urlopen(source.vocabulary_url, timeout=_TIMEOUT_S) as response:
            content: bytes = response.read(_VOCABULARY_LIMIT_BYTES)
    except OSError as error:
        remedy = f"fetch it with a browser and save it as {target}"
        raise refuse("download", f"{source.vocabulary_url} cannot be fetched ({error})", remedy) from error
    found = hashlib.sha256(content).hexdigest()
    if found != source.vocabulary_sha256:
        message = f"{source.vocabulary_url} has sha256 {found}, expected {source.vocabulary_sha256}; it was not kept"
        raise refuse("download", message, "a proxy may have changed it: fetch it over another network")
    write_bytes(target, content, replace=True)


def _ask_hub(request: Request, source: Source) -> ModelInfo:
    from huggingface_hub import HfApi

    api = HfApi(endpoint=source.endpoint)
    return api.model_info(source.repo_id, revision=request.revision, files_metadata=True, timeout=_TIMEOUT_S)


def _asking(source: Source, call: Callable[[], _Answer]) -> _Answer:
    """Make one call of the hub's client and turn its failure into one line for a person."""
    from huggingface_hub.constants import ENDPOINT
    from huggingface_hub.errors import HfHubHTTPError

    hub = source.endpoint or ENDPOINT
    try:
        return call()
    except HfHubHTTPError as error:
        answer = _first_line(error)
        raise refuse("download", f"{hub} refused: {answer}", _by_other_means(source, "check revision=")) from error
    except Exception as error:
        # The client passes on the exceptions of its HTTP and transfer libraries, which change with its versions.
        message = f"{hub} cannot be reached or broke off ({type(error).__name__}: {_first_line(error)})"
        raise refuse("download", message, _by_other_means(source, "check the network and run it again")) from error


def _by_other_means(source: Source, first: str) -> str:
    size = f" ({source.size})" if source.size else ""
    return f"{first}, or download {source.repo_id}{size} elsewhere and use `model.path=DIR`"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")


def _is_there(request: Request, source: Source, info: ModelInfo, name: str, size: int) -> bool:
    from huggingface_hub import try_to_load_from_cache

    cached = None if request.folder else try_to_load_from_cache(source.repo_id, name, revision=info.sha)
    file = request.folder / name if request.folder else Path(cached) if isinstance(cached, str) else None
    return file is not None and file.is_file() and file.stat().st_size == size


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB"
