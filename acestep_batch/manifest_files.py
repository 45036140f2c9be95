"""A manifest's path to its raw rows: the reader that fits, and what keeps a path from being read at all."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from acestep_batch.manifest_documents import folder_manifest, json_manifest, jsonl_manifest, yaml_manifest
from acestep_batch.manifest_rows import RawManifest
from acestep_batch.manifest_tables import csv_manifest, parquet_manifest
from acestep_batch.problems import refuse

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".yaml", ".yml", ".parquet")


def open_manifest(path: Path, known_columns: Collection[str]) -> RawManifest:
    """Open a file of songs or a folder of JSON files.

    Args:
        path: ``.csv .tsv .jsonl .json .yaml .parquet`` or a folder.
        known_columns: the names that a table's columns may have.

    Raises:
        Refused: the file is missing, of another kind, not UTF-8, or damaged as a whole.
    """
    try:
        return _open(path, known_columns)
    except OSError as error:
        raise refuse(
            f"manifest.path={path}", f"cannot be read: {error.strerror or error}", "check the path and its permissions"
        ) from None


def _open(path: Path, known_columns: Collection[str]) -> RawManifest:
    if path.is_dir():
        return folder_manifest(path)
    where = f"manifest.path={path}"
    if not path.exists():
        raise refuse(where, "there is no such file or folder", "check the path; it is relative to the current folder")
    if not path.is_file():
        raise refuse(where, "is neither a file nor a folder", "give a file of songs or a folder of JSON files")
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return csv_manifest(path, known_columns)
    if suffix == ".jsonl":
        return jsonl_manifest(path)
    if suffix == ".json":
        return json_manifest(path)
    if suffix in (".yaml", ".yml"):
        return yaml_manifest(path)
    if suffix == ".parquet":
        return parquet_manifest(path, known_columns)
    remedy = f"give one of {' '.join(SUFFIXES)} or a folder of JSON files"
    raise refuse(where, f"cannot read a {suffix or 'file without suffix'}", remedy)
