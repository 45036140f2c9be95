"""Records as JSON on disk: whole files, and lines that are durable once appended."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acestep_batch.outputs.atomic import naming, sync_descriptor, sync_folder, write_bytes


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON of plain values, in the order given, with readable Unicode; half a surrogate pair stays an escape.

    Raises:
        ValueError: a number is NaN or infinite (JSON has neither).
        TypeError: a value is of a type that JSON does not have.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def parse_json_text(text: str) -> Any:
    """What `json_text` wrote; any value of it can be written again.

    Raises:
        ValueError: the text is no JSON, or holds a number that JSON does not have (NaN, or 1e999, which is infinite).
    """
    return _STANDARD.decode(text)


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is no number of JSON")
    return value


_STANDARD = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


def write_json(path: Path, value: object, *, replace: bool = False) -> str:
    """Write indented JSON durably and return the file's sha256.

    Raises FileExistsError unless `replace`, and as `json_text`.
    """
    data = (json_text(value, indent=2) + "\n").encode("utf-8")
    write_bytes(path, data, replace=replace)
    return hashlib.sha256(data).hexdigest()


def append_jsonl(path: Path, record: Mapping[str, Any]) -> None:
    """Append one line of JSON; when this returns, the line survives a power cut.

    A last line that an earlier crash tore is cut off first, for it never counted; one that lacks its end alone gets it.

    Raises OSError, and as `json_text`.
    """
    line = (json_text(record) + "\n").encode("utf-8")
    is_new = not path.exists()
    with naming(path), path.open("a+b") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.seek(0)
                content = file.read()
                torn = content[content.rfind(b"\n") + 1 :]
                if _is_json(torn):
                    line = b"\n" + line
                else:
                    file.truncate(len(content) - len(torn))
        file.write(line)
        file.flush()
        sync_descriptor(file.fileno())
    if is_new:
        sync_folder(path.parent)


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
