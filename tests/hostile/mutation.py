"""Bytes and JSON changed at random: flips, cuts, repeats, splices, swapped and evil tokens; knows no kind of file."""

from __future__ import annotations

import json
import random
import re
from typing import Any

TOKENS = (
    b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"4294967296", b"9" * 400, b"0.1", b"true", b"null", b"''", b'""', b"[]", b"{}", b"[[]]",
    b'["x", {}]', b'{"_target_": "os.system"}', b"!!python/object/apply:os.system [touch pwned]", b"${oc.env:HOME}", b"${generation}",
    b"&a [*a]", b"*a", b"<<:", b"- ", b"? ", b": ", b"---\n", b"%YAML 9.9\n", b"=1+1", b"@x", b"../../outside/x", b"/etc/passwd",
    b"C:\\x", b"CON", b"\0", b"\x1b[31m", b"\r", b"\n", b"\t", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", "\u202e".encode(),
    "\u2028".encode(), b"\\ud800", b"\\u0000", b'"', b"'", b",", b";", b"#", b"//", b"/*", b"{{}}", b"%s", b"hydra", b"x" * 5_000,
    b"[" * 3_000, b"{" * 300, b"\xff" * 16, b"\x7f\xff\xff\xff", bytes(64), b"PK\x03\x04", b"\x80\x04\x95", b"__class__", b"-m",
)  # fmt: skip
"""What stands between two places of a document, or in the place of one of its tokens."""
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**64, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", " ", "x", "x" * 5_000, "\0",
    "\x1b[31m", "a\nerror: b", "\u202e", "\ud800", "=1+1", "../../outside/x", "/etc/passwd", "C:\\x", "CON", ".", "${oc.env:HOME}", "ok",
    "failed", "wav", "0" * 64, [], {}, [[]], [None], ["x"], [1, 2], {"a": 1}, {"": None}, {"_target_": "os.system"}, {"\x1b": 1},
)  # fmt: skip
"""What stands in the place of a value."""
MOST_BYTES = 400_000
_TOKEN = re.compile(rb"[A-Za-z0-9_.+-]+|\s+|[^A-Za-z0-9_\s]")


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The bytes after one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = rng.choice(CHANGES)(content, rng)[:MOST_BYTES]
    return content


def mutated_json(content: bytes, rng: random.Random) -> bytes:
    """A JSON document, or one on each line, with one to three of its values or names changed; valid as JSON."""
    lines = [json.loads(line) for line in content.splitlines()] if b"\n{" in content else [json.loads(content)]
    for _ in range(rng.choice((1, 1, 2, 3))):
        number = rng.randrange(len(lines))
        lines[number] = _changed(lines[number], rng)
    return b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"


def _changed(value: Any, rng: random.Random) -> Any:
    """A value with something in it changed, more often deep down."""
    if isinstance(value, dict) and value and rng.random() < 0.95:
        name = rng.choice(sorted(value))
        way = rng.random()
        if way < 0.1:
            return {key: each for key, each in value.items() if key != name}
        if way < 0.2:
            return {**value, str(rng.choice(VALUES))[:300].encode("utf-8", "replace").decode(): value[name]}
        if way < 0.25:
            return {**value, name: value[rng.choice(sorted(value))]}
        return {**value, name: _changed(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        place = rng.randrange(len(value))
        way = rng.random()
        if way < 0.1:
            return value[:place] + value[place + 1 :]
        if way < 0.2:
            return value[:place] + value[place : place + 1] * rng.choice((2, 2_000)) + value[place + 1 :]
        return [*value[:place], _changed(value[place], rng), *value[place + 1 :]]
    return rng.choice(VALUES)


def _flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _without(content: bytes, rng: random.Random) -> bytes:
    begin, end = _part(content, rng)
    return content[:begin] + content[end:]


def _repeated(content: bytes, rng: random.Random) -> bytes:
    begin, end = _part(content, rng)
    return content[:end] + content[begin:end] * rng.choice((1, 1, 3, 100)) + content[end:]


def _spliced(content: bytes, rng: random.Random) -> bytes:
    begin, end = _part(content, rng)
    place = rng.randrange(len(content) + 1)
    return content[:place] + content[begin:end] + content[place:]


def _with_token(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.choice(TOKENS) + content[place:]


def _other_token(content: bytes, rng: random.Random) -> bytes:
    tokens = _TOKEN.findall(content) or [b""]
    tokens[rng.randrange(len(tokens))] = rng.choice(TOKENS)
    return b"".join(tokens)


def _swapped_tokens(content: bytes, rng: random.Random) -> bytes:
    tokens = _TOKEN.findall(content) or [b""]
    one, other = rng.randrange(len(tokens)), rng.randrange(len(tokens))
    tokens[one], tokens[other] = tokens[other], tokens[one]
    return b"".join(tokens)


def _part(content: bytes, rng: random.Random) -> tuple[int, int]:
    begin = rng.randrange(len(content) + 1)
    return begin, min(len(content), begin + rng.choice((1, 4, 30, 300, 5_000)))


CHANGES = (_flipped, _cut, _without, _repeated, _spliced, _with_token, _other_token, _other_token, _swapped_tokens)
