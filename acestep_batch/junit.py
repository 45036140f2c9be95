"""A verification as JUnit's XML, which CI systems read; the format's elements as Apache Ant wrote them first."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

from acestep_batch.verdicts import FAILURES, Report, State


def junit_text(report: Report) -> str:
    """The report as XML: a test case for each song, and one for the folder's own files."""
    states = Counter(song.state for song in report.songs)
    suite = ElementTree.Element(
        "testsuite",
        name=_plain(str(report.folder)),
        tests=str(len(report.songs) + 1),
        failures=str(sum(states[each] for each in FAILURES) + bool(report.findings)),
        errors=str(states[State.UNCHECKED]),
        skipped=str(states[State.FAILED]),
        time=f"{sum(song.seconds for song in report.songs):.3f}",
    )
    own = ElementTree.SubElement(
        suite, "testcase", classname="acestep_batch.files", name="the run's own files", time="0"
    )
    lines = [f"{cell}: {finding}" if cell else str(finding) for cell, finding in report.findings]
    if lines:
        _outcome(own, "failure", "not as recorded", lines)
    for song in report.songs:
        place = f"acestep_batch.songs{f'.{song.cell}' if song.cell else ''}"
        case = ElementTree.SubElement(
            suite, "testcase", classname=_plain(place), name=_plain(song.song_id), time=f"{song.seconds:.3f}"
        )
        kind = "failure" if song.state in FAILURES else "error" if song.state is State.UNCHECKED else None
        if kind is not None:
            _outcome(case, kind, str(song.state), [*song.messages(), *map(str, song.obstacles)])
        elif song.state is State.FAILED:
            _outcome(case, "skipped", str(song.state), [])
        elif song.worst is not None:
            ElementTree.SubElement(case, "system-out").text = _plain(f"{song.worst.found.tier}: {song.worst.found}")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _outcome(case: ElementTree.Element, kind: str, message: str, lines: list[str]) -> None:
    found = ElementTree.SubElement(case, kind, message=_plain("; ".join([message, *lines[:1]])))
    found.text = _plain("\n".join(lines))


def _plain(text: str) -> str:
    """Text without what XML 1.0 cannot hold: most control characters, and halves of surrogate pairs."""
    return re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
