"""All hostile inputs, class by class; each file here holds some classes."""

from __future__ import annotations

from collections.abc import Mapping

from ..case import Case
from . import documents, files, hydra, names, paths, runs, tables, texts, weights

CASES: Mapping[str, Case] = {
    case.id: case
    for module in (paths, names, documents, tables, texts, hydra, weights, runs, files)
    for case in module.cases()
}
"""By id."""
