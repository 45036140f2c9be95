"""What a command prints: problems, advice, the plan of a dry run, the table of what was made."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acestep_batch.models import Family
from acestep_batch.outputs.records import json_text
from acestep_batch.problems import Problem

if TYPE_CHECKING:
    from rich.console import Console

    from acestep_batch.preflight import Preflight
    from acestep_batch.replan import Work
    from acestep_batch.run_result import RunResult

_ADVICE_SHOWN = 20
_PROBLEMS_SHOWN = 100
_ROWS_SHOWN = 40
_SONG_COLUMNS = ("id", "seed", "audio", "time")
_NAMES = frozenset({"cell", "id", "file", "reason", "song"})
_NUMBERS = frozenset({"seed", "audio", "time", "length", "steps", "guidance", "difference"})


def print_problems(problems: Sequence[Problem], more: int = 0) -> None:
    """Problems on standard error, one a line, and how many there are when there are several."""
    for problem in problems[:_PROBLEMS_SHOWN]:
        print(f"error: {problem}", file=sys.stderr)
    total = len(problems) + more
    if total > _PROBLEMS_SHOWN:
        print(f"... and {total - _PROBLEMS_SHOWN} more", file=sys.stderr)
    if total > 1:
        print(f"{total:,} problems", file=sys.stderr)


def print_json(value: object) -> None:
    """One JSON value on standard output, for scripts."""
    print(json_text(value, indent=2))


def print_refusal() -> None:
    """The last line of a command that checked its runs and started none."""
    print("nothing was rendered", file=sys.stderr)


def print_advice(checked: Sequence[Preflight]) -> None:
    """Warnings of the target and the guide's advice on standard error; equal advice once, with its places."""
    for line in dict.fromkeys(line for each in checked for line in each.target.warnings):
        print(f"warning: {line}", file=sys.stderr)
    for line in dict.fromkeys(line for each in checked for line in each.notes):
        print(f"note: {line}", file=sys.stderr)
    places_of: dict[str, dict[str, None]] = {}
    for each in checked:
        for text, places in each.advice.items():
            places_of.setdefault(text, {}).update(dict.fromkeys(places))
    for number, (text, found) in enumerate(places_of.items()):
        if number == _ADVICE_SHOWN:
            print(f"... and {len(places_of) - number} more pieces of advice (lint=off silences them)", file=sys.stderr)
            break
        places = list(found)
        rest = f" and {len(places) - 3} more" if len(places) > 3 else ""
        kind = "" if text.startswith("note: ") else "lint: "
        print(f"{kind}{text} [{'; '.join(places[:3])}{rest}]", file=sys.stderr)


def print_dry_run(out: Console, checked: Sequence[Preflight]) -> None:
    """What a real run would do: its numbers, and its first songs with the seeds and lengths they will have."""
    from acestep_batch.outputs.folders import free_bytes
    from acestep_batch.preflight import needed_bytes

    first = checked[0]
    rows = sum(each.counts["rows"] for each in checked)
    invalid = sum(each.counts["invalid"] for each in checked)
    songs = sum(each.counts["songs"] for each in checked)
    audio_s = sum(each.audio_s for each in checked)
    cells = f" in {len(checked)} cells" if len(checked) > 1 else ""
    needed = sum(needed_bytes(each.run, each.audio_s) for each in checked)
    print_line(out, f"dry run: {rows:,} rows{cells}, {invalid:,} invalid, {songs:,} songs, {_hours(audio_s)} of audio")
    formats = ", ".join(first.run.output.formats)
    print_line(out, f"model {first.target.model}, hw {first.run.hw.name} ({first.target.device}), formats {formats}")
    try:
        free = f"{free_bytes(Path(first.run.output.root)) / 1e9:.1f} GB free"
    except OSError as error:
        free = f"free space unknown ({error.strerror})"
    print_line(out, f"disk: about {needed / 1e9:.2f} GB needed in {first.run.output.root}, {free}")
    planned = list(_planned(first))
    if planned:
        print_table(out, ("id", "seed", "length", "steps", "solver", "guidance", "preset"), planned)
    if songs > len(planned):
        print_line(out, f"... and {songs - len(planned):,} more songs")


def _planned(checked: Preflight) -> list[tuple[str, ...]]:
    from acestep_batch.parameter import RANDOM
    from acestep_batch.song_tasks import takes_source, task_name
    from acestep_batch.songs import duration_s, seed_pairs, seeds_of

    lines: list[tuple[str, ...]] = []
    for row in checked.rows:
        if row.settings is None or row.problems:
            continue
        values = row.settings.values
        is_random = values["actual_seeds"] == RANDOM
        is_v15 = checked.target.family is Family.V15
        unknown = "its source's" if takes_source(task_name(values), values["src_audio_path"]) else ""
        if values["audio_duration"] == -1 and (is_v15 or is_random):
            unknown = unknown or ("planned" if is_v15 else "drawn")
        for seed, _ in seed_pairs(row.settings, seeds_of(row.settings, row.row.id)):
            length = unknown or f"{duration_s(row.settings, seed, checked.run.hw.max_duration_s):g} s"
            preset = row.settings.preset or "+".join(checked.run.presets) or "-"
            lines.append((row.row.id, RANDOM if is_random else str(seed), length, str(values["infer_step"]),
                          values["infer_method" if is_v15 else "scheduler_type"],
                          f"{values['guidance_scale']:g}", preset))  # fmt: skip
            if len(lines) == 20:
                return lines
    return lines


def print_todo(out: Console, found: Mapping[str, Work]) -> None:
    """For each run (by its cell's name, empty outside a sweep): which songs would be made, and why."""
    lines = [(cell, song_id, reason) for cell, work in found.items() for song_id, reason in work.todo.items()]
    in_sweep = any(found)
    if lines:
        columns = ("cell", "id", "reason") if in_sweep else ("id", "reason")
        print_table(out, columns, [line[-len(columns) :] for line in lines[:_ROWS_SHOWN]])
    for _, song_id, reason in lines[_ROWS_SHOWN:]:
        print_line(out, f"{song_id}: {reason}")
    dropped = sum(len(work.dropped) for work in found.values())
    if dropped:
        print_line(out, f"{dropped} earlier {'song gives' if dropped == 1 else 'songs give'} way to superseded/")
    done = sum(work.finished for work in found.values())
    print_line(out, f"{done} {'song is' if done == 1 else 'songs are'} done, {len(lines)} to make")


def print_results(out: Console, results: Sequence[RunResult], folder: Path) -> None:
    """What was made and where, failures again at the end."""
    in_sweep = any(result.folder != folder for result in results)
    records = [
        {**record, "cell": result.folder.name if in_sweep else ""} for result in results for record in result.records
    ]
    failed = [record for record in records if record["status"] != "ok"]
    labels = sorted({str(record["model"]) for record in records if "model" in record})
    made_first = sorted(records, key=lambda record: record["status"] != "ok")
    lines = [_result_line(record) for record in made_first[:_ROWS_SHOWN]]
    if lines:
        columns = ("cell", *_SONG_COLUMNS) if in_sweep else (*_SONG_COLUMNS, "file")
        title = f"model: {', '.join(labels) or 'none'}"
        print_table(out, columns, [[line[column] for column in columns] for line in lines], title)
    made, all_failed = sum(result.made for result in results), sum(result.failed for result in results)
    if made + all_failed > len(lines):
        print_line(out, f"... and {made + all_failed - len(lines):,} more")
    for record in failed[:_ROWS_SHOWN]:
        print_line(out, f"failed: {record['id']}: {record['error']}")
    missed = sum(result.not_tried for result in results)
    before = sum(result.done_before for result in results)
    rest = f", {missed} not tried" if missed else ""
    rest += f", {before} done before" if before else ""
    print_line(out, f"{made} {'song' if made == 1 else 'songs'} made, {all_failed} failed{rest}")
    aside = sum(result.set_aside for result in results)
    if aside:
        print_line(out, f"{aside} earlier {'file has' if aside == 1 else 'files have'} moved to superseded/")
    print_line(out, f"folder:  {folder}")
    print_line(out, f"summary: {folder / 'summary.csv'}")


def _result_line(record: Mapping[str, Any]) -> dict[str, str]:
    line = {"cell": record["cell"], "id": str(record["id"]), "seed": str(record.get("seed", "-"))}
    if record["status"] != "ok":
        return {**line, "audio": "-", "time": "-", "file": "FAILED"}
    files = [Path(name) for name in record["files"]]
    shown = str(files[0]) if files[0].is_absolute() else files[0].relative_to("audio").as_posix()
    more = f" +{len(files) - 1}" if len(files) > 1 else ""
    audio, time = f"{record['duration_s']:.1f} s", f"{record['seconds']:.1f} s"
    return {**line, "audio": audio, "time": time, "file": shown + more}


def print_table(out: Console, header: Sequence[str], lines: Sequence[Sequence[str]], title: str | None = None) -> None:
    """A table below its title, with every row on one line: numbers whole, long names cut to what fits.

    Reasons alone take more lines, for what is cut off may be what was asked.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    widths = [max(map(len, (name, *cells))) for name, cells in zip(header, zip(*lines, strict=True), strict=True)]
    names = [index for index, name in enumerate(header) if name in _NAMES]
    room = out.width - 3 * len(header) - sum(width for index, width in enumerate(widths) if index not in names)
    for left, index in enumerate(sorted(names, key=lambda index: widths[index])):
        widths[index] = min(widths[index], max(8, room // (len(names) - left)))
        room -= widths[index]
    if title is not None:
        print_line(out, title)  # as a title of rich's, it would be wrapped to the width of the columns
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, width in zip(header, widths, strict=True):
        table.add_column(name, justify="right" if name in _NUMBERS else "left", no_wrap=name != "reason", width=width)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    out.print(table)


def print_line(out: Console, line: str) -> None:
    """One line as it is, however long."""
    out.print(line, markup=False, highlight=False, soft_wrap=True)


def _hours(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 3600
        else f"{seconds / 60:.1f} min"
        if seconds >= 60
        else f"{seconds:.1f} s"
    )
