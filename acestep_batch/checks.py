"""Every file of a run or sweep held against its records; reads only, renders nothing, needs no weights and no torch.

What nothing is promised about is left out: logs, locks, kept latents (which are only used whole), ``superseded/``, and
the report with its playlist and metadata, which ``report`` makes anew from the records.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acestep_batch.ledger import latest, ledger_files, read_ledger
from acestep_batch.line_checks import line_findings, measurement_findings, score_findings
from acestep_batch.outputs.audio_files import file_sha256
from acestep_batch.outputs.plain_files import read_plain_file
from acestep_batch.preflight import CELLS
from acestep_batch.problems import Refused, one_line, refuse
from acestep_batch.report.listings import METADATA
from acestep_batch.run_folder import RUN_FILE, key_of
from acestep_batch.run_plan import PLAN, PlannedSong, read_plan
from acestep_batch.run_records import run_records, sweep_records
from acestep_batch.seals import broken_seals, read_sealed
from acestep_batch.song_checks import BROKEN, CHANGED, RESUME, CheckedSong, Finding, check_song, unreadable
from acestep_batch.summary import SUMMARY, stale_summaries


@dataclass(slots=True)
class CheckedRun:
    """A run's folder, or one cell of a sweep."""

    folder: Path
    cell: str
    """Empty outside of a sweep."""
    findings: list[Finding] = field(default_factory=list)
    songs: list[CheckedSong] = field(default_factory=list)
    skipped_rows: int = 0
    """Rows of the manifest that were recorded as invalid."""


def check_folder(folder: Path) -> list[CheckedRun]:
    """Check a run, or all cells of a sweep; the sweep's own files come first, as a run without songs.

    Raises:
        Refused: the folder is neither.
    """
    try:
        is_sweep = (folder / CELLS).is_dir()
    except (OSError, ValueError) as error:  # a name that no file system takes
        raise refuse(str(folder), f"is no run's folder ({one_line(error)})", "check the path") from error
    if is_sweep:
        cells = [check_run(cell, cell.name) for cell in sorted((folder / CELLS).iterdir()) if cell.is_dir()]
        sweep = CheckedRun(folder, "")
        sweep.findings += _run_file(folder, {"sweep"})
        exact = all(_same_software(run.folder, run.songs) for run in cells)
        try:
            sweep.findings += _summary(folder, sweep_records(folder), exact)
        except (Refused, OSError):
            sweep.findings += _summary_unknown("the damaged files of a cell")
        return [sweep, *cells]
    if not any((folder / name).exists() for name in (RUN_FILE, PLAN)) and not ledger_files(folder):
        raise refuse(str(folder), "is no run's folder", "give one such as outputs/demo/v0001")
    return [check_run(folder)]


def check_run(folder: Path, cell: str = "") -> CheckedRun:
    """Check one run's folder. Nothing is raised: what cannot be read is a finding."""
    run = CheckedRun(folder, cell)
    run.findings += _run_file(folder, {"run", "cell"})
    run.findings += [Finding("", name, fault, RESUME) for name, fault in broken_seals(folder).items()]
    try:
        ledger = read_ledger(folder)
    except OSError as error:
        run.findings.append(Finding("", "records.jsonl", f"cannot be read ({error.strerror or error})"))
        return run
    delete = "delete that line, and resume the run"
    run.findings += line_findings(ledger_files(folder), {problem.where for problem in ledger.damaged}, delete)
    records = latest(ledger.records)
    plan: list[PlannedSong] | None
    try:
        plan = read_plan(folder)
    except Refused as refused:
        others = (each for each in refused.problems if Path(each.where).name != RUN_FILE)  # which has been told
        run.findings += [Finding("", PLAN, each.message, each.remedy or RESUME) for each in others]
        plan = None
        run.songs = [CheckedSong(song_id, None, each) for song_id, each in records.items() if each.get("identity")]
    else:
        run.songs = [CheckedSong(each.song.song_id, each, records.get(each.song.song_id)) for each in plan]
        run.skipped_rows = sum(record.get("identity") is None for record in records.values())
    for song in run.songs:
        try:
            run.findings += list(check_song(song, folder))
        except BROKEN as error:
            run.findings.append(Finding(song.song_id, PLAN, f"cannot be used ({one_line(error)})", RESUME))
    copies: dict[str, str] = {}
    run.findings += measurement_findings(folder, run.songs, copies)
    run.findings += score_findings(folder)
    run.findings += _environments(folder, records)
    run.findings += _strays(folder, run.songs, copies)
    if plan is None:
        run.findings += _summary_unknown(PLAN)
    else:
        run.findings += _summary(folder, run_records(folder, plan), _same_software(folder, run.songs))
    return run


def _run_file(folder: Path, kinds: Collection[str]) -> Iterator[Finding]:
    remedy = "take it from a copy of the run"
    try:
        content = read_sealed(folder / RUN_FILE)
        is_named = folder.parent.name != CELLS or folder.name.endswith(str(content["key"])[:8])
        if content["kind"] not in kinds or not is_named:
            yield Finding("", RUN_FILE, "is that of another folder", remedy)
        if content["key"] != key_of(content["facts"]):
            yield Finding("", RUN_FILE, "its key is not that of its facts", remedy)
    except FileNotFoundError:
        yield Finding("", RUN_FILE, "is missing", remedy)
    except BROKEN as error:
        yield Finding("", RUN_FILE, unreadable(error), remedy)


def _environments(folder: Path, records: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """The files that say what the songs were made on."""
    known: dict[tuple[str, str], str] = {}
    for song_id, record in records.items():
        known.setdefault(_environment_of(record), song_id)
    if not records:
        for path in sorted(folder.glob("environment*.json")):
            yield Finding("", path.name, "cannot be checked without the records", RESUME)
    for (name, sha256), song_id in sorted(known.items()):
        about = f"it says what {song_id} was made on"
        remedy = "take it from a copy of the run"
        path = folder / Path(name).name
        try:
            if not path.exists():
                yield Finding("", name, f"is missing; {about}", remedy)
            elif file_sha256(path) != sha256:
                yield Finding("", name, f"{CHANGED}; {about}", remedy)
        except OSError as error:
            yield Finding("", name, f"cannot be read ({error.strerror or error}); {about}", remedy)


def _environment_of(record: Mapping[str, Any]) -> tuple[str, str]:
    """The name and the sha256 of the file that says what a song was made on."""
    environment = record.get("environment")
    if not isinstance(environment, Mapping):
        return "environment.json", ""
    return str(environment.get("file")), str(environment.get("sha256"))


def _strays(folder: Path, songs: Sequence[CheckedSong], copies: Collection[str]) -> Iterator[Finding]:
    """Files among the audio that no record knows."""
    known = {
        folder / f"{entry['path']}{ending}" for song in songs for entry in song.entries for ending in ("", ".json")
    }
    known |= {folder / "audio" / METADATA, *(folder / path for path in copies)}
    for path in sorted((folder / "audio").rglob("*")):
        if path.is_file() and path not in known:
            name = path.relative_to(folder).as_posix()
            yield Finding("", name, "is in no record", "move it away; resume does so where it stands in a song's way")


def _summary(folder: Path, records: Sequence[Mapping[str, Any]], exact: bool) -> Iterator[Finding]:
    again = "resume the run, which writes it again from the records"
    remedy = f"delete it and {again}"
    try:
        for name, fault in stale_summaries(folder, records, exact).items():
            yield Finding("", name, fault, remedy if (folder / name).exists() else again)
    except BROKEN as error:
        yield Finding("", "summary.csv", f"cannot be made from the records ({one_line(error)})", remedy)


def _summary_unknown(without: str) -> list[Finding]:
    return [Finding("", name, f"cannot be checked without {without}", RESUME) for name in SUMMARY]


def _same_software(folder: Path, songs: Sequence[CheckedSong]) -> bool:
    """Whether the run was made with the libraries installed here that write the summary, so that its bytes agree."""
    names = {_environment_of(song.record)[0] for song in songs if song.record is not None}
    here = {name: importlib.metadata.version(name) for name in ("pandas", "pyarrow")}
    for name in names:
        try:
            packages = json.loads(read_plain_file(folder / Path(name).name))["packages"]
            if any(packages[library] != version for library, version in here.items()):
                return False
        except BROKEN:
            continue
    return True
