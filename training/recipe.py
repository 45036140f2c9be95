"""The hash of the code that a rendered clip follows from."""

from __future__ import annotations

import hashlib
from pathlib import Path

MODULES = (
    *("words", "draws", "tempo", "prompts", "harmony", "events", "lyrics", "melody", "accompaniment", "rhythm"),
    *("composer", "oscillators", "leads", "backings", "kit", "mixing", "synth", "analysis"),
)
"""Of `training`: what a clip's prompt, audio and mel depend on."""


def recipe() -> str:
    """16 hex digits of a sha256 over the modules' text, whatever their line ends."""
    digest = hashlib.sha256()
    for name in MODULES:
        text = Path(__file__).with_name(f"{name}.py").read_text("utf-8")
        digest.update(f"{name}\n{text}\n".encode())
    return digest.hexdigest()[:16]
