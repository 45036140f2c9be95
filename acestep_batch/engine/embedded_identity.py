"""Which weights the embedded model has, known without drawing or reading them; no torch.

Trained ones where the package holds them, in the layout of a published checkpoint; else those that are drawn in code.
"""

from __future__ import annotations

import json
from pathlib import Path

from acestep_batch.engine.checkpoint import FileFacts
from acestep_batch.engine.embedded_text import text_tokenizer_path

TRAINED = Path(__file__).with_name("embedded_assets") / "trained"
"""Folder of the trained weights; it need not be there."""
FACTS_FILE = "files.json"
"""In it: size and sha256 of each of its files, by their names relative to it."""
WORDS_FILE = "words.json"
"""In it: the words of prompts that it was trained on."""
LABEL, TRAINED_LABEL = "embedded, untrained", "embedded demo model"

EMBEDDED_WEIGHTS = FileFacts(
    path=LABEL, size=6_832_056, sha256="ef0b72bb1dd0ed1fa6056da9c35fc8a6580b876db59a305b7f7db329585ddf69"
)
"""As the entry of a record's file list. The weights are drawn in code, so this changes only when the code does."""


def is_trained() -> bool:
    """Whether the package holds trained weights."""
    return (TRAINED / FACTS_FILE).is_file()


def embedded_label() -> str:
    """How records and tables name the embedded model."""
    return TRAINED_LABEL if is_trained() else LABEL


def embedded_files() -> list[FileFacts]:
    """The weights as the entries of a record's file list."""
    if not is_trained():
        return [EMBEDDED_WEIGHTS]
    entries = json.loads((TRAINED / FACTS_FILE).read_text(encoding="utf-8"))
    return [
        FileFacts(path=f"{TRAINED_LABEL}/{each['path']}", size=each["size"], sha256=each["sha256"]) for each in entries
    ]


def is_embedded_file(path: str) -> bool:
    """Whether a record's file list names one of the embedded model's, drawn or trained, by ``path``."""
    return path == LABEL or is_demo_file(path)


def is_demo_file(path: str) -> bool:
    """Whether ``path``, as above, is one of the trained weights."""
    return path.startswith(f"{TRAINED_LABEL}/")


def prompt_tokenizer_path() -> Path:
    """The tokenizer that goes with the weights."""
    return TRAINED / "umt5-base" / "tokenizer.json" if is_trained() else text_tokenizer_path()
