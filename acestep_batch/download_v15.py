"""The `download` verb for 1.5: checkpoints with what they take from the bundle, and planners; v1 is download's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from acestep_batch import download
from acestep_batch.download import PUBLISHED, Request, Source, fetch_files, request_of
from acestep_batch.engine.v15.checkpoint_layout import (
    OFFICIAL_FOLDERS,
    OFFICIAL_TEXT_ENCODER,
    REPOSITORIES,
    SILENCE_FILE,
)
from acestep_batch.engine.v15.planner_files import CONFIG, PLANNERS, TOKENIZER, planner_problems
from acestep_batch.engine.v15.variant import Variant
from acestep_batch.engine.v15.weights import V15Source, model_problems
from acestep_batch.models import MODELS
from acestep_batch.outputs.records import json_text
from acestep_batch.problems import Problem, Refused, refuse
from acestep_batch.words import parse_words

PUBLISHED_V15: Mapping[str, Variant] = {
    name: model.variant for name, model in MODELS.items() if model.variant is not None and not model.is_embedded
}
"""Checkpoints of 1.5 by ``model=``."""


def run(words: Sequence[str]) -> int:
    """Carry out `download` with its words and return 0. Raises Refused as ``download.run`` and ``fetch_v15`` do."""
    if not any(word.startswith(("lm=", "model=v15")) for word in words):
        return download.run(words)
    is_json = "--json" in words
    own = [word for word in words if word != "--json"]
    folder, request = fetch_v15(own, (lambda line: print(line, file=sys.stderr)) if is_json else print)
    if is_json:
        name = next(word.partition("=")[2] for word in own if word.startswith(("model=", "lm=")))
        print(json_text({"model": name, "folder": str(folder), "revision": request.revision}, indent=2))
    return 0


def fetch_v15(words: Sequence[str], say: Callable[[str], None], endpoint: str | None = None) -> tuple[Path, Request]:
    """Fetch a checkpoint of 1.5 or a planner, and what a checkpoint takes from the bundle; returns its folder.

    Raises Refused as ``parse`` and ``fetch_files``, and where a file that arrived is not whole.
    """
    values = parse_words("download", words, ("model", "lm", "to", "revision"))
    model, lm = values.get("model"), values.get("lm")
    if model is not None and lm is not None:
        raise refuse("download", "model= and lm= are two downloads", "one after the other")
    request = request_of(values)
    if lm is not None:
        if lm not in PLANNERS:
            raise refuse(f"download lm={lm}", "unknown planner", f"allowed: {', '.join(PLANNERS)}")
        folder, problems = _fetch_planner(lm, request, say, endpoint)
        use = f"lm={lm}" + (f" lm.path={folder}" if request.folder else "")
    else:
        if model is None or model not in PUBLISHED_V15:
            raise refuse(f"download model={model}", "unknown model", f"allowed: {PUBLISHED}")
        folder, problems = _fetch_v15_model(PUBLISHED_V15[model], request, say, endpoint)
        use = f"model={model}" + (f" model.path={folder}" if request.folder else "")
    if problems:
        raise Refused(problems)
    say(f"done       use it with `{use}`")
    return folder, request


def _fetch_planner(
    name: str, request: Request, say: Callable[[str], None], endpoint: str | None
) -> tuple[Path, list[Problem]]:
    published = PLANNERS[name]
    below = f"{published.folder}/" if published.folder else ""
    own = request
    if request.folder is not None and not published.folder:  # the repository is the planner's folder
        own = Request(request.folder / published.repository.rpartition("/")[2], request.revision)
    source = Source(
        published.repository,
        "",
        endpoint=endpoint,
        required=(f"{below}{CONFIG}", f"{below}{TOKENIZER}"),
        patterns=_weights(below),
    )
    folder = fetch_files(own, source, say) / published.folder
    return folder, planner_problems(folder)


def _fetch_v15_model(
    variant: Variant, request: Request, say: Callable[[str], None], endpoint: str | None
) -> tuple[Path, list[Problem]]:
    """The model's own folder stands below ``to=`` beside what it takes from the bundle, as ``find_layout`` looks."""
    bundle, own_folder = REPOSITORIES[Variant.TURBO], OFFICIAL_FOLDERS[variant]
    shared = ("vae/", f"{OFFICIAL_TEXT_ENCODER}/")
    required = (*(f"{below}config.json" for below in shared), f"{OFFICIAL_TEXT_ENCODER}/{TOKENIZER}")
    patterns = tuple(pattern for below in shared for pattern in _weights(below))
    if REPOSITORIES[variant] == bundle:
        below = f"{own_folder}/"
        source = Source(
            bundle,
            "",
            endpoint=endpoint,
            required=(*required, f"{below}config.json", f"{below}{SILENCE_FILE}"),
            patterns=(*patterns, *_weights(below)),
        )
        folder = fetch_files(request, source, say)
        return folder, model_problems(folder, V15Source(variant))
    fetched = fetch_files(Request(request.folder, "main"), Source(
        bundle, "", endpoint=endpoint, required=required, patterns=patterns), say)  # fmt: skip
    own = request if request.folder is None else Request(request.folder / own_folder, request.revision)
    source = Source(
        REPOSITORIES[variant],
        "",
        endpoint=endpoint,
        required=("config.json", SILENCE_FILE),
        patterns=_weights(""),
    )
    folder = fetch_files(own, source, say)
    return folder, model_problems(folder, V15Source(variant, bundle=fetched))


def _weights(below: str) -> tuple[str, ...]:
    """Weights in one file or several; no code and no pickles."""
    return (f"{below}*.safetensors", f"{below}*.safetensors.index.json")
