"""What tests of the configuration share: runs composed as the command line does it, manifests, and a bare machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from acestep_batch.advice import RowAdvice
from acestep_batch.cells import typed_run
from acestep_batch.cli import data_folder
from acestep_batch.compose import Run, build_run
from acestep_batch.hardware import CpuVector, Machine, TorchBuild, profile_for
from acestep_batch.hydra_config import composer
from acestep_batch.manifest import COLUMNS, Row, RowReader
from acestep_batch.manifest_files import open_manifest
from acestep_batch.manifest_rows import RawManifest
from acestep_batch.nvml import Driver, DriverState
from acestep_batch.plan import CheckedRow, RowChecker, Song, checked_rows
from acestep_batch.preflight import Preflight, preflight
from acestep_batch.problems import Problem, Refused
from acestep_batch.schema import PARAMETERS
from acestep_batch.songs import songs_of
from acestep_batch.target import Target

CONF = data_folder("conf")
BARE = Machine("Linux", "x86_64", "3.11.9", 8, 32 * 2**30, CpuVector.AVX2, Driver(DriverState.NO_GPU))
CPU_BUILD = TorchBuild("2.13.0+cpu", None)
CPU_TARGET = Target("embedded", "cpu", "cpu", 1, 0, None, None, None, None, None)
SECTIONS = {
    section: {name: each.default for name, each in PARAMETERS[section].items()}
    for section in ("hw", "model", "manifest", "output")
}
OPTIONS = {name: each.default for name, each in PARAMETERS[""].items()}
SCHEMA = {name: each.default for name, each in PARAMETERS["generation"].items()}


@contextmanager
def opened_run(*overrides: str, config_dir: Path | None = None, config_name: str = "config") -> Iterator[Run]:
    """The run of a command line on a bare machine; row presets load while it is open."""
    with composer(CONF, None if config_dir is None else str(config_dir), config_name) as opened:
        layers = opened.cells(overrides, False, profile_for(BARE)[0])[0]
        yield typed_run(layers)


def no_presets(name: str) -> Mapping[str, Any]:
    """A preset loader that knows none."""
    raise Refused([Problem(f"preset {name}", "there is no such preset")])


def plain_run(
    base: Mapping[str, Any] | None = None,
    preset: Mapping[str, Any] | None = None,
    preset_file: Path | None = None,
    command_line: Mapping[str, Any] | None = None,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    **changes: Any,
) -> Run:
    """A run built from layers given as plain data, without Hydra. ``changes`` are sections (whole) and run options.

    The presets count as shipped ones, unless ``own_presets`` is true.
    """
    sections = {name: SECTIONS[name] | changes.pop(name, {}) for name in SECTIONS}
    swept, own_presets = changes.pop("swept", {}), changes.pop("own_presets", False)
    load: Callable[[str], Mapping[str, Any]] = no_presets if presets is None else presets.__getitem__
    return build_run(
        {**sections, **OPTIONS, **changes, "generation": SCHEMA, "preset_file": None},
        {**SCHEMA, **(base or {})},
        preset or {},
        None if preset_file is None else str(preset_file),
        command_line or {},
        load,
        swept=swept,
        own=frozenset(preset or {}) if own_presets else frozenset(),
        shipped_presets=frozenset(() if own_presets else presets or ()),
    )


def written(folder: Path, name: str, text: str | bytes) -> Path:
    """A file of the folder with exactly this text or these bytes."""
    path = folder / name
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return path


def raw(path: Path) -> RawManifest:
    """The manifest, opened with every column known."""
    return open_manifest(path, COLUMNS)


def rows_of(path: Path) -> list[Row]:
    """The typed rows of a manifest; rows that cannot be read at all are refused."""
    reader = RowReader(path if path.is_dir() else path.parent)
    rows = []
    for each in raw(path).rows:
        if isinstance(each, Refused):
            raise each
        rows.append(reader.read(each))
    return rows


def checked(path: Path, run: Run, target: Target = CPU_TARGET, limit: int | None = None) -> list[CheckedRow]:
    """A manifest's rows with everything that is said about each."""
    checker = RowChecker(run, target, RowAdvice(None))
    return list(checked_rows(raw(path), RowReader(path.parent), checker, limit))


def make_songs(rows: Sequence[Mapping[str, Any]], target: Target = CPU_TARGET, **base: Any) -> list[Song]:
    """The songs of rows given as plain data; ``base`` are settings below them."""
    run = plain_run(base={"bf16": False, "audio_duration": 0.5, "infer_step": 2, **base}, lint="off")
    with TemporaryDirectory() as folder:
        path = written(Path(folder), "songs.json", json.dumps(rows))
        found = checked(path, run, target)
    assert not [problem for row in found for problem in row.problems]
    return songs_of(found, run, target)


def preflighted(run: Run, machine: Machine = BARE, keep_rows: bool = True, **going_on: Any) -> Preflight:
    """A run checked completely, in silence; one that goes on in its ``folder`` or with songs that are ``stored``."""
    return preflight(run, machine, CPU_BUILD, data_folder("manifests"), lambda rows, _: rows, keep_rows, **going_on)


def on(device: str, model: str = "v1", **changes: Any) -> Target:
    """A target on another device."""
    return replace(CPU_TARGET, model=model, device=device, profile_device=device, **changes)
