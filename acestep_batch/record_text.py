"""A song's record in words, in lines of at most 100 columns; prints nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from acestep_batch.outputs.records import json_text
from acestep_batch.parameter import plain_number
from acestep_batch.problems import visible
from acestep_batch.recorded import Recorded
from acestep_batch.rerender import FileVerdict
from acestep_batch.schema import SONG

_WIDTH = 100
_LABEL = 22
_ELSEWHERE = frozenset({"prompt", "lyrics", "actual_seeds", "takes"})
"""Parameters that have a place of their own."""


def field_lines(label: str, text: str) -> list[str]:
    """A label and what it stands for, which goes on below itself where it is long."""
    begin, go_on = f"{visible(label):<{_LABEL}}", " " * _LABEL
    return _wrapped(text, begin, go_on)


def about_song(sidecar: Mapping[str, Any], recorded: Recorded) -> Iterator[str]:
    """How a song was made; parameters that are not as the schema has them come first."""
    record, engine, song = sidecar["record"], recorded.engine, recorded.song
    yield from field_lines("song", f"{song.id}, take {record.get('take')} of {record.get('takes')}, seed {song.seed}")
    length = f"{record.get('duration_s')} s, {recorded.sample_rate} Hz, {recorded.encoding.label}"
    yield from field_lines("audio", length)
    yield from field_lines("model", f"{record.get('model')}, engine version {engine.get('engine_version')}")
    kinds = [name for name in ("compiled", "strict") if engine.get(name)]
    yield from field_lines("made on", ", ".join([f"{recorded.device} in {recorded.dtype}", *kinds]))
    for name, value in dict(engine.get("made_on") or {}).items():
        if value is not None:
            yield from field_lines(f"  {name}", str(value))
    if recorded.micro_batch > 1:
        yield from field_lines("micro-batch", f"{recorded.micro_batch} songs, rendered together")
    for label, texts in (("made possible by", recorded.rungs), ("note", record.get("notes") or ())):
        for text in texts:
            yield from field_lines(label, str(text))
    for label, name in (("same as", "same_as"), ("preset", "preset")):
        if record.get(name):
            yield from field_lines(label, str(record[name]))
    yield from _parameters(sidecar)
    for name in ("prompt", "lyrics"):
        yield from ("", name)
        for line in str(sidecar.get(name) or "(none)").split("\n"):
            yield from _wrapped(line, "  ", "  ")


def _parameters(row: Mapping[str, Any]) -> Iterator[str]:
    defaults = {
        name: list(each.default) if isinstance(each.default, tuple) else each.default
        for name, each in SONG.items()
        if name not in _ELSEWHERE and name in row
    }
    differing = [name for name, default in defaults.items() if row.get(name) != default]
    yield from ("", "parameters unlike the defaults" if differing else "every parameter has its default")
    for name in differing:
        yield from field_lines(f"  {name}", f"{_value(row.get(name))}  (default {_value(defaults[name])})")
    yield from ("", "the others")
    same = ", ".join(f"{name} {_value(default)}" for name, default in defaults.items() if name not in differing)
    yield from _wrapped(same, "  ", "  ")


def about_rerun(verdict: FileVerdict) -> Iterator[str]:
    """How another rendering compares with the file."""
    yield ""
    yield from field_lines("made again", f"{verdict.found.tier} ({verdict.found})")
    if not verdict.holds:
        yield from field_lines("", f"EXPECTED {verdict.expected.tier}")
    for reason in verdict.expected.reasons:
        yield from field_lines(f"  {verdict.expected.tier} for", reason)
    if verdict.note:
        yield from field_lines("  note", verdict.note)


def _value(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return plain_number(value)
    return json_text(value)


def _wrapped(text: str, begin: str, go_on: str) -> list[str]:
    """What comes from a file may hold anything: characters that steer a terminal are shown as escapes."""
    lines = textwrap.wrap(visible(text), _WIDTH, initial_indent=begin, subsequent_indent=go_on, break_on_hyphens=False)
    return lines or [begin.rstrip()]
