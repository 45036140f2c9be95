"""A pack of recordings: its files, and the tokenizer that token ids are compared with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Pack:
    """A folder laid out as ``tests/golden/v15/README.md`` describes, any part of which may be missing."""

    folder: Path
    tokenizer: Path | None = None
    """The folder of a planner's tokenizer."""

    def read(self, name: str) -> Any:
        """The content of ``NAME.json``; an empty object where there is no such file."""
        file = self.folder / f"{name}.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def cases(self, name: str) -> list[dict[str, Any]]:
        """The cases of ``NAME.json``, a list or an object with the list ``cases``."""
        content = self.read(name)
        cases: list[dict[str, Any]] = content.get("cases", []) if isinstance(content, dict) else content
        return cases
