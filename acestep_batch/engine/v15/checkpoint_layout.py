"""Where the files of a 1.5 checkpoint lie, in diffusers' layout or the official one, and whether they are whole.

No torch. diffusers' folder has ``model_index.json`` and one folder for each component. The official bundle has
``vae``, ``Qwen3-Embedding-0.6B`` and one folder for each diffusion model, like ``acestep-v15-turbo``; models that are
published by themselves are laid beside them, or take both from the bundle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from acestep_batch.engine.checkpoint import FileFacts, file_facts, file_problem
from acestep_batch.engine.v15.key_map import AUDIO_TOKENIZER, CONDITION_ENCODER, DETOKENIZER, TRANSFORMER
from acestep_batch.engine.v15.variant import Variant
from acestep_batch.problems import Problem, Refused, refuse

REPOSITORIES: Mapping[Variant, str] = {
    Variant.TURBO: "ACE-Step/Ace-Step1.5",
    Variant.BASE: "ACE-Step/acestep-v15-base",
    Variant.SFT: "ACE-Step/acestep-v15-sft",
}
"""On the hub. The first is the bundle, which holds autoencoder and text encoder for all of them."""
OFFICIAL_FOLDERS: Mapping[Variant, str] = {variant: f"acestep-v15-{variant}" for variant in Variant}
VAE, TEXT_ENCODER = "vae", "text_encoder"
OFFICIAL_TEXT_ENCODER = "Qwen3-Embedding-0.6B"
SILENCE_FILE = "silence_latent.pt"

_MODEL, _DIFFUSION_MODEL = "model.safetensors", "diffusion_pytorch_model.safetensors"
_CLASSES = {
    TRANSFORMER: ("_class_name", "AceStepTransformer1DModel"),
    CONDITION_ENCODER: ("_class_name", "AceStepConditionEncoder"),
    AUDIO_TOKENIZER: ("_class_name", "AceStepAudioTokenizer"),
    DETOKENIZER: ("_class_name", "AceStepAudioTokenDetokenizer"),
    VAE: ("_class_name", "AutoencoderOobleck"),
    TEXT_ENCODER: ("model_type", "qwen3"),
}
_OFFICIAL_SIZES = ("hidden_size", "num_hidden_layers", "in_channels", "audio_acoustic_hidden_dim", "timbre_hidden_dim")
_MOST_LAYERS, _LARGEST_SIZE = 1_000, 10_000_000
"""What would take hours to build is no model."""
_FETCH = "download it, or correct model.path="


@dataclass(frozen=True, slots=True)
class Layout:
    """A checkpoint's folders."""

    kind: Literal["diffusers", "official"]
    root: Path
    """What the user named; files are told relative to it."""
    folders: Mapping[str, Path]
    """By component. In the official layout ``transformer`` is the folder of the one file that all but autoencoder and
    text encoder lie in. Audio tokenizer and detokenizer may be absent from a diffusers folder."""
    tokenizer: Path
    """The text encoder's ``tokenizer.json``."""


def find_layout(folder: Path, variant: Variant = Variant.TURBO, bundle: Path | None = None) -> Layout:
    """The layout of the checkpoint in ``folder``: a diffusers folder, the official bundle, or one model's own folder.

    Of a bundle, ``variant`` chooses the model. Autoencoder and text encoder of a model's own folder lie in ``bundle``,
    or beside the folder.

    Raises:
        Refused: the folder is none of these.
    """
    if not folder.is_dir():
        raise refuse(str(folder), "is not a folder", "give the checkpoint's folder as model.path=")
    if (folder / "model_index.json").is_file():
        names = [*(name for name in _CLASSES if (folder / name).is_dir())]
        return Layout("diffusers", folder, {name: folder / name for name in names}, folder / "tokenizer/tokenizer.json")
    if (folder / OFFICIAL_FOLDERS[variant]).is_dir():
        return _official(folder, folder / OFFICIAL_FOLDERS[variant], bundle or folder)
    if (folder / SILENCE_FILE).is_file():
        return _official(folder, folder, bundle or folder.parent)
    expected = f"neither model_index.json, nor {OFFICIAL_FOLDERS[variant]}, nor {SILENCE_FILE} is in it"
    raise refuse(str(folder), f"is no ACE-Step 1.5 checkpoint: {expected}", _FETCH)


def _official(root: Path, model: Path, shared: Path) -> Layout:
    text_encoder = shared / OFFICIAL_TEXT_ENCODER
    folders = {TRANSFORMER: model, VAE: shared / "vae", TEXT_ENCODER: text_encoder}
    return Layout("official", root, folders, text_encoder / "tokenizer.json")


def layout_problems(layout: Layout) -> list[Problem]:
    """What is wrong with each file of a checkpoint; empty when every file is there, whole and of its class."""
    problems: list[Problem] = []
    needed = {TRANSFORMER, CONDITION_ENCODER, VAE, TEXT_ENCODER} if layout.kind == "diffusers" else set()
    problems += [Problem(str(layout.root / name), "is missing", _FETCH) for name in sorted(needed - {*layout.folders})]
    problems += filter(None, [file_problem(layout.tokenizer, if_missing=_FETCH, replace=_FETCH)])
    for name, folder in layout.folders.items():
        problems += _folder_problems(name, folder, layout.kind)
    return problems


def _folder_problems(name: str, folder: Path, kind: str) -> Iterator[Problem]:
    official = kind == "official" and name == TRANSFORMER
    config = folder / "config.json"
    if problem := file_problem(config, if_missing=_FETCH, replace=_FETCH):
        yield problem
    elif fault := _config_fault(read_config(folder), None if official else _CLASSES[name]):
        yield Problem(str(config), fault, _FETCH)
    if official and not (folder / SILENCE_FILE).is_file():
        yield Problem(str(folder / SILENCE_FILE), "is missing", _FETCH)
    try:
        files = weight_files(folder)
    except Refused as error:
        yield from error.problems
        return
    for file in files:
        if problem := file_problem(file, if_missing=_FETCH, replace=_FETCH):
            yield problem


def _config_fault(config: Mapping[str, Any], class_key: tuple[str, str] | None) -> str | None:
    """What no such component has in its ``config.json``; ``class_key`` is None for the official one."""
    if class_key is not None and config.get(class_key[0]) != class_key[1]:
        return f"{class_key[0]} is {config.get(class_key[0])!r:.60}, expected {class_key[1]!r}"
    if class_key is None and (absent := [name for name in _OFFICIAL_SIZES if name not in config]):
        return f"{absent[0]} is missing: this is no ACE-Step 1.5 model"
    for name, value in config.items():
        most = _MOST_LAYERS if "layers" in name else _LARGEST_SIZE
        for number in value if isinstance(value, list) else [value]:
            if type(number) is int and abs(number) > most:
                return f"{name} is {value!r:.60}, which is no size of a model"
    return None


def read_config(folder: Path) -> dict[str, Any]:
    """The ``config.json`` of a component; raises ValueError or OSError where there is none."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a component: one, or the shards that an index names.

    Raises:
        Refused: the index is none, or names files elsewhere.
    """
    for name in (_DIFFUSION_MODEL, _MODEL):
        index = folder / f"{name}.index.json"
        if (folder / name).is_file() or not index.is_file():
            continue
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
            if not all(PurePosixPath(each).name == each and each.endswith(".safetensors") for each in names):
                raise ValueError("it names files elsewhere")
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise refuse(str(index), f"is no index of weights ({str(error)[:100]})", _FETCH) from error
        return [folder / each for each in names]
    return [folder / (_DIFFUSION_MODEL if (folder / _DIFFUSION_MODEL).is_file() else _expected(folder))]


def _expected(folder: Path) -> str:
    """What a folder without weights lacks, by its neighbours."""
    own = (folder / _MODEL).is_file() or (folder / SILENCE_FILE).is_file() or (folder / "tokenizer.json").is_file()
    return _MODEL if own or folder.name == TEXT_ENCODER else _DIFFUSION_MODEL


def layout_files(layout: Layout) -> list[Path]:
    """Every file that the sound follows from."""
    files = [layout.tokenizer]
    for name, folder in sorted(layout.folders.items()):
        files += [folder / "config.json", *weight_files(folder)]
        if layout.kind == "official" and name == TRANSFORMER:
            files.append(folder / SILENCE_FILE)
    return files


def describe_layout(layout: Layout, cache: Path | None = None) -> list[FileFacts]:
    """Size and sha256 of every file, for the record; as ``checkpoint.file_facts``."""
    return file_facts(layout.root, layout_files(layout), cache)
