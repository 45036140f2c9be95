"""Traversal and absolute paths, wherever a path or a name of a path can be given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..case import Case, Outcome, inert, refused
from .made import audio, dry, run, songs

UP = (
    "../x", "../../x.wav", "a/../../x", "a/b/../../../x.wav", "./../x", "..", "../", "a/..", "..\\x", "a\\..\\..\\x.wav",
    "..\\/x", "../../../../../../../../etc/cron.d/x", "../outside/x.wav", "a/../b", "~/x.wav", "~root/x", "a/", "/",
)  # fmt: skip
NOT_UP = (
    "....//x", "%2e%2e/x", "%2e%2e%2fx", "..%c0%afx", "．．/x", "‥/x", ".. /x", "... /x", "a/.../x", "..;/x", "..x/y", "a/./b",
    "$HOME/x", "${HOME}/x", "$(touch pwned)", "`touch pwned`", "| touch pwned", "; touch pwned", "-rf", "--help", "*",
)  # fmt: skip
ABSOLUTE = (
    "/etc/passwd", "{outside}/x.wav", "//server/share/x.wav", "C:\\x.wav", "C:/x.wav", "c:x.wav", "\\x.wav",
    "\\\\server\\share\\x.wav", "\\\\?\\C:\\x.wav", "\\\\.\\COM1", "/dev/null", "/dev/full", "/proc/self/mem", "///x",
)  # fmt: skip


def _inside_audio(outcome: Outcome) -> None:
    made = audio(outcome)
    assert made
    for path in made:
        assert path.parts[0] == "audio", made
        assert ".." not in path.parts, made


def cases() -> Iterator[Case]:
    """Every case of this file."""
    for number, path in enumerate(UP):
        yield refused("traversal", f"output-path-{number}", songs({"id": "a", "output_path": path}), *dry(),
                      says=("songs.json row 1, output_path",))  # fmt: skip
    for number, path in enumerate(NOT_UP):
        yield inert("traversal", f"harmless-output-path-{number}", songs({"id": "a", "output_path": path}), *run(),
                    check=_inside_audio)  # fmt: skip
    for number, path in enumerate(("../../x", "/etc/x", "..", ".", "a/b", "C:\\x")):
        yield inert("traversal", f"id-{number}", songs({"id": path}), *run("output.template='{id}'"),
                    check=_inside_audio)  # fmt: skip
        yield inert("traversal", f"run-name-{number}", songs({"id": "a"}), *run(f"output.name='{path}'"),
                    check=_inside_audio)  # fmt: skip
    for number, template in enumerate(("../../{id}", "/etc/{id}", "{id}/../../x", "..\\\\{id}")):
        yield inert("traversal", f"template-{number}", songs({"id": "a"}), *run(f"output.template='{template}'"),
                    check=_inside_audio)  # fmt: skip
    for number, template in enumerate(("{id.__class__}", "{id.__init__.__globals__}", "{0}", "{id!r}", "{id:>9999999999}",
                                       "{}", "{", "{secret}")):  # fmt: skip
        yield refused("traversal", f"template-field-{number}", songs({"id": "a"}), *dry(f"output.template='{template}'"),
                      says=("output.template",))  # fmt: skip
    yield inert("traversal", "swept-words", songs({"id": "a"}),
                *run("-m", "generation.prompt=\"../../x\",'/etc/x','..'"), check=_in_cells)  # fmt: skip
    yield refused("traversal", "preset-of-a-row", songs({"id": "a", "preset": "../../outside/precious"}), *dry(),
                  says=("column preset", "no such preset"))  # fmt: skip
    for word in ("+preset=../../../outside/x", "hw=../../x", "model=../x", "manifest=../../outside/precious.txt"):
        yield refused("traversal", f"choice-{word.partition('=')[0]}", songs({"id": "a"}), *dry(word), says=(word,))
    yield refused("traversal", "config-name", songs({"id": "a"}), *dry("--config-name", "../../outside/precious"),
                  says=("precious",))  # fmt: skip

    for number, path in enumerate(ABSOLUTE):
        yield refused("absolute", f"output-path-{number}", _outside_rows({"id": "a", "output_path": path}), *dry(),
                      says=("row 1, output_path", "output.allow_outside=true"))  # fmt: skip
    yield refused("absolute", "taken-audio", _outside_rows({"id": "a", "output_path": "{outside}/x.wav"}),
                  *dry("output.allow_outside=true"), says=("x.wav exists and is never overwritten",))  # fmt: skip
    yield refused("absolute", "taken-record", _outside_rows({"id": "a", "output_path": "{outside}/y.wav"}, "y.wav.json"),
                  *run("output.allow_outside=true"), says=("y.wav.json exists and is never overwritten",))  # fmt: skip
    yield inert("absolute", "url", songs({"id": "a", "output_path": "file:///etc/x"}), *run(), check=_inside_audio)
    yield inert(
        "absolute", "url-of-a-share", songs({"id": "a", "output_path": "smb:/x/y"}), *run(), check=_inside_audio
    )
    yield refused("absolute", "in-the-defaults", {"songs.json": '{"defaults": {"output_path": "/etc/x"}, "songs": [{}]}'},
                  *dry(), says=("songs.json defaults, column output_path",))  # fmt: skip

    for key in ("lyrics_file", "prompt_file"):
        for number, path in enumerate(("../outside/precious.txt", "{outside}/precious.txt", "a/../../outside/precious.txt",
                                       "/etc/passwd", "..\\outside\\precious.txt", "C:\\x.txt", "\\\\server\\share\\x",
                                       "~/x", "")):  # fmt: skip
            if path or key == "lyrics_file":
                yield refused("text-file", f"{key}-{number}", _outside_rows({"id": "a", key: path}), *dry(),
                              says=("songs.json row 1", f"column {key}"))  # fmt: skip
    for number, path in enumerate((".", "sub", "/dev/zero", "pipe", "link.txt", "sub/link.txt", "big.txt", "x" * 300, "a\0b",
                                   "binary.txt")):  # fmt: skip
        yield refused("text-file", f"odd-{number}", _odd_files({"id": "a", "lyrics_file": path}), *dry(),
                      says=("songs.json row 1, column lyrics_file",))  # fmt: skip
    for number, path in enumerate(("pipe", "big.txt", "/dev/zero", "sub", "binary.txt")):
        yield refused("text-file", f"odd-on-the-command-line-{number}", _odd_files({"id": "a"}), *dry(f"lyrics_file={path}"),
                      says=("lyrics_file",))  # fmt: skip
    yield inert("text-file", "on-the-command-line", songs({"id": "a"}), *dry("lyrics_file={outside}/precious.txt"))
    yield inert("text-file", "link-that-stays", _odd_files({"id": "a", "lyrics_file": "inner.txt"}), *dry())


def _in_cells(outcome: Outcome) -> None:
    made = audio(outcome)
    assert len(made) == 3
    assert all(path.parts[0] == "cells" and ".." not in path.parts for path in made), made


def _outside_rows(row: dict[str, object], *taken: str):
    """A manifest with ``{outside}`` filled in."""

    def prepare(folder: Path) -> None:
        outside = folder.parent / "outside"
        for name in taken:
            (outside / name).write_text("mine", encoding="utf-8")
        given = {key: str(value).replace("{outside}", str(outside)) for key, value in row.items()}
        for name, content in songs(given).items():
            (folder / name).write_bytes(content.encode("utf-8") if isinstance(content, str) else content)

    return prepare


def _odd_files(row: dict[str, object]):
    """A manifest beside things that are no text files."""

    def prepare(folder: Path) -> None:
        (folder / "sub").mkdir()
        os.mkfifo(folder / "pipe")
        (folder / "link.txt").symlink_to(folder.parent / "outside" / "precious.txt")
        (folder / "sub" / "link.txt").symlink_to("../../outside/precious.txt")
        (folder / "words.txt").write_text("la la", encoding="utf-8")
        (folder / "inner.txt").symlink_to("words.txt")
        (folder / "binary.txt").write_bytes(bytes(range(256)))
        with (folder / "big.txt").open("wb") as file:
            file.truncate(3 * 2**30)
        for name, content in songs(row).items():
            (folder / name).write_bytes(content.encode("utf-8") if isinstance(content, str) else content)

    return prepare
