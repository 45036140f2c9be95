"""Run folders that somebody has changed: plans, records, run.json, configuration, kept latents."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..case import TINY, Case, Outcome, inert, refused
from .documents import BOMB
from .weights import pickled

RUN = Path("outputs", "songs", "v0001")
IDENTITY = "I" * 64
"""Stands for the song's own identity in kept latents."""
Change = Callable[[Path], None]
AGAIN = ("resume", str(RUN))
PLANNED = (*AGAIN, "--as-planned")


@cache
def _run_of(row: str, *words: str) -> Path:
    """A finished run, made once for each row; in the folder of temporary files."""
    from acestep_batch.cli import main

    folder = Path(tempfile.mkdtemp(prefix="run-"))
    before = Path.cwd()
    os.chdir(folder)
    try:
        Path("songs.json").write_text(row, encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert main(["manifest.path=songs.json", *TINY, *words]) == 0
    finally:
        os.chdir(before)
    return folder


def finished_run(folder: Path, *rows: dict[str, object], words: tuple[str, ...] = ()) -> Path:
    """Put ``songs.json`` and its finished run below ``folder``; returns the run's folder."""
    made = _run_of(json.dumps(rows), *words)
    shutil.copytree(made, folder, dirs_exist_ok=True, symlinks=True)
    run = folder / RUN
    for file in (run / "run.json", *run.glob("cells/*/run.json")):
        own = _own(file)
        own["command"]["directory"] = str(folder)
        _describe(file, own)
    return run


def _own(file: Path) -> dict[str, Any]:
    return {key: value for key, value in json.loads(file.read_text(encoding="utf-8")).items() if key != "seal_sha256"}


def _describe(file: Path, own: Mapping[str, Any]) -> None:
    """Write a run.json with the seal that belongs to it, as somebody who knows how would."""
    from acestep_batch.seals import write_sealed

    write_sealed(file, own, replace=True)


def changed(*changes: Change, words: tuple[str, ...] = ()) -> Callable[[Path], None]:
    """A finished run of one song with these changes made to its folder."""

    def prepare(folder: Path) -> None:
        run = finished_run(folder, {"id": "a", "prompt": "pop"}, words=words)
        for change in changes:
            change(run)

    return prepare


def unmade(run: Path) -> None:
    """Its song is to be made again."""
    shutil.rmtree(run / "audio", ignore_errors=True)


def _sealed(run: Path, name: str, text: str) -> None:
    """Write a file of the run with the seal that belongs to it, as somebody who knows how would."""
    from acestep_batch.seals import SEALS, write_seals

    (run / name).write_text(text, encoding="utf-8")
    if (run / SEALS).exists():
        texts = {other: (run / other).read_text(encoding="utf-8") for other in json.loads((run / SEALS).read_text())
                 if (run / other).is_file()}  # fmt: skip
        write_seals(run, texts)


def plan(**change: object) -> Change:
    """The plan's first song with these values; ``song_x`` stands for song.x, ``generation_x`` for song.generation.x."""

    def make(run: Path) -> None:
        unmade(run)
        line = json.loads((run / "plan.jsonl").read_text(encoding="utf-8"))
        for key, value in change.items():
            place, name = line, key
            if key.startswith("song_"):
                place, name = line["song"], key.removeprefix("song_")
            elif key.startswith("generation_"):
                place, name = line["song"]["generation"], key.removeprefix("generation_")
            if value is None and name in ("song", "facts", "identity", "folder", "stem", "formats"):
                del place[name]
            else:
                place[name] = (
                    str(run.parents[3] / "outside") + value.removeprefix("{outside}")
                    if str(value).startswith("{outside}")
                    else value
                )
        _sealed(run, "plan.jsonl", json.dumps(line) + "\n")

    return make


def text_of(name: str, content: str | bytes) -> Change:
    """A file of the run with another content."""

    def make(run: Path) -> None:
        unmade(run)
        if isinstance(content, bytes):
            (run / name).write_bytes(content)
        else:
            _sealed(run, name, content)

    return make


def run_file(**change: object) -> Change:
    """run.json with these values; ``command_x`` stands for command.x, ``facts_x`` for a fact."""

    def make(run: Path) -> None:
        unmade(run)
        own = _own(run / "run.json")
        for key, value in change.items():
            if key.startswith("command_"):
                own["command"][key.removeprefix("command_")] = value
            elif key == "more_words":
                own["command"]["overrides"] += value
            elif key.startswith("facts_"):
                own["facts"][key.removeprefix("facts_").replace("__", ".")] = value
            elif value is None:
                del own[key]
            else:
                own[key] = value
        if any(key.startswith("facts_") for key in change):
            from acestep_batch.run_folder import key_of

            own["key"] = key_of(own["facts"])
        (run / "run.json").write_text(
            json.dumps(own).replace("{outside}", str(run.parents[3] / "outside")), encoding="utf-8"
        )

    return make


def record(**change: object) -> Change:
    """The record of the song with these values, sealed anew; ``audio_x`` stands for x of its first file."""

    def make(run: Path) -> None:
        from acestep_batch.ledger import SEAL, sealed

        line = json.loads((run / "records.jsonl").read_text(encoding="utf-8"))
        line.pop(SEAL)
        for key, value in change.items():
            value = value.replace("{outside}", str(run.parents[3] / "outside")) if isinstance(value, str) else value
            if key.startswith("audio_"):
                line["audio"][0][key.removeprefix("audio_")] = value
            elif value is None:
                line.pop(key)
            else:
                line[key] = value
        (run / "records.jsonl").write_text(json.dumps(sealed(line), ensure_ascii=False) + "\n", encoding="utf-8")

    return make


def resealed(run: Path, pattern: str) -> None:
    """Make the seals of changed files of a run again, as somebody who knows how would; what is no JSON has none."""
    from acestep_batch.ledger import SEAL, sealed
    from acestep_batch.run_folder import key_of
    from acestep_batch.seals import SEALED

    for file in run.glob(pattern):
        name = file.relative_to(run).as_posix()
        with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError, LookupError):
            if name in SEALED:
                _sealed(run, name, file.read_text(encoding="utf-8"))
            elif name == "run.json":
                own = _own(file)
                _describe(file, {**own, "key": key_of(own["facts"])})
            elif name == "records.jsonl":
                lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
                own = [sealed({key: value for key, value in line.items() if key != SEAL}) for line in lines]
                file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in own), encoding="utf-8")


def pipe(name: str) -> Change:
    """A pipe in the place of a file."""

    def make(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)

    return make


def folder_instead(name: str) -> Change:
    """A folder in the place of a file."""

    def make(run: Path) -> None:
        unmade(run)
        (run / name).unlink(missing_ok=True)
        (run / name).mkdir()

    return make


PLANS: Mapping[str, Mapping[str, object]] = {
    "folder-up": {"folder": "../../../outside"},
    "folder-up-from-audio": {"folder": "audio/../../../../outside"},
    "folder-outside": {"folder": "{outside}"},
    "folder-of-the-system": {"folder": "/etc"},
    "folder-of-windows": {"folder": "C:\\Windows"},
    "folder-with-nul": {"folder": "audio/\0"},
    "folder-of-the-locks": {"folder": ".locks"},
    "folder-of-the-run": {"folder": "."},
    "folder-of-nothing": {"folder": ""},
    "folder-that-is-a-number": {"folder": 1},
    "folder-that-is-a-list": {"folder": ["audio"]},
    "folder-with-blanks": {"folder": "audio/ ../x"},
    "no-folder": {"folder": None},
    "stem-up": {"stem": "../../../../outside/x"},
    "stem-outside": {"stem": "{outside}/x"},
    "stem-of-folders": {"stem": "a/b"},
    "stem-of-windows": {"stem": "..\\x"},
    "stem-of-nothing": {"stem": ""},
    "stem-of-a-dot": {"stem": "."},
    "stem-of-a-device": {"stem": "CON"},
    "stem-too-long": {"stem": "x" * 300},
    "stem-hidden": {"stem": ".tmp-x"},
    "stem-with-nul": {"stem": "a\0b"},
    "formats-of-documents": {"formats": ["docx"]},
    "formats-up": {"formats": ["wav/../../x"]},
    "formats-of-nothing": {"formats": []},
    "formats-as-a-text": {"formats": "wav"},
    "formats-of-numbers": {"formats": [1]},
    "identity-up": {"identity": "../../../../outside/x"},
    "identity-of-nothing": {"identity": ""},
    "identity-that-is-a-number": {"identity": 1},
    "facts-as-a-list": {"facts": []},
    "facts-with-escapes": {"facts": {"\x1b[31m\nerror": 1}},
    "batch-negative": {"batch": -1},
    "batch-as-a-text": {"batch": "x"},
    "batch-in-parts": {"batch": 1.5},
    "same-as-nobody": {"same_as": "nobody"},
    "same-as-itself": {"same_as": "a"},
    "same-as-a-list": {"same_as": []},
    "seed-negative": {"song_seed": -1},
    "seed-as-a-text": {"song_seed": "x"},
    "index-as-a-text": {"song_index": "x"},
    "take-as-a-list": {"song_take": []},
    "id-with-escapes": {"song_id": "a\x1b[31m"},
    "id-that-is-a-number": {"song_id": 1},
    "song-id-with-line-ends": {"song_song_id": "a\nerror: x"},
    "place-that-is-a-list": {"song_place": []},
    "preset-that-is-a-list": {"song_preset": []},
    "requested-that-is-a-text": {"song_requested": "x"},
    "notes-of-numbers": {"song_notes": [1]},
    "song-with-more": {"song__target_": "os.system"},
    "generation-with-more": {"generation__target_": "os.system"},
    "prompt-that-is-a-list": {"generation_prompt": []},
    "steps-beyond-all-bounds": {"generation_infer_step": 10**9},
    "other-seed": {"generation_actual_seeds": [1, 2]},
    "no-song": {"song": None},
    "no-facts": {"facts": None},
}
"""Changes of a plan that must be refused, whatever the song."""

RUN_FILES: Mapping[str, Mapping[str, object]] = {
    "kind": {"kind": "evil"},
    "kind-as-a-list": {"kind": []},
    "no-kind": {"kind": None},
    "key": {"key": "0" * 64},
    "key-as-a-list": {"key": []},
    "no-facts": {"facts": None},
    "facts-as-a-list": {"facts": []},
    "facts-changed": {"facts_output__template": "{id}"},
    "swept-as-a-list": {"swept": []},
    "swept-of-lists": {"swept": {"a": []}},
    "no-command": {"command": None},
    "command-as-a-text": {"command": "touch pwned"},
    "words-as-a-text": {"command_overrides": "touch pwned"},
    "words-of-numbers": {"command_overrides": [1]},
    "words-of-lists": {"command_overrides": [["a"]]},
    "many-as-a-text": {"command_multirun": "yes"},
    "directory-gone": {"command_directory": "{outside}/gone"},
    "directory-that-is-a-file": {"command_directory": "{outside}/precious.txt"},
    "directory-with-nul": {"command_directory": "a\0b"},
    "directory-that-is-a-list": {"command_directory": []},
    "configuration-of-the-system": {"command_config_dir": "/"},
    "configuration-that-is-a-file": {"command_config_dir": "{outside}/precious.txt"},
    "configuration-that-is-a-number": {"command_config_dir": 1},
    "configuration-name-up": {"command_config_name": "../../outside/precious"},
    "word-of-hydra": {"more_words": ["hydra.run.dir={outside}"]},
    "word-of-a-search-path": {"more_words": ["hydra.searchpath=[pkg://antigravity]"]},
    "word-of-a-target": {"more_words": ["+x._target_=os.system"]},
    "word-of-the-environment": {"more_words": ["generation.prompt=${oc.env:HOME}"]},
    "word-of-another-manifest": {"more_words": ["manifest.path=/etc/passwd"]},
    "word-of-an-absolute-path": {"more_words": ["generation.output_path={outside}/x.wav"], "facts_generation__output_path": "{outside}/x.wav"},
    "word-of-an-absolute-path-allowed": {
        "more_words": ["generation.output_path={outside}/new.wav", "output.allow_outside=true"],
        "facts_generation__output_path": "{outside}/new.wav", "facts_output__allow_outside": True,
    },
    "word-of-an-existing-path-allowed": {
        "more_words": ["generation.output_path={outside}/x.wav", "output.allow_outside=true"],
        "facts_generation__output_path": "{outside}/x.wav", "facts_output__allow_outside": True,
    },
    "word-with-escapes": {"more_words": ["x\x1b[31m\nerror=1"]},
    "word-without-end": {"more_words": ["seed=" + "[" * 3_000]},
    "words-without-end": {"command_multirun": True, "more_words": ["seed=range(0,1000000000)"]},
    "word-of-a-flag": {"more_words": ["--config-dir=/"]},
    "word-that-is-empty": {"more_words": [""]},
    "hundred-thousand-words": {"command_overrides": ["seed=1"] * 100_000},
}  # fmt: skip

TEXTS: Mapping[str, tuple[str, str | bytes]] = {
    "plan-empty": ("plan.jsonl", ""),
    "plan-of-null": ("plan.jsonl", "null\n"),
    "plan-of-lists": ("plan.jsonl", "[]\n"),
    "plan-deep": ("plan.jsonl", "[" * 100_000 + "\n"),
    "plan-not-utf-8": ("plan.jsonl", b"\xff\n"),
    "plan-of-a-pickle": ("plan.jsonl", pickled()),
    "plan-of-nan": ("plan.jsonl", "NaN\n"),
    "run-empty": ("run.json", ""),
    "run-of-a-list": ("run.json", "[]"),
    "run-deep": ("run.json", "[" * 100_000),
    "run-not-utf-8": ("run.json", b"\xff"),
    "run-of-a-pickle": ("run.json", pickled()),
    "run-of-nan": ("run.json", '{"kind": "run", "facts": {"a": NaN}, "key": "x", "command": {}}'),
    "run-of-ten-megabytes": ("run.json", b'{"facts": {"a": "' + b"x" * 10_000_000 + b'"}}'),
}

CONFIGS: Mapping[str, str | bytes] = {
    "empty": "",
    "list": "- a\n",
    "deep": "a: " + "[" * 50_000,
    "bomb": BOMB + "generation: *j\n",
    "tag": "generation: !!python/object/apply:os.system [touch pwned]\n",
    "not-utf-8": b"\xff",
    "circle": "generation: &a {prompt: *a}\n",
    "no-generation": "hw: {}\n",
    "generation-as-a-text": "generation: touch pwned\n",
    "target": "generation: {_target_: os.system}\n",
    "binary": bytes(range(256)),
}


def _no_mark(outcome: Outcome) -> None:
    assert not (outcome.folder / "pwned").exists()


def _made(outcome: Outcome) -> None:
    _no_mark(outcome)
    files = list((outcome.folder / RUN / "audio").glob("*.wav"))
    assert files
    assert all(file.is_file() and not file.is_symlink() for file in files)


def _used(outcome: Outcome) -> None:
    _made(outcome)
    assert "kept latents are not used" not in (outcome.folder / RUN / "run.log").read_text(encoding="utf-8")


def _not_used(outcome: Outcome) -> None:
    _made(outcome)
    assert "kept latents are not used" in (outcome.folder / RUN / "run.log").read_text(encoding="utf-8")


def _made_as_asked(outcome: Outcome) -> None:
    """The song that is asked for was made, and the plan speaks of it again."""
    from acestep_batch.identity import identity_of

    _made(outcome)
    line = json.loads((outcome.folder / RUN / "plan.jsonl").read_text(encoding="utf-8"))
    latest = json.loads((outcome.folder / RUN / "records.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert line["identity"] == identity_of(line["facts"]) == latest["identity"]
    assert line["facts"]["prompt"] == line["song"]["generation"]["prompt"] == latest["prompt"] == "pop"


def cases() -> Iterator[Case]:
    """Every case of this file."""
    for name, change in PLANS.items():
        for how, words in (("again", AGAIN), ("as-planned", PLANNED)):
            yield refused(
                "plan", f"{name}-{how}", changed(plan(**change)), *words, says=("plan.jsonl",), check=_no_mark
            )
    # The manifest, or the song itself, says what is asked; the plan's word on its identity and facts is not taken.
    for name, change in {
        "identity-of-another": {"identity": "0" * 64},
        "facts-changed": {"facts": {"prompt": "rock"}},
    }.items():
        for how, words in (("again", AGAIN), ("as-planned", PLANNED)):
            yield inert("plan", f"{name}-{how}", changed(plan(**change)), *words, check=_made_as_asked)
    yield refused("plan", "one-song-twice", changed(_twice), *PLANNED, says=("plan.jsonl",))
    for name, (file, content) in TEXTS.items():
        yield refused("run-folder", name, changed(text_of(file, content)), *PLANNED, says=(file,), check=_no_mark)
    for file in ("plan.jsonl", "run.json", "config.yaml"):
        yield refused("run-folder", f"pipe-{file}", changed(unmade, pipe(file)), *PLANNED, says=(file,), check=_no_mark)
        yield refused(
            "run-folder", f"folder-{file}", changed(folder_instead(file)), *PLANNED, says=(file,), check=_no_mark
        )
    for name, change in RUN_FILES.items():
        yield refused("run-file", name, changed(run_file(**change)), *AGAIN, says=("error",), check=_no_mark)
    for name, content in CONFIGS.items():
        yield refused(
            "run-config",
            name,
            changed(text_of("config.yaml", content)),
            *PLANNED,
            says=("config.yaml",),
            check=_no_mark,
        )
    yield refused(
        "run-config",
        "allow-outside",
        changed(_allowing, plan(folder="{outside}")),
        *PLANNED,
        says=("allow_outside",),
        check=_no_mark,
    )
    yield from _records()
    yield from _latents()


def _records() -> Iterator[Case]:
    """A record that is not as this product writes it does not count, so that its song is made again."""
    for name, change in {
        "path-up": {"audio_path": "../../../../outside/x.wav"},
        "path-outside": {"audio_path": "{outside}/x.wav"},
        "path-of-a-secret": {"audio_path": "/etc/passwd", "audio_file_sha256": "0" * 64},
        "path-that-is-a-number": {"audio_path": 1},
        "path-with-nul": {"audio_path": "a\0b"},
        "path-of-the-plan": {"audio_path": "plan.jsonl"},
        "format-of-a-document": {"audio_format": "docx"},
        "format-up": {"audio_format": "x/../../../outside/x.wav"},
        "hash-that-is-a-list": {"audio_pcm_sha256": []},
        "audio-as-a-text": {"audio": "x"},
        "audio-of-texts": {"audio": ["x"]},
        "no-audio": {"audio": None},
        "audio-of-nothing": {"audio": []},
        "no-status": {"status": None},
        "other-status": {"status": "evil"},
        "status-as-a-list": {"status": []},
        "identity-up": {"identity": "../../x"},
        "no-identity": {"identity": None},
        "time-as-a-list": {"finished_at": []},
        "time-with-escapes": {"finished_at": "\x1b[31m"},
        "files-as-a-text": {"files": "x"},
        "id-as-a-list": {"id": []},
        "notes-as-numbers": {"notes": 1},
        "prompt-as-a-list": {"prompt": [["x"]]},
        "seconds-as-a-text": {"seconds": "x"},
        "environment-up": {"environment": "../../../../outside/precious.txt"},
        "formula": {"error": "=1+1", "model": "@x"},
        "escapes": {"error": "\x1b[31m\nerror: x", "model": "\x1b[2J", "status": "failed"},
    }.items():
        for how, words in (("again", AGAIN), ("as-planned", PLANNED)):
            yield inert("record", f"{name}-{how}", changed(record(**change)), *words, check=_made)
    for name, content in {
        "empty": "", "not-json": "x\n", "deep": "[" * 100_000 + "\n", "null": "null\n", "binary": "\ufffd\n", "no-line-end": "{",
        "nan": '{"id": NaN}\n', "unsealed": '{"id": "a", "status": "ok", "audio": [], "identity": "x"}\n', "id-alone": '{"id": "a"}\n',
    }.items():  # fmt: skip
        yield inert("record", f"lines-{name}", changed(text_of("records.jsonl", content.encode())), *AGAIN, check=_made)
    yield inert("record", "of-another-shard", changed(unmade, _shard_record("records-1of2.jsonl")), *AGAIN, check=_made)
    yield inert("record", "of-an-odd-shard", changed(unmade, _shard_record("records-x\n.jsonl")), *AGAIN, check=_made)
    yield inert("record", "in-a-folder", changed(unmade, folder_instead("records-2of2.jsonl")), *AGAIN, codes=(1, 2))
    yield inert("record", "in-a-pipe", changed(unmade, pipe("records-2of2.jsonl")), *AGAIN, codes=(1, 2))


def _latents() -> Iterator[Case]:
    """Latents are used only if they are this song's and as large as they must be."""
    yield inert("latents", "sound", changed(kept_latents(sound_latents)), *AGAIN, check=_used)
    for name, content in {
        "pickle": pickled, "zip-of-a-pickle": lambda: _archive(latents=_array(b"|O", "(1,)", pickled())),
        "objects": lambda: _archive(latents=_array(b"|O", "(8, 16, 1)", pickled())), "empty": lambda: b"", "page": lambda: b"<html>",
        "climbing": lambda: _archive(**{"../../../../outside/x": b"evil"}),
        "shape-of-all-memory": lambda: _archive(latents=_array(b"<f4", "(8, 16, 99999999999)", b"")),
        "bomb": lambda: _archive(latents=_array(b"<f4", "(8, 16, 2000000)", bytes(8 * 16 * 2_000_000 * 4))),
        "header-of-code": lambda: _archive(latents=_array(b"<f4", "__import__('os').system('touch pwned')", b"")),
        "header-of-depth": lambda: _archive(latents=_array(b"<f4", "(" * 5_000 + ")" * 5_000, b"")),
        "facts-deep": lambda: _archive(latents=_good(), facts=_facts_array("[" * 50_000)),
        "facts-of-lists": lambda: _archive(latents=_good(), facts=_facts_array('{"identity": "' + IDENTITY + '", "model_calls": [], '
                                           '"stage_seconds": 1, "notes": 1, "seconds": "x", "batch": [], "rungs": 1}')),
        "facts-of-texts": lambda: _archive(latents=_good(), facts=_facts_array('{"identity": "' + IDENTITY + '", "model_calls": "x", '
                                           '"stage_seconds": {"text": "x"}, "notes": [], "seconds": "x", "batch": "x", "rungs": []}')),
        "rung-of-another": lambda: _archive(latents=_good(), facts=_facts_array('{"identity": "' + IDENTITY + '", "model_calls": 1, '
                                            '"stage_seconds": {}, "notes": [], "seconds": 1, "batch": 1, "rungs": ["evil"]}')),
        "other-shape": lambda: _archive(latents=_array(b"<f4", "(8, 16, 300)", bytes(8 * 16 * 300 * 4)), facts=_facts_array(
            '{"identity": "' + IDENTITY + '", "model_calls": 1, "stage_seconds": {}, "notes": [], "seconds": 1, "batch": 1, "rungs": []}')),
        "not-finite": lambda: _archive(latents=_array(b"<f4", "(8, 16, 2)", b"\xff" * (8 * 16 * 2 * 4)), facts=_facts_array(
            '{"identity": "' + IDENTITY + '", "model_calls": 1, "stage_seconds": {}, "notes": [], "seconds": 1, "batch": 1, "rungs": []}')),
    }.items():  # fmt: skip
        yield inert("latents", name, changed(kept_latents(content)), *AGAIN, check=_not_used)


_FACTS = (
    '{"identity": "'
    + IDENTITY
    + '", "model_calls": 1, "stage_seconds": {"text": 0.1}, "notes": [], "seconds": 1, "batch": 1, "rungs": []}'
)


def _array(descr: bytes, shape: str, data: bytes) -> bytes:
    header = b"{'descr': '" + descr + b"', 'fortran_order': False, 'shape': " + shape.encode() + b", }\n"
    return b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header + data


def _good() -> bytes:
    return _array(b"<f4", "(8, 16, 2)", bytes(8 * 16 * 2 * 4))


def _facts_array(text: str) -> bytes:
    return _array(f"<U{len(text)}".encode(), "()", text.encode("utf-32-le"))


def _archive(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return packed.getvalue()


def kept_latents(content: Callable[[], bytes]) -> Change:
    """The song is to be made again, and this is what was kept of it, under the name that belongs to it."""

    def make(run: Path) -> None:
        unmade(run)
        identity = json.loads((run / "plan.jsonl").read_text(encoding="utf-8"))["identity"]
        (run / "latents").mkdir()
        (run / "latents" / f"{identity}.npz").write_bytes(_of_song(content(), identity))

    return make


def sound_latents() -> bytes:
    """Latents as they are kept of a song of ``TINY``."""
    return _archive(latents=_good(), facts=_facts_array(_FACTS))


def _of_song(data: bytes, identity: str) -> bytes:
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(each.file_size for each in archive.infolist()) > 2**20:
            return data  # a bomb
        members = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    wanted, own = (text.encode("utf-32-le") for text in (IDENTITY, identity))
    return _archive(**{name: content.replace(wanted, own) for name, content in members.items()})


def _shard_record(name: str) -> Change:
    def make(run: Path) -> None:
        from acestep_batch.ledger import sealed

        (run / name).write_text(json.dumps(sealed({"id": "a", "status": "ok", "audio": [{"path": "/etc/passwd"}], "identity": "x",
                                                   "finished_at": "9999"})) + "\n", encoding="utf-8")  # fmt: skip

    return make


def _twice(run: Path) -> None:
    unmade(run)
    _sealed(run, "plan.jsonl", (run / "plan.jsonl").read_text(encoding="utf-8") * 2)


def _allowing(run: Path) -> None:
    text = (run / "config.yaml").read_text(encoding="utf-8")
    _sealed(run, "config.yaml", text.replace("allow_outside: false", "allow_outside: true"))
    run_file(facts_output__allow_outside=True)(run)
