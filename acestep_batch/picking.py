"""Chosen songs of a run as rows of a manifest or as a preset, with every parameter as it was used."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import yaml

from acestep_batch.outputs.records import json_text
from acestep_batch.parameter import did_you_mean
from acestep_batch.problems import Problem, Refused
from acestep_batch.record import OVERLAPPED
from acestep_batch.schema import SONG

_OWN = frozenset({"device_id", "output_path", "takes"})
"""Parameters of a row that are not the song's: where it was made and where its file went."""
_SOURCES = ("src_audio_path", "ref_audio_input", "reference_audio")


def chosen(records: Sequence[Mapping[str, Any]], asked: Sequence[str]) -> list[Mapping[str, Any]]:
    """The records of songs by their ids, in the order asked for: a song's, a row's (all its takes), or ``CELL/ID``.

    Raises:
        Refused: ids that no song has, songs of several cells, songs that failed; all of them.
    """
    problems: list[Problem] = []
    found: list[Mapping[str, Any]] = []
    known = sorted({str(each[key]) for each in records for key in ("id", "row")})
    for word in asked:
        cell, _, song = ("", "", word) if _of_id(records, word) else word.partition("/")
        mine = _of_id([each for each in records if not cell or each.get("cell") == cell], song)
        cells = list(dict.fromkeys(str(each["cell"]) for each in mine if "cell" in each))
        if not mine:
            problems.append(Problem(f"id={word}", f"no song has this id{did_you_mean(song, known)}", _some(known)))
        elif len(cells) > 1:
            problems.append(Problem(f"id={word}", "stands in several cells", _some([f"{c}/{song}" for c in cells])))
        for each in mine if len(cells) < 2 else ():
            if each["status"] != "ok":
                problems.append(Problem(f"id={word}", f"failed: {each['error']}", "resume the run first"))
            elif each not in found:
                found.append(each)
    if problems:
        raise Refused(problems)
    return found


def _of_id(records: Sequence[Mapping[str, Any]], song: str) -> list[Mapping[str, Any]]:
    """The song of this id, or if there is none, all songs of the row."""
    return [each for each in records if str(each["id"]) == song] or [
        each for each in records if str(each["row"]) == song
    ]


def _some(words: Sequence[str]) -> str:
    return f"there are: {', '.join(words[:20])}{f' and {len(words) - 20} more' if len(words) > 20 else ''}"


def row_of(record: Mapping[str, Any], folder: str, without: Collection[str] = ()) -> dict[str, Any]:
    """A song as a row that makes it again, from its line in the ledger.

    Args:
        folder: the run's, by which songs are named that it was made from.
        without: parameters that a preset is to decide.
    """
    row = {name: record[name] for name in SONG if name in record and name not in _OWN}
    row |= {"actual_seeds": [record["seed"]]}
    row |= {"overlapped_decode": True} if OVERLAPPED in record["rungs"] else {}
    for name in _SOURCES:
        source = str(row.get(name) or "")
        if source.startswith("@") and "/" not in source:  # of the run's own manifest, which this one is not
            row[name] = f"@{folder}/{source[1:]}"
    return {"id": record["id"], **{name: value for name, value in row.items() if name not in without}}


def retake_of(row: Mapping[str, Any], variance: float) -> dict[str, Any]:
    """A row that varies the song of another. Raises Refused for one that is no song of v1, or none of its own."""
    if "infer_method" in row:
        remedy = "pick it without variance=, and give it another seed"
        raise Refused([Problem(f"id={row['id']}", "is a song of ACE-Step 1.5, which has no retakes", remedy)])
    if row.get("task", "text2music") not in ("text2music", "retake"):
        message = f"is made by task {row['task']}, and a retake has no source"
        raise Refused([Problem(f"id={row['id']}", message, "pick it without variance=")])
    seeds = {"retake_seeds": None} if "retake_seeds" in row else {}
    return {**row, "id": f"{row['id']}_retake", "task": "retake", **seeds, "retake_variance": variance}


def unique_ids(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows, ids that stand in several cells told apart by a number."""
    taken: set[str] = set()
    found = []
    for row in rows:
        name, number = str(row["id"]), 1
        while name.casefold() in taken:
            number += 1
            name = f"{row['id']}_{number}"
        taken.add(name.casefold())
        found.append({**row, "id": name})
    return found


def manifest_text(rows: Sequence[Mapping[str, Any]], comments: Sequence[str]) -> str:
    """Rows as a YAML manifest below comments, which are one line each."""
    above = "".join(f"# {comment}\n" for comment in comments)
    return above + yaml.dump(list(map(dict, rows)), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def preset_text(row: Mapping[str, Any], name: str, description: str) -> str:
    """A song in the guide's preset format."""
    return json_text(
        {"name": name, "description": description, "parameters": {k: v for k, v in row.items() if k != "id"}}, indent=2
    )


class _Dumper(yaml.SafeDumper):
    """Lyrics as blocks of lines, where YAML can."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
