"""File names from templates that every file system takes and that never collide."""

from __future__ import annotations

import hashlib
import re
import string
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from acestep_batch.problems import Problem, Refused

MAX_PATH_CHARS = 240
"""Longest whole path, in UTF-16 units: Windows stops at 260, and tools add endings of their own."""
MIN_STEM_CHARS = 16
"""A folder that leaves less room than this for a stem is too deep."""
MAX_FOLDER_CHARS = 64
"""Longest name of a folder that a person names."""
_RESERVED_CHARS = len("_9999999") + len(".flac.json")  # a suffix against collisions, and a sidecar's ending
_MAX_STEM_BYTES = 200  # Linux stops at 255 bytes for one name

_FORBIDDEN = frozenset('<>:"/\\|?*')
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)", re.IGNORECASE)


def safe_name(text: str) -> str:
    """One path component, in NFC, that Windows, macOS and Linux all take; never empty, never hidden.

    Control, format and reserved characters become `_`, dots and spaces at both ends go, and the names of
    Windows' devices (`CON`, `com1.txt`) get a `_` in front. Applying it twice changes nothing.
    """
    name = "".join(
        "_" if char in _FORBIDDEN or unicodedata.category(char) in _FORBIDDEN_CATEGORIES else char
        for char in unicodedata.normalize("NFC", text)
    ).strip(" .")
    if _WINDOWS_DEVICE.match(name):
        name = f"_{name}"
    return name or "unnamed"


def template_problem(template: str, allowed: Collection[str], where: str = "output.template") -> Problem | None:
    """What is wrong with a template such as `{index}_{id}_{seed}`, or None."""
    known = ", ".join(f"{{{field}}}" for field in allowed)
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        return Problem(where, f"{template!r} is no template: {error}", "write a brace itself as {{ or }}")
    for _, field, spec, conversion in parts:
        if field is not None and field not in allowed:
            return Problem(where, f"{template!r} has the unknown field {{{field}}}", f"use {known}")
        if spec or conversion:
            return Problem(where, f"{template!r} formats the field {{{field}}}", f"write plain {{{field}}}")
    if not template.strip():
        return Problem(where, "the template is empty", f"use {known}")
    return None


def stem_from_template(template: str, values: Mapping[str, object]) -> str:
    """Fill a template and make it a safe name; `index` gets at least four digits, None reads `none`.

    Raises Refused with `template_problem`'s finding when the template does not fit the values.
    """
    problem = template_problem(template, values.keys())
    if problem:
        raise Refused([problem])
    return safe_name(template.format_map({field: _shown(field, value) for field, value in values.items()}))


def stem_room(folder: Path) -> int:
    """How many UTF-16 units a stem in this folder may have so that every path stays within MAX_PATH_CHARS."""
    return MAX_PATH_CHARS - _utf16_units(str(folder.absolute())) - 1 - _RESERVED_CHARS


def shortened(stem: str, room: int) -> str:
    """The stem itself if it fits into `room` UTF-16 units, else its beginning and a hash of the whole."""
    if _fits(stem, room):
        return stem
    tail = "-" + hashlib.sha256(stem.encode("utf-8")).hexdigest()[:8]
    head = stem[:room]
    while not _fits(head + tail, room):
        head = head[:-1]
    return head + tail


def unique_stems(stems: Sequence[str]) -> list[str]:
    """The same stems with `_2`, `_3`... where two would be one file on a disk that ignores case or Unicode form.

    The first of equals keeps its name, and no suffix takes a name that another stem has.
    """
    taken = {_fold(stem) for stem in stems}
    next_number: dict[str, int] = {}
    result = []
    for stem in stems:
        key = _fold(stem)
        number = next_number.setdefault(key, 1)
        name = stem
        while number > 1 and _fold(name := f"{stem}_{number}") in taken:
            number += 1
        next_number[key] = number + 1
        taken.add(_fold(name))
        result.append(name)
    return result


def _shown(field: str, value: object) -> str:
    if value is None:
        return "none"
    return f"{value:04d}" if field == "index" and isinstance(value, int) else str(value)


def _fits(stem: str, room: int) -> bool:
    return _utf16_units(stem) <= room and len(stem.encode("utf-8")) <= _MAX_STEM_BYTES


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _fold(name: str) -> str:
    """Unicode's canonical caseless form: what macOS and Windows may take for the same name is equal here."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
