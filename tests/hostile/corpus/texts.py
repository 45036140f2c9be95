"""Texts that some reader would act on: HTML, scripts, templates, terminal codes, markup; and texts that are too much."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..case import TINY, Case, Outcome, inert, refused
from .made import audio, dry, folders, records, run, songs

SCRIPTS = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "<svg/onload=alert(1)>",
    "<!--", "]]>", "</title><script>", "javascript:alert(1)", "<iframe src=file:///etc/passwd>", "&#60;script&#62;",
    "<a href=\"data:text/html;base64,PHNjcmlwdD4=\">x</a>", "<style>@import 'http://x'</style>", "<base href=//x>",
    "${7*7}", "{{7*7}}", "<%= 7*7 %>", "#{7*7}", "$(touch pwned)", "`touch pwned`", "; touch pwned", "%s%n%x", "%(secret)s", "{0.__class__}",
    "{seed}", "'; DROP TABLE songs; --", "() { :;}; touch pwned", "[bold red]x[/]", "[/bold]", "[link=file:///etc/passwd]x[/link]",
    "[@click=app.quit]x[/]", "\\x1b[31m", "\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x9b31m", "a\rb", "\u202egnp.exe", "\x07\x08\x7f",
    "\x1b]8;;http://x\x07click\x1b]8;;\x07",
)  # fmt: skip
SILENT_CHARS = frozenset("\x1b\x07\x08\x7f\x9b\u202e")


def _kept(prompt: str):
    """The text stands in records and tags as it was given, and nowhere else."""

    def check(outcome: Outcome) -> None:
        from acestep_batch.outputs.tags import read_record

        given = prompt.replace("\r", "\n")
        assert [record["prompt"] for record in records(outcome)] == [given]
        assert not (outcome.folder / "pwned").exists()
        (folder,) = folders(outcome)
        for path in audio(outcome):
            tagged = read_record(folder / path)
            assert tagged is not None
            assert tagged["prompt"] == given
        assert not SILENT_CHARS & set(outcome.out + outcome.err)
        for log in folder.glob("*.log"):
            assert not SILENT_CHARS & set(log.read_text(encoding="utf-8"))

    return check


def cases() -> Iterator[Case]:
    """Every case of this file."""
    for number, text in enumerate(SCRIPTS):
        yield inert("script", f"prompt-{number}", songs({"id": "a", "prompt": text, "lyrics": f"[{text}]\n{text}"}), *run("lint=warn"),
                    check=_kept(text))  # fmt: skip
    for number, text in enumerate(SCRIPTS):
        if text.isprintable():
            yield inert(
                "script",
                f"id-{number}",
                songs({"id": text, "prompt": "pop"}),
                *run("output.template='{id}'"),
                check=_kept("pop"),
            )
        else:
            yield refused("script", f"id-{number}", songs({"id": text}), *dry(), says=("songs.json row 1, column id",))
    for number, text in enumerate(("[red]", "[/red]", "$(touch pwned)", "<b>", "\x1b[31m")):
        yield inert(
            "script",
            f"run-name-{number}",
            songs({"id": "a", "prompt": "pop"}),
            *run(f"output.name='{text}'"),
            check=_kept("pop"),
        )
        yield refused(
            "script", f"choice-{number}", songs({"id": "a", "cfg_type": text}), *dry(), says=("column cfg_type",)
        )
    yield inert("script", "failed-row", songs({"id": "ok", "prompt": "pop"}, {"id": "[/red]", "seed": "\x1b[2J[bold]"}), *run("on_invalid=skip"),
                codes=(1,), check=_no_codes)  # fmt: skip

    for key in ("prompt", "lyrics"):
        for number, text in enumerate(("x" * 100_000, "[" * 50_000, "(" * 50_000, "a b " * 25_000, "\n" * 100_000, "la la\n" * 16_000,
                                       "雨" * 50_000, "a," * 50_000, "e" + "\u0301" * 50_000, "[verse]\n" * 12_000, "1" * 50_000,
                                       "aeiouy" * 10_000, "🎵" * 30_000, "- " * 50_000, "\t " * 50_000)):  # fmt: skip
            yield inert("much-text", f"{key}-{number}", songs({"id": "a", key: text}), *dry("lint=warn"))
    yield inert(
        "much-text", "lyrics-rendered", songs({"id": "a", "prompt": "x " * 40_000, "lyrics": "la la\n" * 200}), *run()
    )
    yield refused(
        "much-text",
        "too-much",
        songs({"id": "a", "lyrics": "la" * 60_000}),
        *dry(),
        says=("songs.json row 1, column lyrics",),
    )
    yield inert("much-text", "many-words-for-the-linter", {"songs.json": json.dumps([
        {"id": str(number), "prompt": f"word{number}, " * 50, "lyrics": f"[verse]\nla {number}\n" * 20} for number in range(100)
    ])}, "manifest.path=songs.json", *TINY, "dry_run=true", "lint=warn")  # fmt: skip


def _no_codes(outcome: Outcome) -> None:
    (folder,) = folders(outcome)
    for log in folder.glob("*.log"):
        assert not SILENT_CHARS & set(log.read_text(encoding="utf-8"))
    assert len(records(outcome)) == 2
