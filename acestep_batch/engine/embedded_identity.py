"""What the embedded model's weights are, known without drawing them; no torch."""

from __future__ import annotations

from acestep_batch.engine.checkpoint import FileFacts

LABEL = "embedded, untrained"

EMBEDDED_WEIGHTS = FileFacts(
    path=LABEL, size=6_832_056, sha256="ef0b72bb1dd0ed1fa6056da9c35fc8a6580b876db59a305b7f7db329585ddf69"
)
"""As the entry of a record's file list. The weights are drawn in code, so this changes only when the code does."""
