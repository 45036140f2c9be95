"""Audio files, their tags and records, and whole run folders, as `inspect` and `verify` read them from anybody."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..case import Case, Outcome, inert, refused
from .documents import BOMB
from .runs import RUN, Change, finished_run, pipe, record, resealed
from .weights import pickled, zipped

FORMATS = ("wav", "flac", "mp3", "ogg", "opus")
NAME = "0001_a_1"


def wave(
    *,
    size: int = 36 + 8,
    channels: int = 2,
    rate: int = 48_000,
    bits: int = 16,
    data: int = 8,
    kind: int = 1,
    body: bytes = bytes(8),
) -> bytes:
    """A WAV file that says of itself what is asked."""
    shape = struct.pack(
        "<HHIIHH", kind, channels, rate, rate * channels * bits // 8 % 2**32, channels * bits // 8 % 2**16, bits
    )
    return (
        b"RIFF"
        + struct.pack("<I", size)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + shape
        + b"data"
        + struct.pack("<I", data)
        + body
    )


def flac(*, rate: int = 48_000, channels: int = 2, bits: int = 16, samples: int = 0, more: bytes = b"") -> bytes:
    """A FLAC file without frames."""
    packed = (rate << 44) | (channels - 1 << 41) | (bits - 1 << 36) | samples
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC" + (b"\x00" if more else b"\x80") + len(info).to_bytes(3, "big") + info + more


LYING: Mapping[str, tuple[str, Callable[[], bytes]]] = {
    "empty": ("wav", lambda: b""),
    "magic-alone": ("wav", lambda: b"RIFF"),
    "no-samples": ("wav", lambda: wave(data=0, body=b"")),
    "data-of-all-memory": ("wav", lambda: wave(size=2**32 - 1, data=2**32 - 1)),
    "no-channels": ("wav", lambda: wave(channels=0)),
    "channels-of-thousands": ("wav", lambda: wave(channels=65_535)),
    "rate-of-nothing": ("wav", lambda: wave(rate=0)),
    "rate-beyond-all-bounds": ("wav", lambda: wave(rate=2**32 - 1)),
    "no-bits": ("wav", lambda: wave(bits=0)),
    "bits-of-thousands": ("wav", lambda: wave(bits=65_535)),
    "unknown-kind": ("wav", lambda: wave(kind=65_534)),
    "chunks-without-end": ("wav", lambda: wave() + (b"JUNK" + struct.pack("<I", 0)) * 50_000),
    "chunk-of-all-memory": ("wav", lambda: wave() + b"LIST" + struct.pack("<I", 2**31)),
    "tags-of-all-memory": ("wav", lambda: wave() + b"id3 " + struct.pack("<I", 2**31) + b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f"),
    "tags-compressed": ("wav", lambda: wave() + b"id3 " + struct.pack("<I", 40) + b"ID3\x04\x00\x00\x00\x00\x00\x1eTXXX\x00\x00\x00\x14\x00\x09"
                        + b"\x7f\x7f\x7f\x7f" + bytes(16)),
    "samples-of-all-memory": ("flac", lambda: flac(samples=2**36 - 1)),
    "channels-lie": ("flac", lambda: flac(channels=8, samples=100)),
    "picture-of-all-memory": ("flac", lambda: flac(more=b"\x86\xff\xff\xff" + b"\x00\x00\x00\x03\xff\xff\xff\xff")),
    "comments-of-all-memory": ("flac", lambda: flac(more=b"\x84\x00\x00\x08" + struct.pack("<II", 0, 2**32 - 1))),
    "text-of-all-memory": ("flac", lambda: flac(more=b"\x84\x00\x00\x04" + struct.pack("<I", 2**32 - 1))),
    "blocks-without-end": ("flac", lambda: flac(more=b"\x01\x00\x00\x00" * 50_000)),
    "tag-of-all-memory": ("mp3", lambda: b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"\xff\xfb\x90\x00" * 400),
    "frames-of-noise": ("mp3", lambda: b"\xff\xfb\x90\x64" * 10_000),
    "page-without-end": ("ogg", lambda: (b"OggS\x00\x02" + bytes(20) + b"\xff" + b"\xff" * 255) * 200),
    "vorbis-of-nothing": ("ogg", lambda: b"OggS\x00\x02" + bytes(20) + b"\x01\x1e\x01vorbis" + bytes(23)),
    "opus-of-nothing": ("opus", lambda: b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead" + bytes(11)),
    "pickle": ("wav", pickled), "zip": ("flac", zipped), "page": ("mp3", lambda: b"<html><script>alert(1)</script>"),
    "playlist": ("mp3", lambda: b"#EXTM3U\nfile:///etc/passwd\nhttp://127.0.0.1:9/x\n"),
    "sound-designer": ("wav", lambda: b"FORM" + struct.pack(">I", 2**31) + b"AIFFCOMM" + bytes(18)),
    "matlab": ("wav", lambda: b"MATLAB 5.0 MAT-file" + bytes(105) + b"\x00\x01IM" + b"\xff" * 64),
    "seven-zip": ("flac", lambda: b"7z\xbc\xaf\x27\x1c\x00\x04" + b"\xff" * 64),
}  # fmt: skip
"""Files that are no audio, or not as much as they say."""


def sidecar(change: Callable[[dict[str, Any]], None]) -> Change:
    """The record beside the song's file with a change."""

    def make(run: Path) -> None:
        file = run / "audio" / f"{NAME}.wav.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        change(content)
        file.write_text(json.dumps(content), encoding="utf-8")

    return make


def tag(text: str) -> Change:
    """The file's own record, in its tags, as this text; there is none beside it."""

    def make(run: Path) -> None:
        from mutagen.id3 import TXXX
        from mutagen.wave import WAVE

        path = run / "audio" / f"{NAME}.wav"
        path.with_name(f"{path.name}.json").unlink()
        file = WAVE(path)
        file.tags.add(TXXX(encoding=3, desc="ACESTEP_BATCH", text=text))
        file.save()

    return make


def _row(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.update(values)


def _record(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["record"].update(values)


def _engine(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["record"]["engine"].update(values)


def _file(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["record"]["file"].update(values)


WRONG: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "duration-beyond-all-bounds": _row(audio_duration=1e9),
    "notes-that-are-a-number": _record(notes=1),
    "made-on-as-a-list": _engine(made_on=[1]),
    "steps-beyond-all-bounds": _row(infer_step=10**9),
    "duration-that-is-a-list": _row(audio_duration=[1]),
    "prompt-that-is-a-list": _row(prompt=["x"]),
    "seeds-of-thousands": _row(actual_seeds=list(range(100_000))),
    "no-seeds": _row(actual_seeds=[]),
    "target": _row(scheduler_type={"_target_": "os.system"}),
    "engine-that-is-a-list": _record(engine=[]),
    "rungs-that-are-a-number": _record(rungs=1),
    "rate-beyond-all-bounds": _record(sample_rate=10**9),
    "micro-batch-that-is-a-text": _record(micro_batch="x"),
    "files-of-the-model-as-texts": _engine(files=["x"]),
    "format-of-a-document": _file(format="docx"),
}
"""Records that describe no song."""
ODD: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "escapes": _row(prompt="\x1b[31m\nerror: x", lyrics="\u202e"),
    "scripts": _row(prompt="<script>alert(1)</script>", comment="=1+1"),
    "notes-with-escapes": _record(notes=["\x1b[2J", "a\nerror: b"]),
    "preset-with-escapes": _record(preset="\x1b[31m", same_as="\u202e"),
    "take-as-a-list": _record(take=["\x1b[31m"], takes={}),
    "made-on-with-escapes": _engine(made_on={"\x1b[31m": "\x1b[2J\n", "x": ["\u202e"]}),
    "label-with-escapes": _engine(engine_version="\x1b[31m", strict="\x1b"),
    "device-with-escapes": _engine(device="cuda:\x1b[31m"),
    "encoder-as-a-list": _file(encoder=["x"]),
    "row-with-more": _row(**{"\x1b[31m": 1, "_target_": "os.system"}),
}
"""Records that hold what is shown: it must steer nothing."""
MODELS: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "model-that-climbs": _engine(files=[{"path": "../../outside/precious.txt", "sha256": "0" * 64}], revision="../../outside", commit="../x"),
    "model-with-escapes": _engine(files=[{"path": "\x1b[31m\nx", "sha256": "\x1b"}], revision="\x1b[31m\n", commit="\x1b"),
    "revision-of-nul": _engine(files=[{"path": "x", "sha256": "0"}], revision="a\0b", commit="a\0b"),
    "revision-that-is-a-list": _engine(files=[{"path": "x", "sha256": "0"}], revision=["x"], commit=["x"]),
    "revision-as-long-as-a-book": _engine(files=[{"path": "x", "sha256": "0"}], revision="r" * 100_000, commit="r" * 100_000),
}  # fmt: skip
"""Records whose model is not here."""
TAGS = (
    "", "{", "[]", "null", "NaN", "[" * 100_000, '{"a":' * 50_000, '{"record": {}}', '{"record": []}', '{"prompt": "\\u001b[31m"}', "x" * 5_000_000,
    '{"__class__": "os.system"}', "\u202e", "!!python/object/apply:os.system [touch pwned]", '{"a": 1, "a": 2}', "9" * 5_000,
)  # fmt: skip


def _of_song(*changes: Change) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        run = finished_run(folder, {"id": "a", "prompt": "pop", "seed": 1})
        for change in changes:
            change(run)

    return prepare


def _no_mark(outcome: Outcome) -> None:
    assert not (outcome.folder / "pwned").exists()


def cases() -> Iterator[Case]:
    """Every case of this file."""
    file = RUN / "audio" / f"{NAME}.wav"
    look, check = ("inspect", str(file)), ("verify", str(RUN))
    for name, (ending, content) in LYING.items():
        yield refused("audio", name, lambda folder, content=content, ending=ending: _put(folder / f"x.{ending}", content()),
                      "inspect", f"x.{ending}", says=(f"x.{ending}",), check=_no_mark)  # fmt: skip
    for name, (ending, content) in LYING.items():
        if ending == "wav":
            yield inert("audio", f"{name}-in-a-run", _of_song(lambda run, content=content: _put(run / "audio" / f"{NAME}.wav", content())),
                        *check, "--files-only", codes=(1,), check=_named(f"{NAME}.wav"))  # fmt: skip
    for name, change in WRONG.items():
        yield refused("inspect", name, _of_song(sidecar(change)), *look, says=(f"{NAME}.wav.json",), check=_no_mark)
        yield inert(
            "verify", f"sidecar-{name}", _of_song(sidecar(change)), *check, codes=(1,), check=_named(f"{NAME}.wav.json")
        )
    for name, change in ODD.items():
        yield inert("inspect", name, _of_song(sidecar(change)), *look, "--rerun", codes=(0, 1, 2), check=_no_mark)
        yield inert(
            "verify", f"sidecar-{name}", _of_song(sidecar(change)), *check, codes=(1,), check=_named(f"{NAME}.wav.json")
        )
    for name, change in MODELS.items():
        yield refused("inspect", name, _of_song(sidecar(change)), *look, "--rerun", says=("error",), check=_no_mark)
        yield inert("verify", f"sidecar-{name}", _of_song(sidecar(change)), *check, codes=(1, 2), check=_no_mark)
    for number, text in enumerate(TAGS):
        yield refused("inspect", f"tag-{number}", _of_song(tag(text)), *look, says=(f"{NAME}.wav",), check=_no_mark)
    for name, content in (("deep", "[" * 100_000), ("text", '"x"'), ("pickle", ""), ("nan", '{"record": NaN}')):
        beside = content.encode() or pickled()
        yield inert("inspect", f"beside-{name}", _of_song(lambda run, beside=beside: _put(run / "audio" / f"{NAME}.wav.json", beside)),
                    *look, check=_no_mark)  # fmt: skip
    yield inert("inspect", "beside-a-pipe", _of_song(pipe(f"audio/{NAME}.wav.json")), *look, check=_no_mark)
    yield inert("inspect", "beside-a-folder", _of_song(_folder_for(f"audio/{NAME}.wav.json")), *look)
    for name, path in (
        ("pipe", file),
        ("device", Path("/dev/zero")),
        ("folder", RUN),
        ("nothing", Path("x.wav")),
        ("nul", Path("a\0b")),
    ):
        prepare = _of_song(*([pipe(f"audio/{NAME}.wav")] if name == "pipe" else []))
        yield refused("inspect", f"of-a-{name}", prepare, "inspect", str(path), says=("error",))

    for name in ("run.json", "config.yaml", "overrides.yaml", "manifest.jsonl", "plan.jsonl", "records.jsonl", "seals.json",
                 "environment.json", "summary.csv", "summary.parquet", f"audio/{NAME}.wav", f"audio/{NAME}.wav.json"):  # fmt: skip
        yield inert("verify", f"pipe-{name}", _of_song(pipe(name)), *check, codes=(1, 2), check=_named(Path(name).name))
        yield inert(
            "verify", f"folder-{name}", _of_song(_folder_for(name)), *check, codes=(1, 2), check=_named(Path(name).name)
        )
        for kind, content in (
            ("deep", b"[" * 100_000 + b"\n"),
            ("pickle", pickled()),
            ("bomb", BOMB.encode()),
            ("empty", b""),
        ):
            put = _of_song(lambda run, name=name, content=content: _put(run / name, content))
            yield inert("verify", f"{kind}-{name}", put, *check, codes=(1, 2), check=_named(Path(name).name))
    for name in ("config.yaml", "plan.jsonl", "manifest.jsonl", "overrides.yaml"):
        put = _of_song(
            lambda run, name=name: _put(run / name, BOMB.encode()), lambda run, name=name: resealed(run, name)
        )
        yield inert("verify", f"sealed-bomb-{name}", put, *check, codes=(0, 1, 2), check=_no_mark)
    for name, change in {
        "path-up": {"audio_path": "../../../../outside/x.wav"}, "path-outside": {"audio_path": "{outside}/x.wav"},
        "path-of-a-device": {"audio_path": "/dev/zero"}, "path-with-escapes": {"audio_path": "audio/\x1b[31m\nx.wav"},
        "path-as-long-as-a-book": {"audio_path": "x" * 100_000}, "bytes-as-a-text": {"audio_bytes": "x"},
        "status-of-another": {"status": "failed", "error": "\x1b[31m\nerror: x"}, "environment-up": {"environment": "../../../../outside/x"},
        "rungs-as-a-number": {"rungs": 1}, "take-as-a-list": {"take": []}, "finished-never": {"finished_at": "\x1b[31m"},
    }.items():  # fmt: skip
        yield inert("verify", f"record-{name}", _of_song(record(**change)), *check, codes=(1, 2), check=_no_mark)
        junit = (*check, "--files-only", "--format", "junit")
        yield inert(
            "verify", f"record-{name}-as-junit", _of_song(record(**change)), *junit, codes=(1, 2), check=_is_xml
        )
    yield refused("verify", "of-a-file", _of_song(), "verify", str(file), says=("error",))
    yield refused("verify", "of-a-device", _of_song(), "verify", "/dev/zero", says=("/dev/zero",))
    yield refused("verify", "of-nul", _of_song(), "verify", "a\0b", says=("error",))
    yield refused("verify", "of-nothing", _of_song(), "verify", "n" * 400, says=("error",))
    for text in ("0", "-1", "200%", "nan%", "1e400%", "x", "\x1b[31m"):
        yield refused("verify", f"sample-{text!a}", _of_song(), *check, "--sample", text, says=("--sample",))
    yield from _links()


def _links() -> Iterator[Case]:
    """Links in a run's folder, also where something was meant to be; nothing is written through them."""
    resume, again = ("resume", str(RUN)), ("manifest.path=songs.json", "resume=true")
    from ..case import TINY

    for name in ("audio", ".locks", "superseded", "latents", "records.jsonl", "plan.jsonl", "run.log", "summary.csv", "config.yaml",
                 "environment.json", "seals.json", "run.json", f"audio/{NAME}.wav", f"audio/{NAME}.wav.json", "audio/.tmp-x"):  # fmt: skip
        for kind in ("outside", "gone"):
            put = _of_song(_linked(name, kind))
            says = "is a link" if name != "run.json" else "run.json" if kind == "outside" else "is no run's folder"
            yield refused("link", f"{kind}-{name}", put, *resume, says=(says,), check=_no_mark)
        says = "is a link" if name != "run.json" else "run.json"
        yield refused("link", f"again-{name}", _of_song(_linked(name, "outside")), *again, *TINY, says=(says,))
        yield inert("link", f"verified-{name}", _of_song(_linked(name, "outside")), "verify", str(RUN), "--files-only",
                    codes=(0, 1, 2), check=_no_mark)  # fmt: skip
    yield refused("link", "to-itself", _of_song(_looped("audio")), *resume, says=("is a link",))
    yield inert("link", "to-itself-verified", _of_song(_looped("audio")), "verify", str(RUN), codes=(1, 2))
    yield refused("link", "version", _version_elsewhere, "resume", str(RUN), says=("is a link",))
    yield refused("link", "version-again", _version_elsewhere, *again, *TINY, says=("is a link",))
    yield refused("link", "versions", _versions_elsewhere, *again[:1], *TINY, says=("is a link",))


def _linked(name: str, kind: str) -> Change:
    """A link in the place of a file or folder of the run, to what lies outside or to nothing."""

    def make(run: Path) -> None:
        import shutil

        place, outside = run / name, run.parents[3] / "outside"
        if place.is_dir():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        is_folder = "." not in name.lstrip(".")
        place.symlink_to(outside / "gone" if kind == "gone" else outside / ("sub" if is_folder else "precious.txt"))

    return make


def _looped(name: str) -> Change:
    def make(run: Path) -> None:
        import shutil

        shutil.rmtree(run / name)
        (run / name).symlink_to(run / name)

    return make


def _version_elsewhere(folder: Path) -> None:
    run = finished_run(folder, {"id": "a", "prompt": "pop", "seed": 1})
    run.rename(folder.parent / "outside" / "v0001")
    (folder.parent / "outside" / "v0001" / "records.jsonl").unlink()
    run.symlink_to(folder.parent / "outside" / "v0001")


def _versions_elsewhere(folder: Path) -> None:
    (folder / "songs.json").write_text('[{"id": "a"}]', encoding="utf-8")
    (folder / "outputs").mkdir()
    (folder / "outputs" / "songs").symlink_to(folder.parent / "outside")


def _folder_for(name: str) -> Change:
    def make(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).mkdir()

    return make


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _named(name: str) -> Callable[[Outcome], None]:
    """What is wrong is told, with the file's name."""

    def check(outcome: Outcome) -> None:
        _no_mark(outcome)
        assert name in outcome.out.replace("\n", ""), outcome.out[-500:]

    return check


def _is_xml(outcome: Outcome) -> None:
    from xml.etree import ElementTree

    assert ElementTree.fromstring(outcome.out).tag == "testsuites"
