"""What the embedded planner's weights are, known without drawing them; no torch."""

from __future__ import annotations

from acestep_batch.engine.checkpoint import FileFacts

LABEL = "embedded planner, untrained"

EMBEDDED_PLANNER_WEIGHTS = FileFacts(
    path=LABEL, size=209_024, sha256="71d9a43e4b21d50432814d6d710f972b11bdc07ce4e9c6134f8a68803dbbc893"
)
"""As the entry of a record's file list. The weights are drawn in code, so this changes only when the code does."""
