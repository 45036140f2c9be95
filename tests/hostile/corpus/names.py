"""Names that a file system reads in its own way: Windows' devices, Unicode forms, case, length, direction, NUL."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ..case import Case, Outcome, inert, refused
from .made import DRY, audio, dry, folders, run, songs

WINDOWS = (
    "CON", "con.wav", "Aux.txt.wav", "NUL", "prn /x", "COM1.wav", "LPT9", "COM¹", "CONIN$", "x.wav:evil",
    "xy::$DATA", "trailing.", "trailing ", "x. . .", "a|b<c>d?e*f\"g", "folder./x", "folder /x", "con/aux/nul", "x.lnk",
    "desktop.ini", "PROGRA~1", "x.wav.",
)  # fmt: skip
UNICODE = (
    "a\u202egnp.wav", "a\u200bb", "a\u200d\u200cb", "\ufeffa", "a\u2028b\u2029c", "\U000e0041\U000e0042", "e" + "\u0301" * 100,
    "\u1100\u1161\u11a8", "\ufdd0\uffff", "\ue000", "a\u0000b".replace("\0", "\u2400"), "\x07bell", "line\nbreak", "tab\there",
    "\x1b[31mred", "🏴\U000e0067\U000e0062", "a\u2215b\u29f5c", "．", "a\xa0", "İ.wav", "\x85x", "\x7f\x9b31m",
)  # fmt: skip
SAME = (
    ("é", "e\u0301"), ("A", "a"), ("ß", "SS"), ("ﬁ", "FI"), ("ς", "Σ"), ("\u212a", "k"), ("\u1100\u1161", "가"), ("Å", "\u212b"),
    ("x", "X"), ("ǰ", "J\u030c"),
)  # fmt: skip


def _safe(outcome: Outcome) -> None:
    """Names that every file system takes: of the rule's own, not of the product's."""
    made = [
        part for folder in folders(outcome) for path in folder.rglob("*") for part in path.relative_to(folder).parts
    ]
    made += [folder.parent.name for folder in folders(outcome)]
    assert audio(outcome)
    for name in made:
        assert len(name.encode()) <= 255, name
        assert not set(name) & set('<>:"/\\|?*'), name
        assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in name), ascii(name)
        assert name == unicodedata.normalize("NFC", name), ascii(name)
        assert name[-1] not in " .", name
        assert name.partition(".")[0].rstrip().upper() not in {
            "CON",
            "PRN",
            "AUX",
            "NUL",
            "COM1",
            "LPT9",
            "COM¹",
            "CONIN$",
        }


def _two_files(outcome: Outcome) -> None:
    _safe(outcome)
    keys = {unicodedata.normalize("NFD", unicodedata.normalize("NFD", str(path)).casefold()) for path in audio(outcome)}
    assert len(keys) == 2


def cases() -> Iterator[Case]:
    """Every case of this file."""
    for number, name in enumerate(WINDOWS):
        yield inert("windows", f"output-path-{number}", songs({"id": "a", "output_path": name}), *run(), check=_safe)
    for number, name in enumerate(("CON", "a:b", "x.", "aux.txt", 'q"uote', "com1 ")):
        yield inert("windows", f"id-{number}", songs({"id": name}), *run("output.template='{id}'"), check=_safe)
    for number, name in enumerate(("CON", "nul.txt", "a:b", "x. .")):
        yield inert("windows", f"run-name-{number}", songs({"id": "a"}), *run(f"output.name='{name}'"), check=_safe)
    for number, name in enumerate(("a:b", "a:b.wav", "x::$DATA")):  # a drive's letter
        yield refused("windows", f"drive-{number}", songs({"id": "a", "output_path": name}), *dry(),
                      says=("songs.json row 1, output_path",))  # fmt: skip
    yield inert(
        "windows", "manifest-stem", {"con.json": '[{"id": "a"}]'}, "manifest.path=con.json", *run()[1:], check=_safe
    )

    for number, name in enumerate(UNICODE):
        yield inert("unicode", f"output-path-{number}", songs({"id": "a", "output_path": name}), *run(), check=_safe)
    for number, name in enumerate(
        ("a\u202egnp", "line\nbreak", "\x1b[31mred", "a\u200bb", "\U000e0041", "tab\there", "\x7f")
    ):
        yield refused("unicode", f"id-{number}", songs({"id": name}), *dry(), says=("songs.json row 1, column id",))
    for number, (one, other) in enumerate(SAME):
        yield refused("unicode", f"same-ids-{number}", songs({"id": one}, {"id": other}), *dry(),
                      says=("songs.json row 2, column id", "is the id of row 1 too"))  # fmt: skip
        yield inert("unicode", f"same-paths-{number}",
                    songs({"id": "1", "output_path": one}, {"id": "2", "output_path": other, "prompt": "x"}), *run(),
                    check=_two_files)  # fmt: skip
    for key in ("id", "prompt", "lyrics", "output_path", "lyrics_file", "cfg_type", "seed", "preset", "lora_name_or_path",
                "a\0b"):  # fmt: skip
        yield refused("unicode", f"nul-in-{key.replace(chr(0), '-')}", songs({"id": "a", key: "a\0b"}), *dry(),
                      says=("songs.json row 1",))  # fmt: skip
    for key in ("id", "prompt", "output_path", "lyrics_file", "preset"):
        yield refused("unicode", f"half-a-character-in-{key}", {"songs.json": f'[{{"id": "a", "{key}": "\\ud800"}}]'.replace(
            '"id": "a", "id"', '"id"')}, *dry(), says=("songs.json row 1",))  # fmt: skip
    for number, stem in enumerate((b"a\nb", b"\xff\xfe", b"\x1b[31m", "a\u202eb".encode())):
        yield refused("unicode", f"stem-{number}", _folder(stem), "manifest.path=songs", *DRY, says=("column id",))

    yield inert("unicode", "blank-stem", _folder(b" "), "manifest.path=songs", *DRY)

    for number, name in enumerate(("x" * 300, "雨" * 300, "🎵" * 300, "e\u0301" * 300, "a" * 300 + ".wav", "x/" * 3 + "y" * 250,
                                   "f" * 300 + "/x.wav", "a." * 200)):  # fmt: skip
        yield inert("length", f"output-path-{number}", songs({"id": "a", "output_path": name}), *run(), check=_safe)
    yield refused("length", "deep-output-path", songs({"id": "a", "output_path": "a/" * 200 + "x"}), *dry(),
                  says=("songs.json row 1, output_path", "too long"))  # fmt: skip
    yield refused("length", "id", songs({"id": "i" * 181}), *dry(), says=("songs.json row 1, column id",))
    yield inert("length", "widest-id", songs({"id": "🎵" * 180}), *run("output.template='{id}{id}{id}'"), check=_safe)
    yield inert("length", "template", songs({"id": "a"}), *run("output.template='" + "{id}" * 500 + "'"), check=_safe)
    yield inert("length", "run-name", songs({"id": "a"}), *run(f"output.name={'n' * 300}"), check=_safe)
    yield refused(
        "length", "root", songs({"id": "a"}), *dry(f"output.root={'/'.join(['r' * 100] * 5)}"), says=("output.root",)
    )
    yield refused(
        "length", "root-of-one-name", songs({"id": "a"}), *dry(f"output.root={'r' * 400}"), says=("output.root",)
    )
    yield refused("length", "manifest", {}, f"manifest.path={'m' * 300}.csv", *DRY, says=("manifest.path",))
    yield refused("length", "manifest-folder", {}, f"manifest.path={'m/' * 3000}x.csv", *DRY, says=("manifest.path",))
    yield refused("length", "preset-file", songs({"id": "a"}), *dry(f"preset_file={'p' * 300}"), says=("preset_file",))
    yield refused("length", "preset", songs({"id": "a", "preset": "p" * 100_000}), *dry(), says=("column preset",))


def _folder(stem: bytes):
    """A folder manifest of one file with this stem."""

    def prepare(folder: Path) -> None:
        (folder / "songs").mkdir()
        with open(os.path.join(os.fsencode(folder / "songs"), stem + b".json"), "wb") as file:  # noqa: PTH118, PTH123
            file.write(b'{"prompt": "pop"}')

    return prepare
