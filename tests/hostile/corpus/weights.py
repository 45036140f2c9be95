"""Checkpoints that are not what they seem: pickles and archives under other names, and headers that lie."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..case import TINY, Case, Outcome, inert, refused
from .made import songs

CHECKPOINT = Path(__file__).resolve().parents[2] / "golden" / "v1" / "checkpoint"
TRANSFORMER = "ace_step_transformer/diffusion_pytorch_model.safetensors"
VOCODER = "music_vocoder/diffusion_pytorch_model.safetensors"
TEXT = "umt5-base/model.safetensors"
V1 = ("manifest.path=songs.json", "model=v1", "hw=cpu", "model.path={work}/checkpoint", "infer_step=1", "audio_duration=0.1",
      "lint=off", "bf16=false", "measure=false", "report=false")  # fmt: skip


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("open('pwned', 'w')",)


def pickled() -> bytes:
    """A pickle that writes a file when it is loaded."""
    return pickle.dumps({"weight": _Evil()})


def zipped(name: str = "archive/data.pkl", content: bytes | None = None) -> bytes:
    """The zip archive that torch.save writes, with a pickle in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, pickled() if content is None else content)
    return packed.getvalue()


def _tarred() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("../../outside/x.txt")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    return packed.getvalue()


FOREIGN: Mapping[str, Callable[[], bytes]] = {
    "pickle": pickled,
    "pickle-of-protocol-0": lambda: pickle.dumps({"weight": _Evil()}, protocol=0),
    "torch-zip": zipped,
    "zip-that-climbs": lambda: zipped("../../outside/x.txt", b"evil"),
    "zip-bomb": lambda: zipped("archive/data.pkl", bytes(50_000_000)),
    "tar": _tarred,
    "7z": lambda: b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(64),
    "gzip": lambda: b"\x1f\x8b\x08" + bytes(64),
    "numpy": lambda: (
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }" + b"\n" + pickled()
    ),
    "page": lambda: b"<html><script>alert(1)</script></html>",
    "lfs-pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "python": lambda: b"open('pwned', 'w')\n",
    "empty": lambda: b"",
    "seven-bytes": lambda: bytes(7),
    "zeros": lambda: bytes(4096),
}


def _header(header: object, data: bytes = b"", size: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def _tensor(begin: object, end: object, shape: object = (1,), dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


HEADERS: Mapping[str, Callable[[], bytes]] = {
    "size-0": lambda: struct.pack("<Q", 0),
    "size-1": lambda: struct.pack("<Q", 1) + b"{",
    "size-beyond-the-file": lambda: _header({}, size=10**6),
    "size-of-all-memory": lambda: _header({}, size=2**63 - 1),
    "size-negative": lambda: _header({}, size=2**64 - 1),
    "size-just-too-large": lambda: _header(b"{" + b" " * 30_000_000 + b"}"),
    "list": lambda: _header([]),
    "number": lambda: _header(b"1 "),
    "deep": lambda: _header(b"[" * 100_000),
    "deep-in-metadata": lambda: _header(b'{"__metadata__":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "not-utf-8": lambda: _header(b'{"\xff": 1}'),
    "empty-lists": lambda: _header(b"[" + b"[]," * 5_000_000 + b"[]]"),
    "overlap": lambda: _header({"a": _tensor(0, 4), "b": _tensor(0, 4)}, bytes(4)),
    "gap": lambda: _header({"a": _tensor(0, 4), "b": _tensor(8, 12)}, bytes(12)),
    "reversed": lambda: _header({"a": _tensor(4, 0)}, bytes(4)),
    "negative": lambda: _header({"a": _tensor(-4, 0)}, bytes(4)),
    "overflow": lambda: _header({"a": _tensor(0, 2**64)}, bytes(4)),
    "overflow-by-four": lambda: _header({"a": _tensor(0, 2**64 + 4)}, bytes(4)),
    "floats": lambda: _header({"a": _tensor(0.0, 4.0)}, bytes(4)),
    "texts": lambda: _header({"a": _tensor("0", "4")}, bytes(4)),
    "offsets-of-one": lambda: _header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, bytes(4)),
    "offsets-missing": lambda: _header({"a": {"dtype": "F32", "shape": [1]}}, bytes(4)),
    "appended-pickle": lambda: _header({"a": _tensor(0, 4)}, bytes(4) + pickled()),
    "appended-zip": lambda: _header({"a": _tensor(0, 4)}, bytes(4) + zipped()),
    "cut": lambda: _header({"a": _tensor(0, 400)}, bytes(4)),
    "nan": lambda: _header(b'{"a": NaN}'),
}
"""Refused before anything is loaded."""

INSIDE: Mapping[str, Callable[[bytes], bytes]] = {
    "hundred-thousand-tensors": lambda whole: _with(whole, {f"t{n}": _tensor(0, 0, [0]) for n in range(100_000)}),
    "names-with-escapes": lambda whole: _with(whole, {"a\x1b[31m\nerror: x": _tensor(0, 0, [0])}),
    "name-as-long-as-a-book": lambda whole: _with(whole, {"n" * 500_000: _tensor(0, 0, [0])}),
    "unknown-type": lambda whole: _changed(whole, dtype="F128"),
    "other-type": lambda whole: _changed(whole, dtype="I64"),
    "shape-of-all-memory": lambda whole: _changed(whole, shape=[2**40, 2**40]),
    "shape-overflow": lambda whole: _changed(whole, shape=[2**63, 2]),
    "shape-negative": lambda whole: _changed(whole, shape=[-1, -1]),
    "shape-of-texts": lambda whole: _changed(whole, shape=["1"]),
    "shape-of-thousands": lambda whole: _changed(whole, shape=[1] * 5_000),
    "shape-other": lambda whole: _changed(whole, shape=[1]),
    "no-tensors": lambda whole: _header({}),
    "metadata-of-numbers": lambda whole: _with(whole, {"__metadata__": {"a": 1}}),
    "same-name-twice": lambda whole: _twice(whole),
}
"""Sizes that fit the file, and yet are no weights of the model."""


def _parts(whole: bytes) -> tuple[dict[str, Any], bytes]:
    size = struct.unpack("<Q", whole[:8])[0]
    return json.loads(whole[8 : 8 + size]), whole[8 + size :]


def _with(whole: bytes, more: Mapping[str, object]) -> bytes:
    header, data = _parts(whole)
    end = len(data)
    given = {name: value if name == "__metadata__" else _tensor(end, end, [0]) for name, value in more.items()}
    return _header({**header, **given}, data)


def _changed(whole: bytes, **change: object) -> bytes:
    header, data = _parts(whole)
    name = next(name for name in header if name != "__metadata__")
    return _header({**header, name: {**header[name], **change}}, data)


def _twice(whole: bytes) -> bytes:
    header, data = _parts(whole)
    text = json.dumps(header)
    name = next(name for name in header if name != "__metadata__")
    return _header((text[:-1] + f", {json.dumps(name)}: {json.dumps(header[name])}}}").encode(), data)


CONFIGS: Mapping[str, object] = {
    "layers": {"num_layers": 10**9},
    "width": {"num_attention_heads": 10**9},
    "texts": {"num_layers": "os.system"},
    "negative": {"num_layers": -1},
    "null": {"num_layers": None},
    "list": {"num_layers": [1]},
    "zero": {"attention_head_dim": 0},
}


def checkpoint(folder: Path) -> Path:
    """A sound checkpoint and one song, put below ``folder``; returns the checkpoint's folder."""
    for name, content in songs({"id": "a", "lyrics": "la"}).items():
        (folder / name).write_text(str(content), encoding="utf-8")
    shutil.copytree(CHECKPOINT, folder / "checkpoint")
    from tiny_v1 import letter_vocabulary

    letter_vocabulary(folder / "checkpoint" / "lyric_vocab.json")
    return folder / "checkpoint"


def _replaced(name: str, content: Callable[[], bytes]) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        (checkpoint(folder) / name).write_bytes(content())

    return prepare


def _edited(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        file = checkpoint(folder) / name
        file.write_bytes(change(file.read_bytes()))

    return prepare


def _configured(name: str, change: object) -> Callable[[Path], None]:
    def edit(whole: bytes) -> bytes:
        return json.dumps({**json.loads(whole), **change} if isinstance(change, dict) else change).encode()

    return _edited(name, edit)


def _no_mark(outcome: Outcome) -> None:
    assert not (outcome.folder / "pwned").exists()
    assert not list(outcome.folder.glob("outputs/*/*/audio/*"))


def cases() -> Iterator[Case]:
    """Every case of this file."""

    def no(group: str, name: str, prepare: Callable[[Path], None], *words: str, says: str) -> Case:
        return refused(group, name, prepare, *V1, *words, says=(says,), check=_no_mark)

    for name, content in FOREIGN.items():
        yield no("pickle", name, _replaced(TRANSFORMER, content), "dry_run=true", says=TRANSFORMER)
    for name in ("umt5-base/tokenizer.json", "umt5-base/config.json", "lyric_vocab.json", "music_vocoder/config.json"):
        yield no("pickle", f"as-{name.replace('/', '-')}", _replaced(name, pickled), "dry_run=true", says=name)
    yield refused(
        "pickle", "as-a-manifest", {"songs.json": pickled()}, "manifest.path=songs.json", *TINY, says=("songs.json",)
    )
    for name, content in HEADERS.items():
        yield no("safetensors", name, _replaced(VOCODER, content), "dry_run=true", says=VOCODER)
    for name, change in INSIDE.items():
        for place in (TRANSFORMER, VOCODER, TEXT):
            part = place.partition("/")[0]
            yield no("safetensors", f"{name}-{part}", _edited(place, change), says=part)
    for name, config in CONFIGS.items():
        yield no(
            "checkpoint", name, _configured("ace_step_transformer/config.json", config), says="ace_step_transformer"
        )
    for place in (
        "ace_step_transformer/config.json",
        "music_dcae_f8c8/config.json",
        "umt5-base/config.json",
        "umt5-base/tokenizer.json",
    ):
        for name, text in (
            ("deep", b"[" * 100_000),
            ("list", b"[]"),
            ("duplicate", b'{"a": 1, "a": 2}'),
            ("nan", b'{"a": NaN}'),
        ):
            yield no("checkpoint", f"{name}-{place.replace('/', '-')}", _replaced(place, lambda text=text: text),
                     says=place.partition("/")[0])  # fmt: skip
    for name, text in (
        ("numbers", b'{"model": {"vocab": {"a": -1}}}'),
        ("empty", b"{}"),
        ("list", b"[]"),
        ("deep", b"[" * 100_000),
    ):
        yield no(
            "checkpoint",
            f"vocabulary-{name}",
            _replaced("lyric_vocab.json", lambda text=text: text),
            says="lyric_vocab.json",
        )
    yield refused(
        "checkpoint", "a-file", {**songs({"id": "a"}), "checkpoint": "x"}, *V1, "dry_run=true", says=("checkpoint",)
    )
    yield refused("checkpoint", "nowhere", songs({"id": "a"}), *V1, "dry_run=true", says=("checkpoint",))
    yield inert("checkpoint", "remote-code-beside-it", _with_code, *V1, check=_no_code)
    remote = {"auto_map": {"AutoModel": "evil.Model"}, "trust_remote_code": True, "_target_": "os.system"}
    yield inert(
        "checkpoint", "remote-code", _configured("ace_step_transformer/config.json", remote), *V1, check=_no_code
    )


def _with_code(folder: Path) -> None:
    own = checkpoint(folder)
    for place in (own, own / "ace_step_transformer", own / "umt5-base"):
        for name in ("modeling.py", "__init__.py", "conftest.py", "tokenization.py"):
            (place / name).write_text("open('pwned', 'w')\n", encoding="utf-8")
        (place / "pytorch_model.bin").write_bytes(pickled())


def _no_code(outcome: Outcome) -> None:
    assert not (outcome.folder / "pwned").exists()
    assert list(outcome.folder.glob("outputs/*/*/audio/*.wav"))
