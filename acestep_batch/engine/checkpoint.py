"""The published v1 checkpoint on disk: where it lies, whether it is whole, and which bytes it holds; no torch."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TypedDict

import platformdirs

from acestep_batch.engine.safetensors_header import DamagedHeaderError, read_header
from acestep_batch.problems import Problem

log = logging.getLogger(__name__)

REPOSITORY = "ACE-Step/ACE-Step-v1-3.5B"
LYRIC_VOCAB = "lyric_vocab.json"
CLASS_KEYS: Mapping[str, tuple[str, str]] = {
    "ace_step_transformer/config.json": ("_class_name", "ACEStepTransformer2DModel"),
    "music_dcae_f8c8/config.json": ("_class_name", "AutoencoderDC"),
    "music_vocoder/config.json": ("_class_name", "ADaMoSHiFiGANV1"),
    "umt5-base/config.json": ("model_type", "umt5"),
}
"""Config files with the key and the value that tell the component's class."""
PUBLISHED_FILES = (
    "ace_step_transformer/config.json",
    "ace_step_transformer/diffusion_pytorch_model.safetensors",
    "music_dcae_f8c8/config.json",
    "music_dcae_f8c8/diffusion_pytorch_model.safetensors",
    "music_vocoder/config.json",
    "music_vocoder/diffusion_pytorch_model.safetensors",
    "umt5-base/config.json",
    "umt5-base/model.safetensors",
    "umt5-base/tokenizer.json",
    "umt5-base/tokenizer_config.json",
    "umt5-base/special_tokens_map.json",
)
"""What the model needs of the hub repository, relative to the checkpoint's folder."""

_COMMIT = re.compile("[0-9a-f]{40}")
_MOST_LAYERS, _LARGEST_NUMBER = 1_000, 10_000_000
"""Of a component's config.json: what would take hours to build is no model."""
_DOWNLOAD = "fetch it with `python -m acestep_batch download model=v1`"
_REPLACE = "delete it and fetch it again with `python -m acestep_batch download model=v1`"


class FileFacts(TypedDict):
    """One file of a checkpoint, as records name it."""

    path: str
    """Relative to the checkpoint's folder, with forward slashes; absolute for a file outside it."""
    size: int
    sha256: str


def find_checkpoint(path: Path | None, revision: str = "main") -> Path | None:
    """The checkpoint's folder: ``path`` if given, else the Hugging Face cache's snapshot of ``revision``.

    None where the cache has no file of that snapshot. Looks at the disk only; ``HF_HOME`` and ``HF_HUB_CACHE`` are
    honoured. Whether the folder is whole is ``missing_files``' question.
    """
    if path is not None:
        return path
    return cached_snapshot(REPOSITORY, PUBLISHED_FILES, revision)


def cached_snapshot(repository: str, names: Iterable[str], revision: str) -> Path | None:
    """The folder of a repository's snapshot in the Hugging Face cache; None where it holds none of ``names``."""
    from huggingface_hub import try_to_load_from_cache

    for name in names:
        cached = try_to_load_from_cache(repository, name, revision=revision)
        if isinstance(cached, str):
            return Path(cached).parents[len(PurePosixPath(name).parts) - 1]
    return None


def commit_of(folder: Path, repository: str = REPOSITORY) -> str | None:
    """The commit of a repository that a checkpoint's folder holds, 40 hexadecimal digits.

    The Hugging Face cache names its snapshots by it. None for any other folder, whatever its name.
    """
    folder = folder.resolve()
    snapshots = (f"models--{repository.replace('/', '--')}", "snapshots")
    is_snapshot = folder.parts[-3:-1] == snapshots and _COMMIT.fullmatch(folder.name)
    return folder.name if is_snapshot else None


def missing_files(folder: Path, lyric_vocab: Path | None = None) -> list[Problem]:
    """What is wrong with each file of a checkpoint; empty when every file is there, whole and of its class.

    The lyric vocabulary is ``lyric_vocab`` or, if None, ``lyric_vocab.json`` in the folder.
    """
    if not folder.is_dir():
        return [Problem(str(folder), "is not a folder", "give the checkpoint's folder as model.path=")]
    problems = [file_problem(folder / name, CLASS_KEYS.get(name)) for name in PUBLISHED_FILES]
    if lyric_vocab is None:
        problems.append(file_problem(folder / LYRIC_VOCAB))
    else:
        problems.append(file_problem(lyric_vocab, if_missing="correct model.lyric_vocab="))
    return [problem for problem in problems if problem is not None]


def file_problem(
    file: Path, class_key: tuple[str, str] | None = None, if_missing: str = _DOWNLOAD, replace: str = _REPLACE
) -> Problem | None:
    """What is wrong with one file, or None: absent, empty, cut off, or not of the class that ``class_key`` names."""
    try:
        if not file.is_file():
            return Problem(str(file), "is missing", if_missing)
        size = file.stat().st_size
        if size == 0:
            return Problem(str(file), "is empty", replace)
        if file.suffix == ".safetensors":
            try:
                read_header(file)
            except DamagedHeaderError as damage:
                return Problem(str(file), str(damage), replace)
            return None
        if class_key is not None:
            return _config_problem(file, *class_key)
        if file.suffix == ".json" and not _is_json_object(file):
            return Problem(str(file), "is not readable as JSON", replace)
    except OSError as error:
        return Problem(str(file), f"cannot be read ({error.strerror or error})", "check its permissions")
    return None


def _is_json_object(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
    except (ValueError, RecursionError):
        return False


def _config_problem(file: Path, key: str, expected: str) -> Problem | None:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return Problem(str(file), "is not readable as JSON", _REPLACE)
    found = config.get(key) if isinstance(config, dict) else None
    if found != expected:
        return Problem(
            str(file), f"{key} is {found!r:.60}, expected {expected!r}", "this is not an ACE-Step v1 checkpoint"
        )
    for name, value in config.items():
        most = _MOST_LAYERS if any(word in name for word in ("layers", "blocks", "depths")) else _LARGEST_NUMBER
        if any(not 0 <= number <= most for number in _numbers(value)):
            return Problem(str(file), f"{name} is {value!r:.60}, which is no size of a model", _REPLACE)
    return None


def _numbers(value: object) -> Iterator[float]:
    """The numbers in a value of a config.json, in lists too."""
    if isinstance(value, list):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def describe_files(folder: Path, cache: Path | None = None, lyric_vocab: Path | None = None) -> list[FileFacts]:
    """Size and sha256 of every file of a whole checkpoint, the lyric vocabulary last.

    Hashes are remembered in the folder ``cache`` (None: the user's cache folder) and reused while a file keeps its
    path, size and modification time. Raises OSError for a file that cannot be read.
    """
    return file_facts(
        folder, (*(folder / name for name in PUBLISHED_FILES), lyric_vocab or folder / LYRIC_VOCAB), cache
    )


def file_facts(folder: Path, files: Iterable[Path], cache: Path | None = None) -> list[FileFacts]:
    """Size and sha256 of ``files``, with paths relative to ``folder`` where they lie in it; otherwise as above."""
    remembered_in = (cache or platformdirs.user_cache_path("acestep_batch")) / "sha256.json"
    remembered = _read_cache(remembered_in)
    known = dict(remembered)
    facts = []
    for file in files:
        status = file.stat()
        key = f"{file.resolve()}|{status.st_size}|{status.st_mtime_ns}"
        if key not in known:
            with file.open("rb") as stream:
                known[key] = hashlib.file_digest(stream, "sha256").hexdigest()
        path = file.relative_to(folder) if file.is_relative_to(folder) else file.absolute()
        facts.append(FileFacts(path=path.as_posix(), size=status.st_size, sha256=known[key]))
    if known != remembered:
        _write_cache(remembered_in, known)
    return facts


def _read_cache(file: Path) -> dict[str, str]:
    """Remembered hashes; a cache that is absent or damaged is an empty one."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    items = content.items() if isinstance(content, dict) else ()
    return {key: value for key, value in items if isinstance(value, str) and len(value) == 64}


def _write_cache(file: Path, content: dict[str, str]) -> None:
    """Replace the cache in one step. A folder that cannot be written only costs hashing again, so it is a warning."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            fresh = Path(folder) / file.name
            fresh.write_text(json.dumps(content, indent=1), encoding="utf-8")
            fresh.replace(file)
    except OSError as error:
        log.warning("cannot remember file hashes in %s (%s); they will be computed again", file, error)
