"""Which scores there are, where their weights lie, and what keeps one from being loaded; loads none, and no torch."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from acestep_batch.engine.checkpoint import cached_snapshot, commit_of
from acestep_batch.parameter import did_you_mean
from acestep_batch.problems import Problem, one_line, refuse

GROUP = "acestep_batch.scores"
"""An entry point of this group names a module that is a ``scores.base.ScoreModule``."""
CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class Published:
    """A score that comes along, and who publishes weights for it."""

    module: str
    repositories: tuple[str, ...]
    """Looked for in the Hugging Face cache in this order; the first one is the one to fetch."""
    fetch: str
    """How to fetch it, with its size."""
    model_type: str | None
    """As ``config.json`` names it; None where it does not."""


OWN: Mapping[str, Published] = {
    "clap": Published(
        "acestep_batch.scores.clap",
        (
            "laion/larger_clap_music",
            "laion/larger_clap_music_and_speech",
            "laion/larger_clap_general",
            "laion/clap-htsat-unfused",
        ),
        "`hf download laion/larger_clap_music` (0.8 GB)",
        "clap",
    ),
    "lyrics": Published(
        "acestep_batch.scores.transcription",
        (
            "openai/whisper-large-v3-turbo",
            "openai/whisper-large-v3",
            "openai/whisper-medium",
            "openai/whisper-small",
        ),
        "`hf download openai/whisper-large-v3-turbo` (1.6 GB)",
        "whisper",
    ),
    "aesthetics": Published(
        "acestep_batch.scores.aesthetics",
        ("facebook/audiobox-aesthetics",),
        "`hf download facebook/audiobox-aesthetics config.json model.safetensors` (0.4 GB)",
        None,
    ),
}
"""Those that come along: the text-audio score of CLAP, the error rate of lyrics that Whisper hears, and listeners'
judgements as Audiobox aesthetics predicts them."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a score's weights lie, or why it cannot be loaded."""

    folder: Path | None = None
    """None for a score of another package that looks for itself, or needs none."""
    weights: str = ""
    """Names the weights in what is kept of a song; numbers of other weights do not compare."""
    problem: str = ""
    """Empty where nothing is known to be wrong; that loading succeeds is not promised."""
    remedy: str = ""


def plugins() -> dict[str, EntryPoint]:
    """Scores of other packages by name; those that come along win over them."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in OWN}


def names() -> list[str]:
    """Every score that can be asked for."""
    return sorted({*OWN, *plugins()})


def parse_scores(texts: Iterable[str]) -> dict[str, Path | None]:
    """``NAME`` or ``NAME:FOLDER`` of each score that is asked for. Raises Refused for a name that stands twice."""
    found: dict[str, Path | None] = {}
    for text in texts:
        name, _, folder = text.partition(":")
        if name in found:
            raise refuse("scores", f"{name} stands twice", "give it once")
        found[name] = Path(folder).expanduser() if folder else None
    return found


def find_score(name: str, folder: Path | None) -> Found:
    """What is known of a score before it is loaded; ``folder`` is where a person says that its weights lie."""
    if folder is not None and not folder.is_dir():
        return Found(folder, problem=f"{folder} is no folder", remedy="give the folder that holds its weights")
    if name in OWN:
        return _find_own(name, folder)
    if name in (others := plugins()):
        return _find_plugin(others[name], folder)
    remedy = f"use {', '.join(names())}, or install its package"
    return Found(problem=f"there is no such score{did_you_mean(name, names())}", remedy=remedy)


def score_problems(wanted: Mapping[str, Path | None]) -> list[Problem]:
    """Why scores that are asked for cannot be given."""
    found = {name: find_score(name, folder) for name, folder in wanted.items()}
    return [Problem(f"score {name}", each.problem, each.remedy) for name, each in found.items() if each.problem]


def module_of(name: str) -> ModuleType:
    """The module of a known score, imported; what other people's code raises is passed on."""
    if name in OWN:
        return importlib.import_module(OWN[name].module)
    loaded = plugins()[name].load()
    if not isinstance(loaded, ModuleType) or not callable(getattr(loaded, "load", None)):
        raise TypeError(f"its entry point names {type(loaded).__name__}, and not a module with the function load")
    return loaded


def _find_own(name: str, folder: Path | None) -> Found:
    own = OWN[name]
    place, weights = folder, "" if folder is None else str(folder.resolve())
    for repository in own.repositories if folder is None else ():
        if (place := cached_snapshot(repository, (CONFIG,), "main")) is not None:
            weights = f"{repository}@{commit_of(place, repository)}"
            break
    if place is None:
        remedy = f"{own.fetch} fetches it; or give the folder that holds weights as {name}:DIR"
        return Found(problem=f"{own.repositories[0]} is not in the Hugging Face cache", remedy=remedy)
    problem = _folder_problem(place, own.model_type)
    return Found(place, weights, problem, own.fetch if problem else "")


def _folder_problem(folder: Path, model_type: str | None) -> str:
    """Why a folder cannot hold the weights of a model as transformers saves it; empty where it may."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"{folder} has no {CONFIG}"
    except (OSError, ValueError, RecursionError) as error:
        return f"{folder / CONFIG} cannot be read ({one_line(error)})"
    found = config.get("model_type") if isinstance(config, dict) else None
    if model_type is not None and found != model_type:
        return f"{folder} holds a model of type {found}, and not {model_type}"
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        return f"{folder} has no weights (*.safetensors)"
    return ""


def _find_plugin(point: EntryPoint, folder: Path | None) -> Found:
    package = "" if point.dist is None else f"{point.dist.name} {point.dist.version}"
    weights = ", ".join(filter(None, (package, "" if folder is None else str(folder.resolve()))))
    try:
        missing = getattr(module_of(point.name), "missing", None)
        problem = "" if missing is None else str(missing(folder) or "")
    except Exception as error:  # other people's code
        return Found(
            folder, weights, f"{package or point.value} cannot be used ({one_line(error)})", "install it again"
        )
    return Found(folder, weights, problem, f"see {package or point.value}" if problem else "")
